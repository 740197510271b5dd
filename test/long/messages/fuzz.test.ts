/** 100,000 mutations of messages. */
import fc from 'fast-check';
import { it } from 'vitest';
import { checkMessage, mutatedMessage } from '#test/support/message-fuzz.ts';

it('no bytes make a reader of messages throw, or let through what is none', () => {
  fc.assert(fc.property(mutatedMessage, checkMessage), { numRuns: 100_000 });
});
