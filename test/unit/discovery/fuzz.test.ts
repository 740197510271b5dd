/** The parsers of discovery under mutations. test/long has many more. */
import fc from 'fast-check';
import { it } from 'vitest';
import { mutated, readEverything } from '#test/support/discovery-fuzz.ts';

it('no text makes a parser throw, or go on without bound', () => {
  fc.assert(fc.property(mutated, readEverything), { numRuns: 3_000 });
});
