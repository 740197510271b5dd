/**
 * Views: what people and machines are shown, as plain JSON made from a fold; those of tasks and attempts
 * stand beside this one. Nothing in them depends on the reader's clock, host or locale: at equal sequence
 * two readers get equal bytes (I2).
 */
import type { AxisValue } from '../messages/ids.ts';
import type { RunSubmitted } from '../messages/run/run.ts';
import type { TaskOrder } from '../messages/run/suite-spec.ts';
import type { RunOutcome, RunState, TaskOutcome, TaskState } from '../messages/attempt/outcome.ts';
import type { AttemptState } from './attempt-fold.ts';
import { cyclesOf, type CyclesView, type FlakyView } from './cycle-view.ts';
import {
  noteView,
  pausedOf,
  stopSummary,
  type NoteView,
  type Paused,
  type PauseSummary,
  type StopSummary,
} from './orders-view.ts';
import { runStateOf, type RunFold } from './run-fold.ts';
import { iso, isoOrNull } from './stream-date.ts';
import { agentsOf, isOutOfReach } from './gang-fold.ts';
import { currentAttempt } from './task-fold.ts';

export interface RunView {
  readonly id: string;
  readonly suite: string;
  readonly suiteFile: string | null;
  readonly profile: string | null;
  readonly by: string;
  /** The run whose tasks it runs again, if any. */
  readonly retryOf: string | null;
  /** Of the run, as it is now; higher first. */
  readonly priority: number;
  /** Null: no limit. */
  readonly maxParallel: number | null;
  /** Which of its tasks goes first. */
  readonly order: OrderView;
  /** Of a run that measures its cells until its budget ends. */
  readonly cycles?: CyclesView;
  /** Cells that have both passed and failed; absent where there are none. */
  readonly flaky?: FlakyView;
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
  /** Of tasks: each ended an attempt, and the next one followed. */
  readonly requeues: readonly StopSummary[];
  /** What holds the whole run now; null where nothing does. */
  readonly paused: Paused | null;
  /** Every pause of it and of its tasks, as read. */
  readonly pauses: readonly PauseSummary[];
  /** What people noted of it and of its tasks, oldest first. */
  readonly notes: readonly NoteView[];
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

interface CurrentTask {
  readonly id: string;
  readonly axes: Readonly<Record<string, AxisValue>>;
  readonly repeat: number;
  readonly n: number;
  readonly agent: string;
  /** Of one on several hosts: those of its ranks, by rank. */
  readonly agents?: readonly string[];
  readonly state: AttemptState;
  /** What it waits for on its host, or at a barrier for other ranks. */
  readonly waiting: string | null;
  readonly phase: string | null;
  readonly progress: number | null;
  /** What the benchmark last told people. */
  readonly message: string | null;
  readonly elapsedMs: number;
  readonly unreachable: boolean;
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
    retryOf: submitted.retryOf ?? null,
    priority: fold.priority,
    maxParallel: fold.maxParallel,
    order: orderView(submitted),
    ...cyclesOf(fold),
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
    stops: fold.stops.map(stopSummary),
    requeues: fold.requeues.map(stopSummary),
    paused: runStateOf(fold) === 'paused' ? pausedOf(fold, null) : null,
    pauses: fold.pauses.all.map((pause) => ({
      ...stopSummary(pause),
      resumedBy: pause.resumedBy,
    })),
    notes: fold.notes.map(noteView),
    current: fold.states.assigned + fold.states.running === 0 ? [] : currentTasks(fold),
  };
}

function orderView({ suite: { order }, basis = null }: RunSubmitted): OrderView {
  const seed = order?.by === 'random' ? order.seed : null;
  return { by: order?.by ?? 'listed', seed, basis };
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
      ...agentsOf(attempt),
      state: attempt.state,
      waiting: attempt.waiting,
      phase: attempt.phase,
      progress: attempt.progress,
      message: attempt.messages.at(-1)?.text ?? null,
      elapsedMs: attempt.elapsedMs,
      unreachable: isOutOfReach(fold, attempt),
    });
  }
  return current;
}

function sortedOutcomes(fold: RunFold): Partial<Record<TaskOutcome, number>> {
  return Object.fromEntries(Object.entries(fold.outcomes).sort(([a], [b]) => (a < b ? -1 : 1)));
}
