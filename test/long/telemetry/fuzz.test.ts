/** 100,000 mutations of /proc and of a looping nvidia-smi. */
import fc from 'fast-check';
import { it } from 'vitest';
import { measureEverything, mutatedPair } from '#test/support/telemetry-fuzz.ts';

it('no text makes a reader throw, or something that cannot be sent', () => {
  fc.assert(fc.property(mutatedPair, measureEverything), { numRuns: 100_000 });
});
