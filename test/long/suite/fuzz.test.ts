/** Files that people write: 100,000 mutations of each. */
import fc from 'fast-check';
import { it } from 'vitest';
import { checkConfig, checkSuite, mutatedConfig, mutatedSuite } from '#test/support/config-fuzz.ts';

/** On a machine that is busy with much else. */
const LONG_MS = 3_600_000;

it(
  'whatever stands in the config of an agent, it is one, or a list of places',
  { timeout: LONG_MS },
  () => {
    fc.assert(fc.property(mutatedConfig, checkConfig), { numRuns: 100_000 });
  },
);

it('whatever stands in a suite, it is one, or a list of places', { timeout: LONG_MS }, () => {
  fc.assert(fc.property(mutatedSuite, checkSuite), { numRuns: 100_000 });
});
