/** Request/reply with one agent, on `bm.v1.api.<agent>.<verb>` (core, not stored). It only reads. */
import { z } from 'zod';
import { RunId, Token } from './ids.ts';

/** `read`: a piece of a file of an attempt's work folder. */
export const ReadRequest = z.object({
  run: RunId,
  task: Token,
  n: z.number().int().positive(),
  /** Relative to the work folder. */
  path: z.string(),
  offset: z.number().int().nonnegative(),
});
export type ReadRequest = z.infer<typeof ReadRequest>;

export const ReadReply = z.object({
  /** Of the file as it is now; it may grow between two pieces. */
  bytes: z.number().int().nonnegative(),
  /** Base64; empty at the end. */
  data: z.string(),
});
export type ReadReply = z.infer<typeof ReadReply>;
