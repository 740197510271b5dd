/** Request/reply with one agent, on `bm.v1.api.<agent>.<verb>` (core, not stored). */
import { z } from 'zod';
import { LostFile } from '../attempt/attempt.ts';
import { EXEC_MOST_MS, ExecEnd } from './exec.ts';
import { RunId, Token } from '../ids.ts';
import { Proof } from '../attempt/outcome.ts';
import { FileRule } from '../attempt/stored-file.ts';
import { GpuSample } from './telemetry.ts';

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

/** `inspect`: an attempt as it is now, its processes included. */
export const InspectRequest = z.object({
  run: RunId,
  task: Token,
  n: z.number().int().positive(),
});
export type InspectRequest = z.infer<typeof InspectRequest>;

const count = z.number().int().nonnegative();

export const InspectedProcess = z.object({
  pid: z.number().int().positive(),
  /** One of the same list, or what holds the step's processes: its meshrun. */
  parent: z.number().int().nonnegative(),
  /** Id of the step. */
  step: z.string(),
  /** As in proc(5): R, S, D, T, Z ... */
  state: z.string(),
  threads: count,
  /** Its own, without that of its children. */
  cpuSeconds: z.number().nonnegative(),
  /** Between two looks, 100 for one CPU; null for one that was not there at the first. */
  cpuPercent: z.number().nonnegative().nullable(),
  rssBytes: z.number().nonnegative(),
  elapsedMs: z.number().nonnegative(),
  /** Words separated by spaces, cut where it is long; the name in brackets where there is none. */
  command: z.string(),
});
export type InspectedProcess = z.infer<typeof InspectedProcess>;

export const InspectedStep = z.object({
  id: z.string(),
  /** What its processes are held by, and what the proof of their end will rest on. */
  rung: Proof,
  /** Its main process. */
  pid: z.number().int(),
  /** On the scan rung there is none. */
  meshrun: z.number().int().nullable(),
  /** Its own, on the cgroup rung. */
  cgroup: z.string().nullable(),
  logBytes: count,
});
export type InspectedStep = z.infer<typeof InspectedStep>;

export const InspectedGpu = z.object({
  id: z.string(),
  index: count.nullable(),
  name: z.string().nullable(),
  memoryMiB: z.number().nonnegative().nullable(),
  /** Of the last second; null where it was not sampled. */
  sample: GpuSample.nullable(),
  /** Processes that have it open, `own` for one of the attempt; null where that cannot be told. */
  users: z
    .array(
      z.object({
        pid: z.number().int(),
        name: z.string(),
        memoryMiB: z.number().nonnegative().nullable(),
        own: z.boolean(),
      }),
    )
    .nullable(),
});
export type InspectedGpu = z.infer<typeof InspectedGpu>;

export const InspectReply = z.object({
  agent: Token,
  run: RunId,
  task: Token,
  n: z.number().int().positive(),
  /** ISO 8601, the host's clock. */
  time: z.string(),
  /** accepted, a step, closing (services end), collecting, finishing (files are stored), exited. */
  state: z.string(),
  /** Id of the step that runs; null between steps. */
  step: z.string().nullable(),
  /** Since it got its slots. */
  elapsedMs: z.number().nonnegative(),
  phase: z.string().nullable(),
  progress: z.number().min(0).max(1).nullable(),
  /** What keeps it from beginning, where that may last. */
  waitsFor: z.string().nullable(),
  stopping: z.boolean(),
  slots: z.array(count),
  /** It is bound to these; empty: to none. */
  cpus: z.array(count),
  /** Those with processes. */
  steps: z.array(InspectedStep),
  processes: z.array(InspectedProcess),
  /** There are more processes than are told. */
  isCut: z.boolean(),
  gpus: z.array(InspectedGpu),
  /** Why there are no samples of GPUs; null where there are, or where it has none. */
  gpuReason: z.string().nullable(),
  /** Of all steps so far, both streams. */
  logBytes: count,
  /** The last that is stored, of this attempt. */
  checkpoint: z.object({ number: count, files: count, bytes: count }).nullable(),
  /** Relative to the work folder: what it began with. */
  resumedWith: z.string().nullable(),
});
export type InspectReply = z.infer<typeof InspectReply>;

/** `collect`: the result files of an attempt are taken once more. Asked again, by its id, until it is done. */
export const CollectRequest = z.object({
  run: RunId,
  task: Token,
  n: z.number().int().positive(),
  /** Of this collection, made by who asks. */
  id: Token,
  /** `user@host` of who asks, as they say it. */
  by: z.string().max(256),
  /** As in the attempt's spec: its agent forgets an attempt that has ended, and has its folder still. */
  files: z.array(z.string()).min(1).max(1_000),
  fileRules: z.array(FileRule).max(1_000).optional(),
});
export type CollectRequest = z.infer<typeof CollectRequest>;

export const CollectReply = z.discriminatedUnion('state', [
  /** So many files are stored. */
  z.object({ state: z.literal('running'), files: count }),
  z.object({
    state: z.literal('done'),
    files: count,
    bytes: count,
    /** Not there though required, too large, or not stored. */
    lost: z.array(LostFile),
    /** Stored, and not as their schema wants them. */
    unfit: z.array(LostFile),
  }),
]);
export type CollectReply = z.infer<typeof CollectReply>;

const ARGV_CHARS_MOST = 4_096;

/** `exec`: a short command on the agent's host, if its policy permits it. */
export const ExecRequest = z.object({
  /** `user@host` of who asks, as they say it. */
  by: z.string().max(256),
  /** The first word is a program's name or its absolute path. Never given to a shell. */
  argv: z
    .array(z.string().refine((word) => !word.includes('\0'), 'must have no NUL'))
    .min(1)
    .max(256)
    .refine(
      (argv) => argv.reduce((sum, word) => sum + word.length, 0) <= ARGV_CHARS_MOST,
      `must have at most ${ARGV_CHARS_MOST} characters`,
    ),
  timeoutMs: z.number().int().positive().max(EXEC_MOST_MS),
});
export type ExecRequest = z.infer<typeof ExecRequest>;

export const ExecReply = z.object({
  /** As in its events. */
  id: z.string(),
  end: ExecEnd,
  /** Why it was not started; null where it was. */
  reason: z.string().nullable(),
  /** Base64, cut where there was too much. */
  stdout: z.string(),
  stderr: z.string(),
  durationMs: z.number().nonnegative(),
  /** Processes of it that no signal ends. */
  survivors: z.array(z.number().int()),
});
export type ExecReply = z.infer<typeof ExecReply>;
