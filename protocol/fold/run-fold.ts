/**
 * One run, folded from BM_EVENTS: the only source of what anybody is shown of it (I2).
 *
 *   run.submitted --expand--> tasks        (pure: 10,000 tasks are one event)
 *   attempt events ---------> attempt --> its task, if it is the task's current attempt
 *   task.*, run.* ----------> task, run
 *
 * The fold is a value owned by whoever folds; `applyToRun` changes it in place because a run may
 * have 100,000 tasks, but depends on nothing except the fold and the record. The same records in the
 * same order give the same fold.
 */
import { parseSubject } from '../messages/subjects.ts';
import type { RunOutcome, RunState, TaskOutcome, TaskState } from '../messages/attempt/outcome.ts';
import type { Preemptor } from '../messages/run/command.ts';
import type { MessageData } from '../messages/catalog.ts';
import type { SuiteSpec } from '../messages/run/suite-spec.ts';
import { expandTasks, type PlannedTask } from '../suite/expand.ts';
import { countEnd, tallyOf, type CellTally } from './cell-tally.ts';
import { beginCycles, createCycles, type Cycles } from './cycles.ts';
import type { RunNoted, RunSubmitted } from '../messages/run/run.ts';
import { applyToAttempt } from './attempt-fold.ts';
import { attemptOfEvent } from './attempt-of-event.ts';
import { refold } from './gang-fold.ts';
import { changeAttempt, packOver, putAttempt, tidy } from './task-attempts.ts';
import type { PackedAttempts } from './packed/packed-attempts.ts';
import { addPause, addResume, createPauses, pauseOf, type Pauses } from './pauses.ts';
import { applyToRamp } from './ramp-fold.ts';
import { applyToRanks } from './replaced-ranks.ts';
import type { EventRecord } from './record.ts';
import {
  advanceTask,
  createTaskFold,
  endTask,
  leaveBehind,
  type TaskEnd,
  type TaskFold,
} from './task-fold.ts';

type RunTaskRequeued = MessageData<'run.task_requeued'>;

export interface RunStop {
  readonly command: string;
  /** Its sequence in BM_COMMANDS. */
  readonly sequence: number;
  /** One task, or null for the whole run. */
  readonly task: string | null;
  readonly by: string;
  readonly reason: string | null;
  readonly readMs: number;
  result: 'dead' | 'unproven' | 'unkillable' | null;
  /** Of a requeue: the task that it made room for. */
  readonly preemptedBy?: Preemptor;
}

export interface RunNote extends RunNoted {
  readonly timeMs: number;
}

export interface RunFold {
  readonly run: string;
  /** Sequence of the last record that changed or confirmed this fold; 0 before the first. */
  sequence: number;
  submitted: RunSubmitted | null;
  submittedMs: number;
  startedMs: number | null;
  endedMs: number | null;
  /** Stream time of the run's last record. */
  lastMs: number;
  /** Forward only; `runStateOf` says whether it is paused. */
  state: Exclude<RunState, 'paused'>;
  outcome: RunOutcome | null;
  reason: string | null;
  readonly stops: RunStop[];
  /** Of tasks, that went on elsewhere. */
  readonly requeues: RunStop[];
  readonly pauses: Pauses;
  readonly notes: RunNote[];
  readonly tasks: Map<string, TaskFold>;
  /** Attempts that are over; null where they stay as they are. */
  readonly packed: PackedAttempts | null;
  readonly states: Record<TaskState, number>;
  readonly outcomes: Partial<Record<TaskOutcome, number>>;
  /** As submitted, or as changed since. */
  priority: number;
  maxParallel: number | null;
  /** Of a run that measures its cells until its budget ends; null for others. */
  cycles: Cycles | null;
  /** Its budget is used up, and what ran then goes on to its end. */
  isBudgetUsed: boolean;
  /** Of a run that measures a cell more than once; null for others. */
  tally: CellTally | null;
  /** Agents silent past their lease, as the coordinator observed. */
  readonly unreachable: Set<string>;
  /** Where the run's directory is, once complete. Not part of the view: the view ends with the run. */
  archived: string | null;
}

const RANK: Readonly<Record<RunFold['state'], number>> = {
  submitted: 0,
  running: 1,
  stopping: 2,
  ended: 3,
};

/** With `packed` it holds little of what is over, and a look at it takes longer. */
export function createRunFold(run: string, packed: PackedAttempts | null = null): RunFold {
  return {
    run,
    sequence: 0,
    submitted: null,
    submittedMs: 0,
    startedMs: null,
    endedMs: null,
    lastMs: 0,
    state: 'submitted',
    outcome: null,
    reason: null,
    stops: [],
    requeues: [],
    pauses: createPauses(),
    notes: [],
    tasks: new Map(),
    packed,
    states: { pending: 0, assigned: 0, running: 0, ended: 0 },
    outcomes: {},
    priority: 0,
    maxParallel: null,
    cycles: null,
    isBudgetUsed: false,
    tally: null,
    unreachable: new Set(),
    archived: null,
  };
}

/** `paused` stands beside `submitted` and `running`. */
export function runStateOf({ state, pauses }: Pick<RunFold, 'state' | 'pauses'>): RunState {
  const mayPause = state === 'submitted' || state === 'running';
  return mayPause && pauseOf(pauses, null) !== null ? 'paused' : state;
}

/** The suite wants automatic metrics in tables of results. */
export function showsAutomatic({ submitted }: Pick<RunFold, 'submitted'>): boolean {
  return submitted?.suite.automatic === true;
}

/** Applies one record. Records of other runs, repeats and what comes after the end change nothing. */
export function applyToRun(fold: RunFold, record: EventRecord): void {
  const { message, timeMs } = record;
  const subject = parseSubject(record.subject);
  if (subject === null || record.sequence <= fold.sequence) return;
  if (subject.kind === 'fleet') {
    applyFleet(fold, subject.agent, record);
    return;
  }
  if (message.name === 'run.archived' && subject.kind === 'run' && subject.run === fold.run) {
    fold.archived = message.data.directory;
    return;
  }
  if (fold.state === 'ended') return;
  switch (subject.kind) {
    case 'run':
      if (subject.run !== fold.run) return;
      applyRunEvent(fold, record);
      break;
    case 'task':
      if (subject.run !== fold.run) return;
      applyTaskEvent(fold, subject.task, record);
      break;
    case 'attempt':
      if (subject.ref.run !== fold.run) return;
      applyAttemptEvent(
        fold,
        { agent: subject.agent, task: subject.ref.task, n: subject.ref.n },
        record,
      );
      break;
    default:
      return;
  }
  fold.sequence = record.sequence;
  fold.lastMs = Math.max(fold.lastMs, timeMs);
}

function applyFleet(fold: RunFold, agent: string, record: EventRecord): void {
  if (fold.state === 'ended') return;
  if (record.message.name === 'agent.unreachable') fold.unreachable.add(agent);
  else if (/^agent\.(returned|forgotten)$/.test(record.message.name))
    fold.unreachable.delete(agent);
  else return;
  // Observations from before the run are its starting point, not events of it.
  if (fold.submitted !== null) fold.sequence = record.sequence;
}

function applyRunEvent(fold: RunFold, record: EventRecord): void {
  const { message, timeMs } = record;
  switch (message.name) {
    case 'run.submitted':
      if (fold.submitted !== null) return;
      fold.submitted = message.data;
      fold.submittedMs = timeMs;
      fold.priority = message.data.suite.priority;
      fold.maxParallel = message.data.suite.maxParallel;
      addTasks(fold, message.data.suite);
      return;
    case 'run.cycle_started':
      if (fold.cycles === null) return;
      for (const task of beginCycles(fold.cycles, message.data.cycle)) addTask(fold, task);
      return;
    case 'run.budget_used':
      fold.isBudgetUsed = true;
      return;
    case 'run.tasks_withdrawn':
      for (const id of message.data.tasks) withdraw(fold, id);
      return;
    case 'run.started':
      forward(fold, 'running');
      fold.startedMs ??= timeMs;
      return;
    case 'run.stopping':
      addStop(fold.stops, message.data, null, timeMs);
      forward(fold, 'stopping');
      return;
    case 'run.task_stopping':
      addStop(fold.stops, message.data, message.data.task, timeMs);
      return;
    case 'run.task_requeued':
      addStop(fold.requeues, message.data, message.data.task, timeMs);
      return;
    case 'run.paused':
      addPause(fold.pauses, message.data, timeMs);
      return;
    case 'run.resumed':
      addResume(fold.pauses, message.data, timeMs);
      return;
    case 'run.changed':
      fold.priority = message.data.priority ?? fold.priority;
      if (message.data.maxParallel !== undefined) fold.maxParallel = message.data.maxParallel;
      return;
    case 'run.noted': {
      const { data } = message;
      if (!fold.notes.some(({ note }) => note === data.note)) fold.notes.push({ ...data, timeMs });
      return;
    }
    case 'run.stop_closed': {
      const stop = [...fold.stops, ...fold.requeues, ...fold.pauses.all].find(
        (one) => one.command === message.data.command,
      );
      if (stop !== undefined) stop.result ??= message.data.result;
      return;
    }
    case 'run.tasks_ended': {
      const { outcome, reason } = message.data;
      const end: TaskEnd = { outcome, stage: null, class: null, reason, timeMs };
      for (const id of message.data.tasks) finish(fold, fold.tasks.get(id), end);
      return;
    }
    case 'run.ended':
      forward(fold, 'ended');
      fold.outcome = message.data.outcome;
      fold.reason = message.data.reason;
      fold.endedMs = timeMs;
      return;
    default:
      return;
  }
}

function addTasks(fold: RunFold, suite: SuiteSpec): void {
  const tasks = expandTasks(suite);
  fold.cycles = createCycles(suite, tasks);
  fold.tally = tallyOf(suite, tasks);
  for (const task of tasks) addTask(fold, task);
}

function addTask(fold: RunFold, task: PlannedTask): void {
  if (fold.tasks.has(task.id)) return; // two ids in 2^60 that are the same
  fold.tasks.set(task.id, createTaskFold(task, fold.packed));
  fold.states.pending += 1;
}

/** Only what was never handed out: nothing is ever said of it again. */
function withdraw(fold: RunFold, id: string): void {
  const task = fold.tasks.get(id);
  if (fold.cycles === null || task === undefined || task.state === 'ended') return;
  fold.tasks.delete(id);
  fold.states[task.state] -= 1;
  fold.cycles.withdrawn += 1;
}

function applyTaskEvent(fold: RunFold, id: string, record: EventRecord): void {
  const task = fold.tasks.get(id);
  const { message, timeMs } = record;
  if (task === undefined) return;
  if (message.name === 'task.retrying') {
    const { n, delayMs, class: why, superseded, avoid, without = [], needs } = message.data;
    const lost = superseded === true && avoid !== undefined ? [avoid] : [];
    if (n >= task.n) leaveBehind(task, n, [...lost, ...without]);
    if (!move(fold, task, n + 1, 'pending')) return;
    const raised = needs === undefined ? {} : { needs };
    (task.retries ??= []).push({ n, class: why, timeMs, ...raised });
    task.retryAtMs = delayMs === undefined ? null : timeMs + delayMs;
  } else if (message.name === 'task.stage_opened' || message.name === 'task.ramp_ended') {
    changeAttempt(task, message.data.n, (attempt) => {
      applyToRamp(attempt, message);
    });
  } else if (message.name === 'task.rank_lost' || message.name === 'task.rank_replaced') {
    applyToRanks(task, message, timeMs);
  } else if (message.name === 'task.ended') {
    const { n, without = [] } = message.data;
    if (task.state !== 'ended' && n !== null) leaveBehind(task, n, without);
    finish(fold, task, { ...message.data, timeMs });
  }
}

function applyAttemptEvent(
  fold: RunFold,
  at: { agent: string; task: string; n: number },
  record: EventRecord,
): void {
  const task = fold.tasks.get(at.task);
  const { message, timeMs } = record;
  if (task === undefined) return;
  const found = attemptOfEvent(task, at, record);
  if (found === null) return;
  const { attempt, own, isNew, isLate = false } = found;
  if (isNew) move(fold, task, at.n, 'assigned');
  const isChanged = applyToAttempt(own, message, timeMs);
  if (isChanged) refold(attempt);
  if (isChanged || isNew || isLate) putAttempt(task, at.n, attempt);
  tidy(fold.packed, fold.tasks.values());
  if (!isChanged) return;
  if (message.name === 'attempt.step_started' && at.n === task.n) {
    move(fold, task, at.n, 'running');
    task.startedMs ??= timeMs;
  }
}

function addStop(
  stops: RunStop[],
  data: Pick<RunTaskRequeued, 'command' | 'stopSequence' | 'by' | 'reason' | 'preemptedBy'>,
  task: string | null,
  readMs: number,
): void {
  if (stops.some((stop) => stop.command === data.command)) return;
  const { command, by, reason, preemptedBy } = data;
  const sequence = data.stopSequence;
  const stop: RunStop = { command, sequence, task, by, reason, readMs, result: null };
  stops.push(preemptedBy === undefined ? stop : { ...stop, preemptedBy });
}

function forward(fold: RunFold, state: RunFold['state']): void {
  if (RANK[state] > RANK[fold.state]) fold.state = state;
}

/** False where that is not forward. */
function move(fold: RunFold, task: TaskFold, n: number, state: TaskState): boolean {
  const before = task.state;
  const beforeN = task.n;
  if (!advanceTask(task, n, state)) return false;
  if (n > beforeN) packOver(task);
  task.retryAtMs = null;
  fold.states[before] -= 1;
  fold.states[state] += 1;
  return true;
}

function finish(fold: RunFold, task: TaskFold | undefined, end: TaskEnd): void {
  if (task === undefined) return;
  const before = task.state;
  if (!endTask(task, end)) return;
  packOver(task);
  fold.states[before] -= 1;
  fold.states.ended += 1;
  task.retryAtMs = null;
  if (fold.tally !== null) countEnd(fold.tally, task.index, end.outcome);
  fold.outcomes[end.outcome] = (fold.outcomes[end.outcome] ?? 0) + 1;
}
