/** Messages under mutations. test/long has many more. */
import fc from 'fast-check';
import { it } from 'vitest';
import { checkMessage, mutatedMessage } from '#test/support/message-fuzz.ts';

it('no bytes make a reader of messages throw, or let through what is none', () => {
  fc.assert(fc.property(mutatedMessage, checkMessage), { numRuns: 2_000 });
});
