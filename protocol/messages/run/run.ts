/**
 * Events of runs and tasks. Only writer: the leading coordinator (I1).
 *
 *   run:  submitted -> started -> [paused <-> resumed] -> [stopping] -> ended -> archived
 *                      [cycle_started ...] -> [budget_used]
 *   task: [retrying ...] -> ended            (everything else of a task is its attempts' events)
 */
import { z } from 'zod';
import { Preemptor, StopCause } from './command.ts';
import { Needs } from '../attempt/needs.ts';
import { RunId, Token } from '../ids.ts';
import { FailureClass, RunOutcome, Stage, TaskOutcome } from '../attempt/outcome.ts';
import { SuiteSpec } from './suite-spec.ts';

export const RunSubmitted = z.object({
  suite: SuiteSpec,
  /** The suite file as submitted, byte for byte. */
  suiteText: z.string(),
  suiteFile: z.string().nullable(),
  /** user@host of the submitter. */
  by: z.string(),
  /** Number of tasks the suite expands to. */
  tasks: z.number().int().nonnegative(),
  /** Runs this one was queued behind when it was submitted. */
  behind: z.array(z.string()),
  labels: z.record(z.string(), z.string()),
  /** The run whose results its order goes by; null: there was none. Absent: its order goes by none. */
  basis: RunId.nullable().optional(),
  /** The run of the same suite whose tasks it runs again. */
  retryOf: RunId.optional(),
});
export type RunSubmitted = z.infer<typeof RunSubmitted>;

/** The first task was handed to an agent. */
export const RunStarted = z.object({});

/** The coordinator has read a stop of the whole run; nothing of it starts any more. */
export const RunStopping = z.object({
  command: z.string(),
  /** Stream sequence of the stop in BM_COMMANDS: starts carry it as `afterStop` (I6). */
  stopSequence: z.number().int().positive(),
  by: z.string(),
  reason: z.string().nullable(),
  /** Absent: somebody asked for it. */
  cause: StopCause.optional(),
});

/** A stop of one task of the run was read. */
export const TaskStopping = RunStopping.extend({ task: Token });

/**
 * A pause was read, of the run or of one task: what runs of it is ended as by a stop and waits with the
 * rest until it is resumed.
 */
export const RunPaused = RunStopping.extend({ task: Token.nullable() });
export type RunPaused = z.infer<typeof RunPaused>;

/** A requeue was read: what runs of the task is ended as by a pause, and its next attempt follows at once. */
export const TaskRequeued = RunStopping.extend({
  task: Token,
  /** It makes room for that task; absent: somebody asked for it. */
  preemptedBy: Preemptor.optional(),
});

/** Every pause up to `throughSequence` is over, of the run and all its tasks or of one task. */
export const RunResumed = z.object({
  task: Token.nullable(),
  /** In BM_COMMANDS, as the `stopSequence` of pauses. */
  throughSequence: z.number().int().positive(),
  by: z.string(),
});
export type RunResumed = z.infer<typeof RunResumed>;

/** Somebody changed how a live run is served; what is absent stays. */
export const RunChanged = z.object({
  /** Of the run; what its suite adds for tasks is added still. Higher first. */
  priority: z.number().int().optional(),
  /** Null: no limit. */
  maxParallel: z.number().int().positive().nullable().optional(),
  by: z.string(),
});
export type RunChanged = z.infer<typeof RunChanged>;

/**
 * Its cells are measured once more, each once more for every cycle up to this one: its tasks are those of
 * the suite with so many repeats.
 */
export const RunCycleStarted = z.object({ cycle: z.number().int().min(2) });

/** The budget of the run is used up: nothing new of it starts, what runs goes on to its end. */
export const RunBudgetUsed = z.object({ budgetMs: z.number().positive() });

/** Tasks of a later cycle that never began when the run's end came: they are none of the run's any more. */
export const RunTasksWithdrawn = z.object({ tasks: z.array(Token) });
/** Longest note, in characters; and how many a run may have (I12). */
export const NOTE_LENGTH_MOST = 2_000;
export const NOTES_MOST = 200;

/** Somebody's words about the run or one of its tasks, kept with it; they change nothing. */
export const RunNoted = z.object({
  /** Of the note: a request repeated is one note. */
  note: Token,
  task: Token.nullable(),
  by: z.string(),
  text: z.string().max(NOTE_LENGTH_MOST),
});
export type RunNoted = z.infer<typeof RunNoted>;

/** Ends of tasks of which all is said by their outcome: passed, or stopped before any attempt. */
export const RunTasksEnded = z.object({
  outcome: TaskOutcome,
  reason: z.string().nullable(),
  tasks: z.array(Token),
});

/** A stop or a pause is over: everyone who had to has acknowledged, or was given up as stated (I5). */
export const RunStopClosed = z.object({
  command: z.string(),
  result: z.enum(['dead', 'unproven', 'unkillable']),
});

export const RunEnded = z.object({
  outcome: RunOutcome,
  /** Tasks by outcome. */
  counts: z.partialRecord(TaskOutcome, z.number().int()),
  reason: z.string().nullable(),
});

/** The run's directory is complete. `directory` is absolute on the coordinator's host. */
export const RunArchived = z.object({ directory: z.string() });

/**
 * Agents that have told no end of the attempt, or of their rank of it: it may live on there, and is ended when
 * they are back.
 */
const without = z.array(Token).optional();

/** Attempt `n` failed and attempt `n + 1` will follow: the task is pending again. */
export const TaskRetrying = z.object({
  n: z.number().int().positive(),
  class: FailureClass,
  reason: z.string().nullable(),
  /** It waits so long before that, from this event's time in the stream; absent: it does not. */
  delayMs: z.number().int().positive().optional(),
  /** What it needs from now on, where that is more than before. */
  needs: Needs.optional(),
  /** The agent it was requeued from: another one is preferred. */
  avoid: Token.optional(),
  /** That agent is lost: attempt `n` may live on there, and is ended when it is back. */
  superseded: z.literal(true).optional(),
  without,
});

export const TaskEnded = z.object({
  outcome: TaskOutcome,
  /** The attempt that decided; null when there was none. */
  n: z.number().int().positive().nullable(),
  stage: Stage.nullable(),
  class: FailureClass.nullable(),
  reason: z.string().nullable(),
  without,
});
export type TaskEnded = z.infer<typeof TaskEnded>;
