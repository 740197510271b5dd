/** Request/reply between CLI and leading coordinator on `bm.v1.api.<verb>` (core, not stored). */
import { z } from 'zod';
import { RunId, Token } from '../ids.ts';
import { Unplaceable } from './explain.ts';
import { RunChanged, RunNoted } from './run.ts';
import { SuiteSpec } from './suite-spec.ts';

/** `submit`: idempotent by `run`: the submitter makes the id, a repeat is the same run. */
export const SubmitRequest = z.object({
  run: RunId,
  suite: SuiteSpec,
  suiteText: z.string(),
  suiteFile: z.string().nullable(),
  by: z.string(),
  ifBusy: z.enum(['queue', 'reject']),
  labels: z.record(z.string(), z.string()),
  retryOf: RunId.optional(),
});
export type SubmitRequest = z.infer<typeof SubmitRequest>;

export const SubmitReply = z.object({
  run: RunId,
  /** False when a run of this id existed already. */
  created: z.boolean(),
  tasks: z.number().int(),
  /** Live runs ahead of it in the queue. */
  behind: z.array(z.string()),
  /** Stream sequence of its `run.submitted`; null when it is already archived. */
  sequence: z.number().int().nullable(),
  /** Tasks that no agent which has joined could ever run; absent where there is none. */
  unplaceable: z.array(Unplaceable).optional(),
});
export type SubmitReply = z.infer<typeof SubmitReply>;

/** `resume`: what is paused of a run, or of one task, goes on. */
export const ResumeRequest = z.object({ run: RunId, task: Token.nullable(), by: z.string() });
export type ResumeRequest = z.infer<typeof ResumeRequest>;

export const ResumeReply = z.object({
  run: RunId,
  task: Token.nullable(),
  /** How many tasks wait for a host again. */
  waiting: z.number().int(),
});
export type ResumeReply = z.infer<typeof ResumeReply>;

/** `change`: how a live run is served from now on. */
export const ChangeRequest = RunChanged.extend({ run: RunId, by: z.string().max(256) });
export type ChangeRequest = z.infer<typeof ChangeRequest>;

/** As it is now. */
export const ChangeReply = z.object({
  run: RunId,
  priority: z.number().int(),
  maxParallel: z.number().int().positive().nullable(),
});
export type ChangeReply = z.infer<typeof ChangeReply>;

/** `note`: idempotent by `note`. */
export const NoteRequest = RunNoted.extend({ run: RunId, by: z.string().max(256) });
export type NoteRequest = z.infer<typeof NoteRequest>;

export const NoteReply = z.object({ run: RunId, task: Token.nullable(), note: Token });
export type NoteReply = z.infer<typeof NoteReply>;

/** `info`: who leads and where results go. */
export const InfoReply = z.object({
  coordinator: z.string(),
  epoch: z.number().int(),
  version: z.string(),
  pid: z.number().int(),
  host: z.string(),
  resultsDir: z.string(),
  logFile: z.string(),
  liveRuns: z.array(z.string()),
  /** Attempts handed to agents and not ended. */
  assigned: z.number().int(),
  pending: z.number().int(),
  /** What it cannot do at present, one line each: an archive waiting for disk space. */
  notices: z.array(z.string()).optional(),
});
export type InfoReply = z.infer<typeof InfoReply>;

/** `view`: the coordinator's own fold of a run, for `audit`. */
export const ViewRequest = z.object({ run: RunId });
export const ViewReply = z.object({
  /** Stream sequence folded at. */
  sequence: z.number().int(),
  /** Canonical JSON of the run view. */
  view: z.string(),
});

/** Any reply that is an error. */
export const ApiError = z.object({ error: z.object({ code: z.string(), message: z.string() }) });
