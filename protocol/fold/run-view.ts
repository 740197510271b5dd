/**
 * Views: what people and machines are shown, as plain JSON made from a fold. Nothing in them
 * depends on the reader's clock, host or locale: at equal sequence two readers get equal bytes (I2).
 */
import type { AxisValue } from '../messages/ids.ts';
import type { RunSubmitted } from '../messages/run/run.ts';
import type { TaskOrder } from '../messages/run/suite-spec.ts';
import type {
  FailureClass,
  Metric,
  RunOutcome,
  RunState,
  Stage,
  TaskOutcome,
  TaskState,
} from '../messages/attempt/outcome.ts';
import type { AttemptExited, LostFile, StepResult } from '../messages/attempt/attempt.ts';
import type { StoredFile } from '../messages/attempt/stored-file.ts';
import type { AttemptResources } from '../messages/agent/resources.ts';
import type { AttemptHealth } from '../messages/attempt/health.ts';
import type { AttemptTelemetry, PerturbationReason } from '../messages/agent/telemetry.ts';
import type { ReportSummary } from '../messages/attempt/report.ts';
import { addedPriority } from '../suite/task-priority.ts';
import {
  lastFiles,
  type AttemptFold,
  type AttemptState,
  type SaidMessage,
} from './attempt-fold.ts';
import { pauseOf, type RunPause } from './pauses.ts';
import { runStateOf, type RunFold, type RunStop } from './run-fold.ts';
import { currentAttempt, taskElapsedMs, type TaskFold } from './task-fold.ts';

export interface RunView {
  readonly id: string;
  readonly suite: string;
  readonly suiteFile: string | null;
  readonly profile: string | null;
  readonly by: string;
  /** Of the run, as it is now; higher first. */
  readonly priority: number;
  /** Null: no limit. */
  readonly maxParallel: number | null;
  /** Which of its tasks goes first. */
  readonly order: OrderView;
  readonly state: RunState;
  readonly outcome: RunOutcome | null;
  readonly reason: string | null;
  /** ISO 8601, the stream's clock. */
  readonly submitted: string;
  readonly started: string | null;
  readonly ended: string | null;
  /** From submission to the end, or to the last event folded; the stream's clock. */
  readonly elapsedMs: number;
  readonly tasks: number;
  readonly states: Readonly<Record<TaskState, number>>;
  readonly outcomes: Readonly<Partial<Record<TaskOutcome, number>>>;
  readonly stops: readonly StopSummary[];
  /** What holds the whole run now; null where nothing does. */
  readonly paused: Paused | null;
  /** Every pause of it and of its tasks, as read. */
  readonly pauses: readonly PauseSummary[];
  /** What is assigned or running now, in the order of the matrix. */
  readonly current: readonly CurrentTask[];
}

export interface OrderView {
  readonly by: 'listed' | TaskOrder['by'];
  /** Of `random`. */
  readonly seed: number | null;
  /** The run whose results it goes by; null where it goes by none, or there was none. */
  readonly basis: string | null;
}

interface StopSummary {
  readonly command: string;
  readonly task: string | null;
  readonly by: string;
  readonly reason: string | null;
  readonly result: RunStop['result'];
}

export type Paused = Pick<RunPause, 'by' | 'reason'>;
type PauseSummary = StopSummary & Pick<RunPause, 'resumedBy'>;

interface CurrentTask {
  readonly id: string;
  readonly axes: Readonly<Record<string, AxisValue>>;
  readonly repeat: number;
  readonly n: number;
  readonly agent: string;
  readonly state: AttemptState;
  readonly phase: string | null;
  readonly progress: number | null;
  /** What the benchmark last told people. */
  readonly message: string | null;
  readonly elapsedMs: number;
  readonly unreachable: boolean;
}

export interface AttemptView {
  readonly n: number;
  readonly agent: string;
  readonly host: string;
  readonly address: string;
  readonly state: AttemptState;
  readonly outcome: string | null;
  readonly stage: Stage | null;
  readonly class: FailureClass | null;
  readonly reason: string | null;
  readonly accepted: string;
  readonly started: string | null;
  readonly exited: string | null;
  readonly elapsedMs: number;
  readonly phase: string | null;
  readonly progress: number | null;
  readonly adoptions: number;
  readonly stop: {
    readonly command: string;
    readonly by: string;
    readonly reason: string | null;
  } | null;
  readonly steps: readonly StepResult[];
  readonly files: readonly StoredFile[];
  /** The last time that somebody had them taken once more, if any. */
  readonly collected: AttemptFold['collected'];
  /** The newest that is stored. */
  readonly checkpoint: {
    readonly number: number;
    readonly files: readonly StoredFile[];
  } | null;
  /** Why the last checkpoint that was not stored was not. */
  readonly checkpointRefused: string | null;
  readonly resumed: AttemptFold['resumed'];
  /** It ended and did not pass: what it left is not the task's result. */
  readonly partial: boolean;
  /** Matched by the suite's `files`, and could not be kept. */
  readonly missingFiles: readonly LostFile[];
  readonly logBytes: number | null;
  /** Bytes of the log that were dropped on the host, as [from, to) ranges. */
  readonly logGaps: AttemptExited['logGaps'];
  /** The first line of the report that could not be read. */
  readonly malformedReport: string | null;
  readonly teardownFailure: string | null;
  readonly proven: boolean | null;
  readonly survivors: readonly number[];
  /** The end of stderr of the step that failed. */
  readonly stderrTail: NonNullable<AttemptExited['stderrTail']> | null;
  /** Measured by the agent without being asked. */
  readonly automatic: readonly Metric[];
  /** Null while it runs, and where nothing was measured. */
  readonly telemetry: AttemptTelemetry | null;
  /** What keeps it from beginning on its host, beside its turn: a fence. */
  readonly waiting: string | null;
  /** What it was given, and of what host. Null before it began. */
  readonly resources: AttemptResources | null;
  /** The last lines of the benchmark's for people. */
  readonly messages: readonly SaidMessage[];
  /** The last change of each rule of the suite's health. */
  readonly health: readonly AttemptHealth[];
  /** What came by the report; null while it runs, and where nothing did. */
  readonly report: ReportSummary | null;
}

export interface TaskView {
  readonly id: string;
  readonly index: number;
  readonly axes: Readonly<Record<string, AxisValue>>;
  readonly repeat: number;
  readonly state: TaskState;
  readonly outcome: TaskOutcome | null;
  /** The current attempt's number; 0 before the first was accepted. */
  readonly n: number;
  /** Attempts accepted so far. */
  readonly attempts: number;
  readonly agent: string | null;
  readonly address: string | null;
  readonly unreachable: boolean;
  /** What holds it: when its attempt has ended it waits, pending, until it is resumed. */
  readonly paused: Paused | null;
  readonly priority: number;
  readonly created: string;
  readonly started: string | null;
  readonly ended: string | null;
  readonly elapsedMs: number;
  readonly phase: string | null;
  readonly progress: number | null;
  readonly stage: Stage | null;
  readonly class: FailureClass | null;
  readonly message: string | null;
  readonly metrics: readonly Metric[];
  readonly automatic: readonly Metric[];
  readonly stderrTail: NonNullable<AttemptExited['stderrTail']> | null;
  /** What disturbed the current attempt, none for peace; null where nothing was measured. */
  readonly perturbed: readonly PerturbationReason[] | null;
  /** Of the current attempt: what keeps it from beginning on its host, beside its turn. */
  readonly waiting: string | null;
  /** Of the current attempt: the GPUs and CPUs it was given, and the host it began on. */
  readonly resources: AttemptResources | null;
}

/** The run in full JSON form; null before `run.submitted` was folded. */
export function runView(fold: RunFold): RunView | null {
  const { submitted } = fold;
  if (submitted === null) return null;
  return {
    id: fold.run,
    suite: submitted.suite.name,
    suiteFile: submitted.suiteFile,
    profile: submitted.suite.profile,
    by: submitted.by,
    priority: fold.priority,
    maxParallel: fold.maxParallel,
    order: orderView(submitted),
    state: runStateOf(fold),
    outcome: fold.outcome,
    reason: fold.reason,
    submitted: iso(fold.submittedMs),
    started: isoOrNull(fold.startedMs),
    ended: isoOrNull(fold.endedMs),
    elapsedMs: (fold.endedMs ?? fold.lastMs) - fold.submittedMs,
    tasks: fold.tasks.size,
    states: { ...fold.states },
    outcomes: sortedOutcomes(fold),
    stops: fold.stops.map(({ command, task, by, reason, result }) => ({
      command,
      task,
      by,
      reason,
      result,
    })),
    paused: runStateOf(fold) === 'paused' ? pausedOf(fold, null) : null,
    pauses: fold.pauses.all.map(({ command, task, by, reason, result, resumedBy }) => ({
      command,
      task,
      by,
      reason,
      result,
      resumedBy,
    })),
    current: fold.states.assigned + fold.states.running === 0 ? [] : currentTasks(fold),
  };
}

function orderView({ suite: { order }, basis = null }: RunSubmitted): OrderView {
  const seed = order?.by === 'random' ? order.seed : null;
  return { by: order?.by ?? 'listed', seed, basis };
}

export function taskView(fold: RunFold, task: TaskFold): TaskView {
  const attempt = currentAttempt(task) ?? lastAttempt(task);
  return {
    id: task.id,
    index: task.index,
    axes: task.axes,
    repeat: task.repeat,
    state: task.state,
    outcome: task.outcome,
    n: task.attempts.length === 0 ? 0 : task.n,
    attempts: task.attempts.filter((one) => one !== undefined).length,
    agent: attempt?.agent ?? null,
    address: attempt?.address ?? null,
    unreachable: isUnreachable(fold, task),
    paused: task.state === 'ended' || fold.state === 'stopping' ? null : pausedOf(fold, task.id),
    priority: priorityOf(fold, task),
    created: iso(fold.submittedMs),
    started: isoOrNull(task.startedMs),
    ended: isoOrNull(task.endedMs),
    elapsedMs: taskElapsedMs(task),
    phase: attempt?.phase ?? null,
    progress: attempt?.progress ?? null,
    stage: task.stage,
    class: task.class,
    message: task.reason,
    metrics: attempt?.exited?.metrics ?? [],
    automatic: attempt?.exited?.automatic ?? [],
    stderrTail: attempt?.exited?.stderrTail ?? null,
    perturbed: perturbedOf(attempt),
    waiting: attempt?.waiting ?? null,
    resources: attempt?.resources ?? null,
  };
}

function priorityOf({ submitted, priority }: RunFold, { axes }: TaskFold): number {
  return submitted === null ? priority : priority + addedPriority(submitted.suite, axes);
}

function pausedOf(fold: RunFold, task: string | null): Paused | null {
  const pause = pauseOf(fold.pauses, task);
  return pause === null ? null : { by: pause.by, reason: pause.reason };
}

/** Each reason once. */
function perturbedOf(attempt: AttemptFold | null): PerturbationReason[] | null {
  const telemetry = attempt?.exited?.telemetry;
  if (telemetry === undefined) return null;
  return [...new Set((telemetry.perturbed ?? []).map(({ reason }) => reason))];
}

/** Every task, in the order of the matrix. */
export function taskViews(fold: RunFold): TaskView[] {
  return Array.from(fold.tasks.values(), (task) => taskView(fold, task));
}

export function attemptView(attempt: AttemptFold): AttemptView {
  const { exited } = attempt;
  return {
    n: attempt.n,
    agent: attempt.agent,
    host: attempt.host,
    address: attempt.address,
    state: attempt.state,
    outcome: exited?.outcome ?? null,
    stage: exited?.stage ?? null,
    class: exited?.class ?? null,
    reason: exited?.reason ?? null,
    accepted: iso(attempt.acceptedMs),
    started: isoOrNull(attempt.startedMs),
    exited: isoOrNull(attempt.exitedMs),
    elapsedMs: attempt.elapsedMs,
    phase: attempt.phase,
    progress: attempt.progress,
    adoptions: attempt.adoptions,
    stop: exited?.stop ?? attempt.stopping,
    steps: exited?.steps ?? [],
    files: lastFiles(attempt.files),
    collected: attempt.collected,
    checkpoint: attempt.checkpoints.at(-1) ?? null,
    checkpointRefused: attempt.checkpointRefused,
    resumed: attempt.resumed,
    partial: exited !== null && exited.outcome !== 'passed',
    missingFiles: attempt.filesLost,
    logBytes: exited?.logBytes ?? null,
    logGaps: exited?.logGaps ?? [],
    malformedReport: attempt.malformedReport,
    teardownFailure: exited?.teardownFailure ?? null,
    proven: exited?.proven ?? null,
    survivors: exited?.survivors ?? [],
    stderrTail: exited?.stderrTail ?? null,
    automatic: exited?.automatic ?? [],
    telemetry: exited?.telemetry ?? null,
    waiting: attempt.waiting,
    resources: attempt.resources,
    messages: attempt.messages,
    health: attempt.health,
    report: exited?.report ?? null,
  };
}

/** The attempts of a task that an agent has accepted, oldest first. */
export function attemptViews(task: TaskFold): AttemptView[] {
  return task.attempts.filter((one) => one !== undefined).map(attemptView);
}

function currentTasks(fold: RunFold): CurrentTask[] {
  const current: CurrentTask[] = [];
  for (const task of fold.tasks.values()) {
    if (task.state !== 'assigned' && task.state !== 'running') continue;
    const attempt = currentAttempt(task);
    if (attempt === null) continue;
    current.push({
      id: task.id,
      axes: task.axes,
      repeat: task.repeat,
      n: task.n,
      agent: attempt.agent,
      state: attempt.state,
      phase: attempt.phase,
      progress: attempt.progress,
      message: attempt.messages.at(-1)?.text ?? null,
      elapsedMs: attempt.elapsedMs,
      unreachable: fold.unreachable.has(attempt.agent),
    });
  }
  return current;
}

function isUnreachable(fold: RunFold, task: TaskFold): boolean {
  const attempt = currentAttempt(task);
  return (
    task.state !== 'ended' &&
    attempt !== null &&
    attempt.state !== 'exited' &&
    fold.unreachable.has(attempt.agent)
  );
}

function lastAttempt(task: TaskFold): AttemptFold | null {
  return task.attempts.findLast((one) => one !== undefined) ?? null;
}

function sortedOutcomes(fold: RunFold): Partial<Record<TaskOutcome, number>> {
  return Object.fromEntries(Object.entries(fold.outcomes).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const iso = (ms: number): string => new Date(ms).toISOString();
const isoOrNull = (ms: number | null): string | null => (ms === null ? null : iso(ms));
