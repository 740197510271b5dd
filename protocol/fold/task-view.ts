/** A task as people and machines are shown it: plain JSON made from its fold and its run's (I2). */
import type { AxisValue } from '../messages/ids.ts';
import type {
  FailureClass,
  Metric,
  Stage,
  TaskOutcome,
  TaskState,
} from '../messages/attempt/outcome.ts';
import type { AttemptExited } from '../messages/attempt/attempt.ts';
import type { Needs } from '../messages/attempt/needs.ts';
import type { AttemptResources } from '../messages/agent/resources.ts';
import type { PerturbationReason } from '../messages/agent/telemetry.ts';
import type { Preemptor } from '../messages/run/command.ts';
import { addedPriority } from '../suite/task-priority.ts';
import type { AttemptFold } from './attempt-fold.ts';
import type { CellCounts } from './cell-tally.ts';
import { agentsOf, isOutOfReach, membersOf } from './gang-fold.ts';
import { repeatsOf } from './cycle-view.ts';
import { noteView, pausedOf, preemptorOf, type NoteView, type Paused } from './orders-view.ts';
import type { RunFold } from './run-fold.ts';
import { iso, isoOrNull } from './stream-date.ts';
import { acceptedAttempts } from './task-attempts.ts';
import { currentAttempt, elapsedOf, raisedNeedsOf, type TaskFold } from './task-fold.ts';

export interface TaskView {
  readonly id: string;
  readonly index: number;
  readonly axes: Readonly<Record<string, AxisValue>>;
  readonly repeat: number;
  readonly state: TaskState;
  readonly outcome: TaskOutcome | null;
  /** The current attempt's number; 0 before the first was accepted. */
  readonly n: number;
  /** Attempts accepted so far, but for those that were given back before they began. */
  readonly attempts: number;
  readonly agent: string | null;
  readonly address: string | null;
  /** Of a task on several hosts: the agents of its ranks that have accepted it, by rank. */
  readonly agents?: readonly string[];
  readonly unreachable: boolean;
  /** What holds it: when its attempt has ended it waits, pending, until it is resumed. */
  readonly paused: Paused | null;
  readonly priority: number;
  /** It waits for room again: its attempt was ended for that task, of a higher priority. */
  readonly preemptedBy?: Preemptor;
  /** How the repeats of its cell have ended; absent where they agree. */
  readonly flaky?: CellCounts;
  /** What it needs since a further attempt asks for more; absent: as its suite says. */
  readonly needs?: Needs;
  /** It waits until then before it is tried again; the stream's clock. */
  readonly retryAt?: string;
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
  readonly notes: readonly NoteView[];
}

export function taskView(fold: RunFold, task: TaskFold): TaskView {
  const preemptedBy = preemptorOf(fold, task);
  const attempts = acceptedAttempts(task);
  const attempt = attempts.find(({ n }) => n === task.n) ?? attempts.at(-1) ?? null;
  return {
    id: task.id,
    index: task.index,
    axes: task.axes,
    repeat: task.repeat,
    state: task.state,
    outcome: task.outcome,
    n: attempts.length === 0 ? 0 : task.n,
    attempts: attempts.filter((one) => !isGivenBack(one)).length,
    agent: attempt?.agent ?? null,
    address: attempt?.address ?? null,
    ...agentsOf(attempt),
    unreachable: isUnreachable(fold, task),
    paused: task.state === 'ended' || fold.state === 'stopping' ? null : pausedOf(fold, task.id),
    priority: priorityOf(fold, task),
    ...(preemptedBy && { preemptedBy }),
    ...repeatsOf(fold, task),
    ...raisedOf(task),
    created: iso(fold.submittedMs),
    started: isoOrNull(task.startedMs),
    ended: isoOrNull(task.endedMs),
    elapsedMs: elapsedOf(attempts),
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
    notes: fold.notes.filter((note) => note.task === task.id).map(noteView),
  };
}

/** Its agent drained, or it was taken back: nothing of it ever ran. */
function isGivenBack({ exited }: AttemptFold): boolean {
  return exited?.outcome === 'skipped' && exited.class === 'drained';
}

function raisedOf(task: TaskFold): Pick<TaskView, 'needs'> {
  const needs = raisedNeedsOf(task, task.n);
  return needs === null ? {} : { needs };
}

function priorityOf({ submitted, priority }: RunFold, { axes }: TaskFold): number {
  return submitted === null ? priority : priority + addedPriority(submitted.suite, axes);
}

/** Each reason once, of all ranks of a gang. */
function perturbedOf(attempt: AttemptFold | null): PerturbationReason[] | null {
  const measured =
    attempt === null ? [] : membersOf(attempt).flatMap((one) => one.exited?.telemetry ?? []);
  if (measured.length === 0) return null;
  return [
    ...new Set(measured.flatMap(({ perturbed }) => (perturbed ?? []).map(({ reason }) => reason))),
  ];
}

/** Every task, in the order of the matrix. */
export function taskViews(fold: RunFold): TaskView[] {
  return Array.from(fold.tasks.values(), (task) => taskView(fold, task));
}

function isUnreachable(fold: RunFold, task: TaskFold): boolean {
  const attempt = currentAttempt(task);
  return task.state !== 'ended' && attempt !== null && isOutOfReach(fold, attempt);
}
