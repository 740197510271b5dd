/** An agent is taken out of the mesh for a while, and put back. */
import { z } from 'zod';
import { Token } from '../ids.ts';

/** Request to the leading coordinator: `drain`. */
export const DrainRequest = z.object({
  agent: Token,
  by: z.string().max(256),
  reason: z.string().max(1_000).nullable(),
  /** It takes work again. */
  undo: z.boolean(),
});
export type DrainRequest = z.infer<typeof DrainRequest>;

export const DrainReply = z.object({
  /** Silent past its lease: it obeys when it is back. */
  unreachable: z.boolean(),
});
export type DrainReply = z.infer<typeof DrainReply>;
