/** 100,000 mutations of what tools and kernel print. */
import fc from 'fast-check';
import { it } from 'vitest';
import { mutated, readEverything } from '#test/support/discovery-fuzz.ts';

it('no text makes a parser throw, or go on without bound', () => {
  fc.assert(fc.property(mutated, readEverything), { numRuns: 100_000 });
});
