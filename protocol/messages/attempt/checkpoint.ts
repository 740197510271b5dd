/**
 * Checkpoints: what an attempt stored of its progress, and what the task's next attempt begins with.
 *
 * A checkpoint is one look at all files the suite names, each of them complete. It is said once every
 * object of it is stored, so whoever reads of it can have it: there is no half one.
 */
import { z } from 'zod';
import { StoredFile } from './stored-file.ts';

/** More than this many files are no checkpoint: all of them travel in one event. */
export const CHECKPOINT_FILES_MOST = 64;

export const CheckpointRules = z.object({
  /** The least time between two of them. */
  everyMs: z.number().positive(),
  /** How many of a task stay stored; the newest ones. */
  keep: z.number().int().positive(),
  /** All files of one together. */
  maxBytes: z.number().int().positive(),
});
export type CheckpointRules = z.infer<typeof CheckpointRules>;

export const DEFAULT_CHECKPOINT_RULES: CheckpointRules = {
  everyMs: 10_000,
  keep: 3,
  maxBytes: 64 * 1024 * 1024,
};

export const Checkpoint = z.object({
  /** Of the attempt's checkpoints, from 1. */
  number: z.number().int().positive(),
  /** Oldest change first: the last is what `$BENCHMESH_CHECKPOINT` names. Never empty. */
  files: z.array(StoredFile).min(1),
});
export type Checkpoint = z.infer<typeof Checkpoint>;

const elapsedMs = z.number().nonnegative();

/** A checkpoint is stored whole; `keep` says how many of the task stay. */
export const AttemptCheckpointed = Checkpoint.extend({
  elapsedMs,
  keep: z.number().int().positive(),
});

/** A checkpoint was not stored: too large, too many files, or the store does not take it. */
export const AttemptCheckpointRefused = z.object({ elapsedMs, reason: z.string() });

/** Whose checkpoint it is, and on which agent's subjects its objects lie. */
export const ResumePoint = Checkpoint.extend({ n: z.number().int().positive(), agent: z.string() });
export type ResumePoint = z.infer<typeof ResumePoint>;

/** The checkpoint is in place, or (`problem`) none of those that were there could be had. */
export const AttemptResumed = z.object({
  elapsedMs,
  /** Attempt and number of the checkpoint; null where none could be had. */
  from: z.object({ n: z.number().int(), number: z.number().int() }).nullable(),
  /** Relative to the work folder: the file that changed last. */
  path: z.string().nullable(),
  files: z.number().int().nonnegative(),
  bytes: z.number().int().nonnegative(),
  /** Why newer ones were passed over; null where the newest is in place. */
  problem: z.string().nullable(),
});
export type AttemptResumed = z.infer<typeof AttemptResumed>;
