/** Files that people write, under mutations. test/long has many more. */
import fc from 'fast-check';
import { it } from 'vitest';
import { checkConfig, checkSuite, mutatedConfig, mutatedSuite } from '#test/support/config-fuzz.ts';

it('whatever stands in the config of an agent, it is one, or a list of places', () => {
  fc.assert(fc.property(mutatedConfig, checkConfig), { numRuns: 500 });
});

it('whatever stands in a suite, it is one, or a list of places', () => {
  fc.assert(fc.property(mutatedSuite, checkSuite), { numRuns: 200 });
});
