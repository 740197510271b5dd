/**
 * The tasks of one run that wait for a place, in the order of the run; a task that comes back (a retry)
 * takes its place in it again. An operation costs no more with 1,000,000 waiting tasks than with ten
 * (design, section 7); only a new order of the whole, once in a run's life, is O(tasks).
 */
import type { Sequence } from '#protocol/suite/task-order.ts';
import {
  addRank,
  createRankSet,
  fullRankSet,
  leastRank,
  ranksBelow,
  removeRank,
  type RankSet,
} from './rank-set.ts';

export interface RunQueue {
  readonly run: string;
  /** Sequence of `run.submitted`: earlier runs first. */
  readonly order: number;
  maxParallel: number;
  /** Of the run; higher first. */
  priority: number;
  /** By index: what the priority of a task has over that; null where all have that. */
  readonly added: Float64Array | null;
  /** Attempts of the run handed to agents and not ended. */
  inFlight: number;
  /** Its order is not known yet: nothing is served. */
  held: boolean;
  /** The index of the task of each rank, and its inverse; null while tasks are served as listed. */
  ranked: { readonly sequence: Sequence; readonly rankOf: Uint32Array } | null;
  /** Ranks of the waiting tasks. */
  waiting: RankSet;
}

export function createRunQueue(input: {
  run: string;
  order: number;
  tasks: number;
  maxParallel: number | null;
  priority: number;
  added: Float64Array | null;
}): RunQueue {
  return {
    run: input.run,
    order: input.order,
    maxParallel: input.maxParallel ?? Number.MAX_SAFE_INTEGER,
    priority: input.priority,
    added: input.added,
    inFlight: 0,
    held: false,
    ranked: null,
    waiting: fullRankSet(input.tasks),
  };
}

/** From now on tasks are served in this order; whether a task waits does not change. */
export function setSequence(queue: RunQueue, sequence: Sequence): void {
  const rankOf = new Uint32Array(sequence.length);
  sequence.forEach((index, rank) => {
    rankOf[index] = rank;
  });
  const waiting = createRankSet(sequence.length);
  const { count } = queue.waiting;
  for (let taken = 0; taken < count; taken += 1) {
    const index = takeFirst(queue);
    if (index !== null) addRank(waiting, rankOf[index] ?? index);
  }
  queue.ranked = { sequence, rankOf };
  queue.waiting = waiting;
}

/** Of the task that is served next; of the run where none waits. */
export function headPriority({ priority, added, ranked, waiting }: RunQueue): number {
  if (added === null) return priority;
  const rank = leastRank(waiting);
  if (rank === null) return priority;
  return priority + (added[ranked?.sequence[rank] ?? rank] ?? 0);
}

/** Whether the task waits, and is served next of its run. */
export function isFirst(queue: RunQueue, index: number): boolean {
  return leastRank(queue.waiting) === rankOf(queue, index);
}

/** Takes the first waiting task out; null if none waits. */
export function takeFirst(queue: RunQueue): number | null {
  const rank = leastRank(queue.waiting);
  if (rank === null) return null;
  removeRank(queue.waiting, rank);
  return queue.ranked?.sequence[rank] ?? rank;
}

/** Takes a task out; false if it did not wait. */
export function takeOut(queue: RunQueue, index: number): boolean {
  return removeRank(queue.waiting, rankOf(queue, index));
}

/** The task waits again, at its place. */
export function putBack(queue: RunQueue, index: number): void {
  addRank(queue.waiting, rankOf(queue, index));
}

/** Whether the run could use a place now. */
export function isEligible(queue: RunQueue): boolean {
  return queue.waiting.count > 0 && queue.inFlight < queue.maxParallel && !queue.held;
}

/** How many of its tasks are served before that one. */
export function waitingBefore(queue: RunQueue, index: number): number {
  return ranksBelow(queue.waiting, rankOf(queue, index));
}

function rankOf({ ranked }: RunQueue, index: number): number {
  return ranked?.rankOf[index] ?? index;
}
