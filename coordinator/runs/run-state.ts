/**
 * What the coordinator needs to know of one live run to decide: beside the fold that everybody
 * shares (I2), the current attempt of each task and what is on its way.
 */
import { expandTasks, type PlannedTask } from '#protocol/suite/expand.ts';
import { needClasses, type NeedClasses } from '#protocol/suite/task-needs.ts';
import { addedPriorities } from '#protocol/suite/task-priority.ts';
import { createPackedAttempts } from '#protocol/fold/packed/packed-attempts.ts';
import { createRunFold, type RunFold } from '#protocol/fold/run-fold.ts';
import type { FailureClass, TaskOutcome } from '#protocol/messages/attempt/outcome.ts';
import type { Needs } from '#protocol/messages/attempt/needs.ts';
import type { RunSubmitted } from '#protocol/messages/run/run.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import type { EndsThere } from '../fleet/failing-policy.ts';
import type { Gang } from './gang-state.ts';
import type { AttemptEnd } from './retry-policy.ts';

/**
 *   pending -> assigned -> deciding -> ended
 *      ^___________________/ (a retry: n + 1)
 *
 * `assigned`: a start is stored, or on its way. `deciding`: the current attempt has ended, what
 * follows is not stored yet. `leaving`: pending under a stop, its end is on its way. What is paused is
 * pending, and not in the scheduler's queue.
 */
export type TaskPhase = 'pending' | 'assigned' | 'deciding' | 'leaving' | 'ended';

export interface TaskEntry {
  readonly id: string;
  readonly index: number;
  readonly plan: PlannedTask;
  phase: TaskPhase;
  /** The current attempt. */
  n: number;
  /** Sequence of the newest stop of this task; 0 for none. */
  stopSequence: number;
  /** As the stop's: of its newest pause, and of the newest pause that a resume knew of. */
  pauseSequence: number;
  resumedSequence: number;
  /** Of its newest requeue; 0 for none. */
  requeueSequence: number;
  /** Further attempts by class of failure; null for none. */
  used: Partial<Record<FailureClass, number>> | null;
  /** What it needs since they were raised; null: as its suite says. */
  needs: Needs | null;
  /** Agents that were lost with an attempt of it, each once; null for none. */
  lostWith: readonly string[] | null;
}

/** A start without a proven end. */
export interface OpenAttempt {
  /** In `open`: `task#n`, of a rank of a gang with its agent. */
  readonly key: string;
  readonly task: string;
  readonly n: number;
  readonly agent: string;
  afterStop: number;
  /** Sequence of its start in BM_COMMANDS; null while that is not known. */
  sequence: number | null;
  /** It has ended, but not proven: it holds no slot, a stop still asks for proof (I5). */
  exited: boolean;
  /** The task has gone on without it, its agent being lost: it holds no slot, a stop still asks for proof. */
  superseded?: true;
  /** Its agent was forgotten: nobody waits for it. */
  gone?: true;
  /** It has left survivors: what it held of locks they hold, until they are gone. */
  survives?: true;
}

/** The revoke of an attempt whose agent is lost. */
export interface Revoked {
  /** Command id. */
  readonly id: string;
  readonly agent: string;
  /** In BM_COMMANDS; null while it is on its way. */
  readonly sequence: number | null;
}

export interface StoredObject {
  readonly agent: string;
  readonly sha256: string;
}

export interface ReplacedObject extends StoredObject {
  /** Monotonic, ms. */
  readonly sinceMs: number;
}

/** `no` -> `asked` (on its way) -> `stored`. */
export type Progress = 'no' | 'asked' | 'stored';

/** `unread`: nothing of the run is served. `gone`: it is served as listed. */
export interface Basis {
  readonly run: string;
  state: 'unread' | 'read' | 'gone';
}

export interface RunEntry {
  readonly id: string;
  readonly order: number;
  readonly suite: SuiteSpec;
  readonly fold: RunFold;
  readonly tasks: Map<string, TaskEntry>;
  /** By index; grows with each cycle. */
  readonly listed: TaskEntry[];
  /** The newest cycle that this leader has asked for; 0 for none. */
  cycleAsked: number;
  /** Tasks that waited were ended by its budget. */
  isCutShort: boolean;
  /** The run whose results its order goes by; null for none. */
  readonly basis: Basis | null;
  /** As submitted, or as changed since. */
  priority: number;
  maxParallel: number | null;
  /** By index, over and over in later cycles: what a task's priority has over the run's; null for nothing. */
  readonly added: Float64Array | null;
  /** What its tasks need, by class. */
  readonly needs: NeedClasses;
  /** Ends of current attempts whose consequence is not stored yet, by task. */
  readonly undecided: Map<string, AttemptEnd>;
  /** Tasks held back before attempt `n`, by id: until when (held-retries.ts). */
  readonly held: Map<string, { readonly n: number; dueMs: number }>;
  /** By their keys. */
  readonly open: Map<string, OpenAttempt>;
  /** Of attempts whose agents are lost, by their keys. */
  readonly revokes: Map<string, Revoked>;
  /** Sequences in BM_COMMANDS of what asks for work ahead to be given back, by `task#n`, until it is answered. */
  readonly takeBacks: Map<string, number>;
  /** Command ids of those that their agent has answered. */
  readonly answered: Set<string>;
  /** Newest attempts of tasks on several hosts, by task. */
  readonly gangs: Map<string, Gang>;
  /** Agents that had an attempt: they get `release`. */
  readonly agents: Set<string>;
  /** By class of need and agent: what its newest ends there were. */
  readonly hostEnds: Map<number, Map<string, EndsThere>>;
  readonly counts: Partial<Record<TaskOutcome, number>>;
  /**
   * Objects of checkpoints that newer ones have replaced, by `agent/sha256`, until they are removed; and
   * those told of after its end.
   */
  readonly replaced: Map<string, ReplacedObject>;
  endedTasks: number;
  /**
   * Of its starts in BM_COMMANDS: the newest, how many were stored since some were removed last, and before
   * which none is left.
   */
  readonly starts: { last: number; kept: number; droppedBefore: number };
  /** Sequence of the newest stop of the whole run; 0 for none. */
  stopSequence: number;
  /** As of tasks. */
  pauseSequence: number;
  resumedSequence: number;
  started: Progress;
  /** Monotonic time of this leader's host at which its first start was stored; null before. */
  startedMs: number | null;
  /** As `startedMs`: when it was paused as a whole, while it is. */
  pausedMs: number | null;
  /** Its time is over, and this leader has asked for its end. */
  isBudgetEndAsked: boolean;
  ended: Progress;
  archived: Progress;
  /** Monotonic time after which it is released and purged; null before it is archived. */
  purgeAtMs: number | null;
  purging: boolean;
}

export function createRun(id: string, submitted: RunSubmitted, sequence: number): RunEntry {
  const listed = expandTasks(submitted.suite).map(taskEntry);
  return {
    id,
    order: sequence,
    suite: submitted.suite,
    fold: createRunFold(id, createPackedAttempts()),
    tasks: new Map(listed.map((task) => [task.id, task])),
    listed,
    cycleAsked: 0,
    isCutShort: false,
    priority: submitted.suite.priority,
    maxParallel: submitted.suite.maxParallel,
    basis: basisOf(submitted),
    added: addedPriorities(
      submitted.suite,
      listed.map(({ plan }) => plan),
    ),
    needs: needClasses(
      submitted.suite,
      listed.map(({ plan }) => plan),
    ),
    undecided: new Map(),
    held: new Map(),
    open: new Map(),
    revokes: new Map(),
    takeBacks: new Map(),
    answered: new Set(),
    gangs: new Map(),
    agents: new Set(),
    hostEnds: new Map(),
    counts: {},
    replaced: new Map(),
    endedTasks: 0,
    starts: { last: 0, kept: 0, droppedBefore: 0 },
    stopSequence: 0,
    pauseSequence: 0,
    resumedSequence: 0,
    started: 'no',
    startedMs: null,
    pausedMs: null,
    isBudgetEndAsked: false,
    ended: 'no',
    archived: 'no',
    purgeAtMs: null,
    purging: false,
  };
}

export function taskEntry(plan: PlannedTask): TaskEntry {
  return {
    id: plan.id,
    index: plan.index,
    plan,
    phase: 'pending',
    n: 1,
    stopSequence: 0,
    pauseSequence: 0,
    resumedSequence: 0,
    requeueSequence: 0,
    used: null,
    needs: null,
    lostWith: null,
  };
}

function basisOf({ basis }: RunSubmitted): Basis | null {
  return basis === undefined || basis === null ? null : { run: basis, state: 'unread' };
}

export const openKey = (task: string, n: number): string => `${task}#${n}`;
