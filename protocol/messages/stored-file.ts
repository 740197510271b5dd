/** A file in BM_FILES: stored in `chunks` pieces under its hash. */
import { z } from 'zod';

export const StoredFile = z.object({
  kind: z.enum(['checkpoint', 'result']),
  /** Relative to the work folder. */
  path: z.string(),
  sha256: z.string(),
  bytes: z.number().int().nonnegative(),
  chunks: z.number().int().nonnegative(),
});
export type StoredFile = z.infer<typeof StoredFile>;
