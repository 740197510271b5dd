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

/** What a suite says of its result files beside their pattern, which is among `files` too. */
export const FileRule = z.object({
  /** Glob in the work folder. */
  path: z.string(),
  /** Of each file; null for no limit. */
  maxBytes: z.number().int().positive().nullable(),
  /** Without one the attempt has failed at stage collect, whatever its exit status. */
  required: z.boolean(),
  /** JSON Schema that each file must fit; one that does not fails the attempt at stage collect. */
  schema: z.union([z.boolean(), z.record(z.string(), z.unknown())]).optional(),
});
export type FileRule = z.infer<typeof FileRule>;
