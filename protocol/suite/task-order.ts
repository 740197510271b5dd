/**
 * In which order the tasks of a run are served: pure, so that `plan` shows what the coordinator does,
 * and a replay finds the same order again.
 */
import type { SuiteSpec, TaskOrder } from '../messages/run/suite-spec.ts';
import { addedPriorities } from './task-priority.ts';
import type { AxisValue } from '../messages/ids.ts';
import type { TaskOutcome } from '../messages/attempt/outcome.ts';

/** What the last run of a suite tells of a task. */
export interface TaskHistory {
  /** Of all its attempts, in ms; null where it did not come to an end of its own. */
  readonly elapsedMs: number | null;
  readonly hasFailed: boolean;
}

/** By task id: the same in every run of a suite. */
export type RunHistory = ReadonlyMap<string, TaskHistory>;

/** The indexes of the tasks, first served first. */
export type Sequence = Uint32Array;

/** Whether the order goes by what was before: by the last ended run of the same suite. */
export function needsHistory(order: TaskOrder | undefined): boolean {
  return order?.by === 'longest-first' || order?.by === 'failed-first';
}

const FAILED = new Set<TaskOutcome>(['failed', 'timed_out', 'lost', 'quarantined']);
/** Nobody knows how long it would have taken. */
const CUT_SHORT = new Set<TaskOutcome>(['stopped', 'lost']);

/** Of a row of a run's `tasks.ndjson`. */
export function historyOf(row: {
  readonly outcome: TaskOutcome;
  readonly attempts: number;
  readonly elapsedMs: number;
}): TaskHistory {
  const { outcome, attempts, elapsedMs } = row;
  const isKnown = attempts > 0 && !CUT_SHORT.has(outcome);
  return { elapsedMs: isKnown ? elapsedMs : null, hasFailed: FAILED.has(outcome) };
}

/**
 * Higher priority first, then the order of the suite. Null for the order of the matrix, in which ties
 * stand too.
 *
 * - `longest-first`: those of unknown length first, since they may be the longest.
 * - `failed-first`: what failed, then what never ran to its end, then the rest.
 */
export function sequenceOf(
  suite: Pick<SuiteSpec, 'order' | 'priorityBy'>,
  tasks: readonly OrderedTask[],
  history: RunHistory | null,
): Sequence | null {
  const ordered = orderOf(suite, tasks, history);
  const added = addedPriorities(suite, tasks);
  if (added === null) return ordered;
  return byPriority(ordered ?? listed(tasks.length), added);
}

/**
 * The order of a later cycle, as positions in it: that of the first where it goes by what was before, else
 * shuffled by seed and cycle, so that no task always runs beside the same others.
 */
export function cycleSequence(
  suite: Pick<SuiteSpec, 'order' | 'priorityBy' | 'seed'>,
  tasks: readonly OrderedTask[],
  of: { readonly cycle: number; readonly first: Sequence | null },
): Sequence {
  const { order } = suite;
  if (needsHistory(order) && of.first !== null) return of.first.slice(0, tasks.length);
  const seed = order?.by === 'random' ? order.seed : suite.seed;
  const sequence = shuffled(tasks.length, seed + of.cycle * CYCLE_STEP);
  const added = addedPriorities(suite, tasks);
  return added === null ? sequence : byPriority(sequence, added);
}

/** As `sequenceOf`, of the cycles one after the other; `tasks` are those of the first. */
export function sequenceThrough(
  suite: Pick<SuiteSpec, 'order' | 'priorityBy' | 'seed'>,
  tasks: readonly OrderedTask[],
  of: { readonly cycles: number; readonly history: RunHistory | null },
): Sequence | null {
  const first = sequenceOf(suite, tasks, of.history);
  if (of.cycles === 1) return first;
  const all = new Uint32Array(tasks.length * of.cycles);
  all.set(first ?? listed(tasks.length));
  for (let cycle = 2; cycle <= of.cycles; cycle += 1) {
    const before = (cycle - 1) * tasks.length;
    const sequence = cycleSequence(suite, tasks, { cycle, first });
    all.set(
      sequence.map((at) => before + at),
      before,
    );
  }
  return all;
}

/** Between the seeds of two cycles: a small number would give the order of a neighbouring seed. */
const CYCLE_STEP = 0x1_0000_0001;

/** The sort is stable. */
function byPriority(sequence: Sequence, added: Float64Array): Sequence {
  return sequence.sort((a, b) => (added[b] ?? 0) - (added[a] ?? 0));
}

interface OrderedTask {
  readonly id: string;
  readonly axes: Readonly<Record<string, AxisValue>>;
}

function orderOf(
  { order }: Pick<SuiteSpec, 'order'>,
  tasks: readonly OrderedTask[],
  history: RunHistory | null,
): Sequence | null {
  if (order === undefined) return null;
  if (order.by === 'random') return shuffled(tasks.length, order.seed);
  if (history === null) return null;
  const keyOf = order.by === 'longest-first' ? lengthKey : failureKey;
  const keys = Float64Array.from(tasks, ({ id }) => keyOf(history.get(id)));
  return listed(tasks.length).sort((a, b) => (keys[b] ?? 0) - (keys[a] ?? 0) || a - b);
}

/** Higher first; finite, since keys are subtracted. */
function lengthKey(task: TaskHistory | undefined): number {
  return task?.elapsedMs ?? Number.MAX_VALUE;
}

function failureKey(task: TaskHistory | undefined): number {
  if (task?.hasFailed === true) return 2;
  return task === undefined || task.elapsedMs === null ? 1 : 0;
}

function listed(count: number): Sequence {
  return Uint32Array.from({ length: count }, (_, index) => index);
}

function shuffled(count: number, seed: number): Sequence {
  const sequence = listed(count);
  const next = randomFrom(seed);
  for (let last = count - 1; last > 0; last -= 1) {
    const at = Math.floor(next() * (last + 1));
    const moved = sequence[last] ?? 0;
    sequence[last] = sequence[at] ?? 0;
    sequence[at] = moved;
  }
  return sequence;
}

/** Numbers in [0, 1), the same for the same seed everywhere: a Weyl sequence through a 32-bit mixer. */
function randomFrom(seed: number): () => number {
  let state = Math.imul(seed | 0, 0x9e3779b1) ^ Math.floor(seed / 2 ** 32);
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
  };
}
