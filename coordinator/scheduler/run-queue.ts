/**
 * The tasks of one run that wait for a place, in listed order; a task that comes back (a retry)
 * takes its listed place again. Every operation is O(1), amortised: 100,000 waiting tasks cost no
 * more per placement than ten (design, section 7).
 */
export interface RunQueue {
  readonly run: string;
  /** Sequence of `run.submitted`: earlier runs first. */
  readonly order: number;
  readonly maxParallel: number;
  /** Attempts of the run handed to agents and not ended. */
  inFlight: number;
  /** 1 at the index of a waiting task. */
  readonly waiting: Uint8Array;
  count: number;
  /** No task before it waits, but for those in `returned`. */
  cursor: number;
  /** Indexes that came back behind the cursor, ascending; entries no longer waiting are skipped. */
  returned: number[];
}

export function createRunQueue(input: {
  run: string;
  order: number;
  tasks: number;
  maxParallel: number | null;
}): RunQueue {
  return {
    run: input.run,
    order: input.order,
    maxParallel: input.maxParallel ?? Number.MAX_SAFE_INTEGER,
    inFlight: 0,
    waiting: new Uint8Array(input.tasks).fill(1),
    count: input.tasks,
    cursor: 0,
    returned: [],
  };
}

/** Takes the first waiting task out; null if none waits. */
export function takeFirst(queue: RunQueue): number | null {
  if (queue.count === 0) return null;
  while (queue.returned.length > 0) {
    const index = queue.returned.shift() ?? 0;
    if (takeOut(queue, index)) return index;
  }
  while (queue.cursor < queue.waiting.length) {
    const index = queue.cursor;
    queue.cursor += 1;
    if (takeOut(queue, index)) return index;
  }
  return null;
}

/** Takes a task out; false if it did not wait. */
export function takeOut(queue: RunQueue, index: number): boolean {
  if (queue.waiting[index] !== 1) return false;
  queue.waiting[index] = 0;
  queue.count -= 1;
  return true;
}

/** The task waits again, at its listed place. */
export function putBack(queue: RunQueue, index: number): void {
  if (queue.waiting[index] !== 0) return;
  queue.waiting[index] = 1;
  queue.count += 1;
  if (index >= queue.cursor) return;
  // A run that is resumed comes back whole, in its order.
  if (index > (queue.returned.at(-1) ?? -1)) {
    queue.returned.push(index);
    return;
  }
  const at = queue.returned.findIndex((other) => other >= index);
  if (at === -1) queue.returned.push(index);
  else if (queue.returned[at] !== index) queue.returned.splice(at, 0, index);
}

/** Whether the run could use a place now. */
export function isEligible(queue: RunQueue): boolean {
  return queue.count > 0 && queue.inFlight < queue.maxParallel;
}

/** How many of its tasks are served before that one. */
export function waitingBefore({ waiting }: RunQueue, index: number): number {
  let before = 0;
  for (let at = 0; at < index; at += 1) before += waiting[at] ?? 0;
  return before;
}
