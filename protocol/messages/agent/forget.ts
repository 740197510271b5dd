/** A host that is gone for good is forgotten: nothing waits for it any more, and its id is free. */
import { z } from 'zod';
import { Token } from '../ids.ts';

/** Request to the leading coordinator: `forget`. */
export const ForgetRequest = z.object({
  agent: Token,
  by: z.string().max(256),
  reason: z.string().max(1_000).nullable(),
  /** Though it is there. */
  force: z.boolean(),
});
export type ForgetRequest = z.infer<typeof ForgetRequest>;

export const ForgetReply = z.object({
  agent: Token,
  /** Attempts with it that nobody waits for any more. */
  lost: z.number().int().nonnegative(),
});
export type ForgetReply = z.infer<typeof ForgetReply>;
