/**
 * An agent is taken out of the mesh for a while, and put back: by a drain, which the agent obeys and which
 * takes back what waits there, or by a cordon, which is the coordinator's own and lets that run.
 */
import { z } from 'zod';
import { Token } from '../ids.ts';

/** Request to the leading coordinator: `drain` or `cordon`. */
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

/** Answers `cordon`, which is asked for as `drain` is. */
export const CordonReply = z.object({
  agent: Token,
  cordoned: z.boolean(),
  /** Attempts with it: they go on there. */
  handedOut: z.number().int().nonnegative(),
});
export type CordonReply = z.infer<typeof CordonReply>;
