/**
 * Events of an attempt. Only writer: the agent that owns it, on the attempt's own subject (I1).
 *
 *   accepted -> step_started (once per step) -> exited
 *                 phase, progress, checkpoint, adopted, stopping   in between
 *
 * An attempt that starts at once needs no `accepted` of its own: its first `step_started` says it.
 *
 * `elapsedMs` is the owner's monotonic clock since the attempt got its slots on the host, 0 while it
 * waits for them: the one definition of an attempt's elapsed time (I2).
 */
import { z } from 'zod';
import { StepName } from './attempt-spec.ts';
import { AttemptOutcome, FailureClass, Metric, Proof, Stage } from './outcome.ts';
import { StoredFile } from './stored-file.ts';
import { GangPlace } from './gang.ts';
import { AttemptResources } from '../agent/resources.ts';
import { ReportSummary } from './report.ts';
import { AttemptTelemetry } from '../agent/telemetry.ts';

const elapsedMs = z.number().nonnegative();

/** How a step ended, with the proof of its rung. */
export const StepResult = z.object({
  step: StepName,
  id: z.string(),
  end: z.enum(['exited', 'signaled', 'exec_failed', 'lost']),
  code: z.number().int().nullable(),
  signal: z.string().nullable(),
  /** The time limit (the step's or the attempt's) ended it. */
  deadline: z.boolean(),
  durationMs: z.number().nonnegative(),
  userMs: z.number().nonnegative(),
  systemMs: z.number().nonnegative(),
  maxRssKiB: z.number().nonnegative(),
  logBytes: z.number().int().nonnegative(),
  proof: Proof,
  /** Zero survivors, and the rung can prove it. */
  proven: z.boolean(),
  /** Processes that were alive beside or below the command when it ended or was stopped. */
  processes: z.number().int().nonnegative(),
  survivors: z.array(z.number().int()),
  /** A check, made by the agent itself: code 0 passed, 1 failed. */
  check: z.string().optional(),
});
export type StepResult = z.infer<typeof StepResult>;

/** Who took the attempt: the start command's id, the host's name and its address. */
const Acceptance = z.object({
  command: z.string(),
  host: z.string(),
  address: z.string(),
  /** Of a rank of a gang. */
  gang: GangPlace.optional(),
});
export type Acceptance = z.infer<typeof Acceptance>;

/** Queued on the host; waits for its slots. */
export const AttemptAccepted = Acceptance.extend({ elapsedMs });

/** Queued on the host, and kept there by something that may last: a fence. Said again when it is another. */
export const AttemptWaiting = z.object({ elapsedMs, reason: z.string() });

export const AttemptStepStarted = z.object({
  elapsedMs,
  step: StepName,
  id: z.string(),
  pid: z.number().int().nullable(),
  /** In the attempt's first event only, where no `accepted` came before. */
  accepted: Acceptance.optional(),
  /** In the attempt's first step only. */
  resources: AttemptResources.optional(),
});

/** The benchmark's own phase; only forward in the declared order (I3). */
export const AttemptPhase = z.object({ elapsedMs, phase: z.string(), index: z.number().int() });

/** The benchmark's own progress, 0 to 1, only forward. */
export const AttemptProgress = z.object({ elapsedMs, progress: z.number().min(0).max(1) });

/** A new agent process took the running attempt over (I8). */
export const AttemptAdopted = z.object({
  elapsedMs,
  step: StepName.nullable(),
  alive: z.boolean(),
});

/** A stop reached the attempt; its processes are being ended. */
export const AttemptStopping = z.object({
  elapsedMs,
  command: z.string(),
  by: z.string(),
  reason: z.string().nullable(),
});

/** A result file is stored; of agents before `attempt.checkpointed` also a checkpoint. */
export const AttemptFileStored = z.object({ elapsedMs, file: StoredFile });

/** A line of the report that could not be read: said once per attempt, with the first such line. */
export const AttemptReportMalformed = z.object({ elapsedMs, line: z.string(), reason: z.string() });

/** A line of the benchmark's for people. */
export const AttemptMessage = z.object({ elapsedMs, text: z.string() });

/** A result file that was there and could not be stored. */
export const LostFile = z.object({
  /** Relative to the work folder; a pattern of the suite where the folder could not be read. */
  path: z.string(),
  reason: z.string(),
});
export type LostFile = z.infer<typeof LostFile>;

/**
 * Its result files were taken once more, because somebody asked for it: while it runs, or after its
 * `exited`, whose outcome and metrics stand. One collection of many files says so in several events.
 */
export const AttemptCollected = z.object({
  /** 0 where its agent has forgotten it: it has ended. */
  elapsedMs,
  /** Of the collection. */
  id: z.string(),
  by: z.string(),
  /** Of a path that was stored before, what it holds now. */
  files: z.array(StoredFile),
  /** All that is missing now, of the last event of the collection; absent: there is more to come. */
  lost: z.array(LostFile).optional(),
});
export type AttemptCollected = z.infer<typeof AttemptCollected>;

/** After `exited`: of the survivors that it named none lives any more. What they held on the host is free. */
export const AttemptSurvivorsGone = z.object({
  elapsedMs,
  /** As they were named. */
  survivors: z.array(z.number().int()),
});
export type AttemptSurvivorsGone = z.infer<typeof AttemptSurvivorsGone>;

export const AttemptExited = z.object({
  elapsedMs,
  outcome: AttemptOutcome,
  stage: Stage.nullable(),
  class: FailureClass.nullable(),
  /** One line for people; null when passed. */
  reason: z.string().nullable(),
  /** The stop command that ended it, and who asked. */
  stop: z.object({ command: z.string(), by: z.string(), reason: z.string().nullable() }).nullable(),
  steps: z.array(StepResult),
  metrics: z.array(Metric),
  /** Size of the attempt's log, both streams: readers know when they have all of it (I7). */
  logBytes: z.number().int().nonnegative(),
  /** Bytes dropped at the spool limit, as [from, to) ranges. */
  logGaps: z.array(z.object({ from: z.number().int(), to: z.number().int() })),
  /** A clean-up that failed; never changes the outcome (I3). */
  teardownFailure: z.string().nullable(),
  /** Every process of the attempt is gone, proven by each step's rung (I5). */
  proven: z.boolean(),
  survivors: z.array(z.number().int()),
  /** The end of what the step that failed wrote to stderr; absent where it wrote nothing, or none failed. */
  stderrTail: z.object({ step: z.string(), text: z.string() }).optional(),
  /** Measured by the agent without being asked: durations of steps, how long a service took to be ready. */
  automatic: z.array(Metric).optional(),
  /** Absent where every result file was stored. */
  filesLost: z.array(LostFile).optional(),
  /** Absent where nothing was measured: it took less than a sample, or its agent is an older one. */
  telemetry: AttemptTelemetry.optional(),
  /** Absent where it did not begin, or its agent is an older one. */
  resources: AttemptResources.optional(),
  /** Absent where the benchmark reported nothing. */
  report: ReportSummary.optional(),
});
export type AttemptExited = z.infer<typeof AttemptExited>;
