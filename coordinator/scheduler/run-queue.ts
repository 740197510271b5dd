/**
 * The tasks of one run that wait for a place, in the order of the run; a task that comes back (a retry)
 * takes its place in it again. What waits stands in lanes, one for each class of need of the run, so that
 * what cannot be placed is no obstacle to what can.
 *
 *   index of a task -> its lane, its place there, its rank in the run
 *
 * An operation costs no more with 1,000,000 waiting tasks than with ten (design, section 7); only a new
 * order of the whole, once in a run's life, is O(tasks).
 */
import type { Needs } from '#protocol/messages/attempt/needs.ts';
import { needsKey, type NeedClasses } from '#protocol/suite/task-needs.ts';
import type { Sequence } from '#protocol/suite/task-order.ts';
import {
  addRank,
  createRankSet,
  fullRankSet,
  grownRankSet,
  hasRank,
  leastRank,
  ranksBelow,
  removeRank,
  type RankSet,
} from './rank-set.ts';

/** Tasks of a run with the same needs. */
export interface Lane {
  readonly queue: RunQueue;
  readonly needs: Needs;
  /** Of tasks whose needs were raised, in the order in which they were: what they share; null: as submitted. */
  readonly raised: string | null;
  /** Index of the task of each place below `size`; null: the place is the index. */
  members: Uint32Array | null;
  /** How many tasks stand in it, waiting or not; there may be room for more. */
  size: number;
  /** Places of the waiting tasks. */
  waiting: RankSet;
  /** Of its tasks, attempts handed to agents and not ended. */
  inFlight: number;
}

export interface RunQueue {
  readonly run: string;
  /** Sequence of `run.submitted`: earlier runs first. */
  readonly order: number;
  maxParallel: number;
  /** Of the run; higher first. */
  priority: number;
  /** By index, over and over in later cycles: what the priority of a task has over that; null for nothing. */
  readonly added: Float64Array | null;
  /** Attempts of the run handed to agents and not ended. */
  inFlight: number;
  /** Its order is not known yet: nothing is served. */
  held: boolean;
  /** How many tasks there are; what is by index may have room for more. */
  size: number;
  readonly lanes: Lane[];
  /** By index, over and over in later cycles; null: all are in the first lane. */
  readonly laneOf: Uint32Array | null;
  /** By index, of tasks whose needs were raised: number of the lane, and the place there. */
  readonly moved: Map<number, { readonly lane: number; readonly place: number }>;
  /** By index; null: as listed. */
  placeOf: Uint32Array | null;
  rankOf: Uint32Array | null;
}

export interface QueueInput {
  readonly run: string;
  readonly order: number;
  readonly tasks: number;
  readonly maxParallel: number | null;
  readonly priority: number;
  readonly added: Float64Array | null;
  readonly needs: NeedClasses;
}

export function createRunQueue(input: QueueInput): RunQueue {
  const { needs, tasks } = input;
  const queue: RunQueue = {
    run: input.run,
    order: input.order,
    maxParallel: input.maxParallel ?? Number.MAX_SAFE_INTEGER,
    priority: input.priority,
    added: input.added,
    inFlight: 0,
    held: false,
    size: tasks,
    lanes: [],
    laneOf: needs.of,
    moved: new Map(),
    placeOf: null,
    rankOf: null,
  };
  const { members, placeOf } = lineUp(needs, tasks, null);
  needs.classes.forEach((each, at) => {
    const own = members?.[at] ?? null;
    const size = own?.length ?? tasks;
    const waiting = fullRankSet(size);
    queue.lanes.push({
      ...{ queue, needs: each, raised: null, members: own, size, waiting, inFlight: 0 },
    });
  });
  queue.placeOf = placeOf;
  return queue;
}

/** Who stands where in the lanes when the run is served in this order. */
function lineUp(
  { classes, of }: Pick<NeedClasses, 'of'> & { readonly classes: { readonly length: number } },
  tasks: number,
  sequence: Sequence | null,
): { members: Uint32Array[] | null; placeOf: Uint32Array | null } {
  if (of === null) {
    if (sequence === null) return { members: null, placeOf: null };
    return { members: [sequence], placeOf: inverse(sequence) };
  }
  const sizes = new Uint32Array(classes.length);
  for (let index = 0; index < tasks; index += 1) {
    const lane = of[index % of.length] ?? 0;
    sizes[lane] = (sizes[lane] ?? 0) + 1;
  }
  const members = Array.from(sizes, (size) => new Uint32Array(size));
  const placeOf = new Uint32Array(tasks);
  sizes.fill(0);
  for (let rank = 0; rank < tasks; rank += 1) {
    const index = sequence?.[rank] ?? rank;
    const lane = of[index % of.length] ?? 0;
    const place = sizes[lane] ?? 0;
    sizes[lane] = place + 1;
    (members[lane] ?? placeOf)[place] = index;
    placeOf[index] = place;
  }
  return { members, placeOf };
}

function inverse(sequence: Sequence): Uint32Array {
  const places = new Uint32Array(sequence.length);
  sequence.forEach((index, rank) => {
    places[index] = rank;
  });
  return places;
}

/** From now on tasks are served in this order; whether a task waits does not change. */
export function setSequence(queue: RunQueue, sequence: Sequence): void {
  const { laneOf } = queue;
  const lanes = queue.lanes.filter(({ raised }) => raised === null);
  const { members, placeOf } = lineUp({ classes: lanes, of: laneOf }, sequence.length, sequence);
  lanes.forEach((lane, at) => {
    const own = members?.[at] ?? sequence;
    const waiting = createRankSet(own.length);
    own.forEach((index, place) => {
      if (hasRank(lane.waiting, queue.placeOf?.[index] ?? index)) addRank(waiting, place);
    });
    lane.waiting = waiting;
    lane.members = own;
    lane.size = own.length;
  });
  queue.placeOf = placeOf;
  queue.rankOf = laneOf === null ? placeOf : inverse(sequence);
}

/** The order of the first so many tasks, which all come before the rest; null: as listed. */
export function sequenceAt({ rankOf }: RunQueue, count: number): Sequence | null {
  return rankOf === null ? null : inverse(rankOf.subarray(0, count));
}

/** Index of the task of the lane that is served next; null where none waits. */
export function headIndex({ waiting, members }: Lane): number | null {
  const place = leastRank(waiting);
  return place === null ? null : (members?.[place] ?? place);
}

/** Its place in the order of the run; after all others where none waits. */
export function headRank(lane: Lane): number {
  const index = headIndex(lane);
  return index === null ? Infinity : rankOfTask(lane.queue, index);
}

/**
 * Further tasks wait, behind all that there are, in this order; their indexes follow on. Costs, in the
 * long run, no more than O(1) for each: room is made for twice as many.
 */
export function appendTasks(queue: RunQueue, sequence: Sequence): void {
  const before = queue.size;
  const size = before + sequence.length;
  const placeOf = withRoom(queue.placeOf ?? listed(before), size);
  const rankOf = queue.laneOf === null ? placeOf : withRoom(queue.rankOf ?? listed(before), size);
  sequence.forEach((at, rank) => {
    const index = before + at;
    const lane = laneOfTask(queue, index);
    placeOf[index] = append(lane, index);
    rankOf[index] = before + rank;
  });
  Object.assign(queue, { size, placeOf, rankOf });
}

/** Its place: the last. */
function append(lane: Lane, index: number): number {
  const place = lane.size;
  lane.size += 1;
  const members = withRoom(lane.members ?? listed(place), lane.size);
  lane.members = members;
  members[place] = index;
  lane.waiting = grownRankSet(lane.waiting, members.length);
  addRank(lane.waiting, place);
  return place;
}

function listed(size: number): Uint32Array {
  return Uint32Array.from({ length: size }, (_, index) => index);
}

function withRoom(values: Uint32Array, size: number): Uint32Array {
  if (values.length >= size) return values;
  const more = new Uint32Array(Math.max(size, 2 * values.length));
  more.set(values);
  return more;
}

/** What a task has over the priority of its run. */
export function addedTo(added: Float64Array | null, index: number): number {
  return added === null ? 0 : (added[index % added.length] ?? 0);
}

/** Of the task that is served next; of the run where none waits. */
export function headPriority(lane: Lane): number {
  const { priority, added } = lane.queue;
  if (added === null) return priority;
  const index = headIndex(lane);
  return index === null ? priority : priority + addedTo(added, index);
}

/** Takes the first waiting task out; null if none waits. */
export function takeFirst(lane: Lane): number | null {
  const place = leastRank(lane.waiting);
  if (place === null) return null;
  removeRank(lane.waiting, place);
  return lane.members?.[place] ?? place;
}

/** Takes a task out; false if it did not wait. */
export function takeOut(queue: RunQueue, index: number): boolean {
  return removeRank(laneOfTask(queue, index).waiting, placeIn(queue, index));
}

/** The task waits again, at its place. */
export function putBack(queue: RunQueue, index: number): void {
  addRank(laneOfTask(queue, index).waiting, placeIn(queue, index));
}

function placeIn({ moved, placeOf }: RunQueue, index: number): number {
  return moved.get(index)?.place ?? placeOf?.[index] ?? index;
}

const ROOM_AT_FIRST = 8;

/** A task that does not wait stands in the lane of these needs from now on, and of its own priority. */
export function moveTask(
  queue: RunQueue,
  index: number,
  needs: Needs,
): { readonly lane: Lane; readonly isNew: boolean } {
  const raised = `${addedTo(queue.added, index)} ${needsKey(needs)}`;
  const known = queue.lanes.findIndex((lane) => lane.raised === raised);
  const number = known >= 0 ? known : queue.lanes.length;
  const lane: Lane = queue.lanes[known] ?? {
    ...{ queue, needs, raised, size: 0, inFlight: 0 },
    members: new Uint32Array(ROOM_AT_FIRST),
    waiting: createRankSet(ROOM_AT_FIRST),
  };
  if (known < 0) queue.lanes.push(lane);
  else if (queue.moved.get(index)?.lane === number) return { lane, isNew: false };
  const place = append(lane, index);
  removeRank(lane.waiting, place);
  queue.moved.set(index, { lane: number, place });
  return { lane, isNew: known < 0 };
}

export function laneOfTask(queue: RunQueue, index: number): Lane {
  const lane = queue.lanes[laneNumber(queue, index)];
  if (lane === undefined) throw new Error(`run ${queue.run} has no lane for its task ${index}`);
  return lane;
}

export function laneNumber({ laneOf, moved }: RunQueue, index: number): number {
  return moved.get(index)?.lane ?? laneOf?.[index % laneOf.length] ?? 0;
}

/** Whether anything of the run may be handed out now. */
export function isOpen(queue: RunQueue): boolean {
  return queue.inFlight < queue.maxParallel && !queue.held;
}

/** How many of its tasks wait. */
export function waitingIn({ lanes }: RunQueue): number {
  return lanes.reduce((sum, { waiting }) => sum + waiting.count, 0);
}

/** How many of its tasks come before that one in its order, those of other needs too. */
export function waitingBefore(queue: RunQueue, index: number): number {
  const rank = rankOfTask(queue, index);
  return queue.lanes.reduce((sum, lane) => sum + waitingBelow(lane, rank), 0);
}

function waitingBelow({ queue, raised, members, size, waiting }: Lane, rank: number): number {
  if (raised !== null) {
    const isBefore = (index: number, place: number): boolean =>
      hasRank(waiting, place) && rankOfTask(queue, index) < rank;
    return (members?.subarray(0, size) ?? new Uint32Array()).filter(isBefore).length;
  }
  if (members === null) return ranksBelow(waiting, rank);
  let [low, high] = [0, size];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (rankOfTask(queue, members[middle] ?? 0) < rank) low = middle + 1;
    else high = middle;
  }
  return ranksBelow(waiting, low);
}

function rankOfTask({ rankOf }: RunQueue, index: number): number {
  return rankOf?.[index] ?? index;
}
