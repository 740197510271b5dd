/**
 * The attempts of a task, wherever they are kept. Those that are over, because the task has ended or has gone on
 * to another, are packed where whoever folds asked for that (packed/packed-attempts.ts): then each look at one
 * makes it anew, and what is changed of it has to be put back. So all of them are got at, and changed, here.
 */
import type { AttemptFold } from './attempt-fold.ts';
import {
  addPacked,
  createPackedAttempts,
  isWasteful,
  readPacked,
  readPart,
  replacePacked,
  type PackedAttempts,
} from './packed/packed-attempts.ts';
import type { Ranked } from './replaced-ranks.ts';
import type { TaskFold } from './task-fold.ts';

/** A number: its place among those that are packed. Undefined: nobody reported it. */
export type AttemptSlot = AttemptFold | number | undefined;

type Attempts = Pick<TaskFold, 'attempts' | 'packed'>;

/** Null where nobody reported it. What is changed of it is lost, if it is packed: `changeAttempt`. */
export function attemptOf(task: Attempts, n: number): AttemptFold | null {
  return opened(task, task.attempts[n - 1]) ?? null;
}

/** By n - 1, with holes where nobody reported. */
export function attemptsOf(task: Attempts): (AttemptFold | undefined)[] {
  return task.attempts.map((slot) => opened(task, slot));
}

/** Those that an agent has accepted, oldest first. */
export function acceptedAttempts(task: Attempts): AttemptFold[] {
  return attemptsOf(task).filter((one) => one !== undefined);
}

export function lastAttempt(task: Attempts): AttemptFold | null {
  return (
    opened(
      task,
      task.attempts.findLast((slot) => slot !== undefined),
    ) ?? null
  );
}

/** What an attempt has in BM_FILES. */
export interface StoredParts
  extends Pick<AttemptFold, 'n' | 'agent' | 'files' | 'checkpoints'>, Ranked<StoredParts> {}

const STORED: ReadonlySet<string> = new Set([
  ...['n', 'agent', 'files', 'checkpoints'],
  ...['gang', 'hosts', 'ranks', 'replaced', 'rank', 'by', 'epoch', 'fold'],
  ...['kind', 'path', 'sha256', 'bytes', 'chunks', 'number'],
]);

/** As `attemptsOf`, and quicker: all tasks of a run are asked for it while it is live. */
export function storedOf({ attempts, packed }: Attempts): (StoredParts | undefined)[] {
  return attempts.map((slot) => {
    if (typeof slot !== 'number') return slot;
    return readPart(storeOf(packed), slot, STORED) as StoredParts;
  });
}

export function changeAttempt(
  task: TaskFold,
  n: number,
  change: (attempt: AttemptFold) => void,
): void {
  const attempt = attemptOf(task, n);
  if (attempt === null) return;
  change(attempt);
  putAttempt(task, n, attempt);
}

export function putAttempt(task: TaskFold, n: number, attempt: AttemptFold): void {
  const { packed } = task;
  const slot = task.attempts[n - 1];
  if (packed === null || !isOver(task, n)) task.attempts[n - 1] = attempt;
  else if (typeof slot === 'number') task.attempts[n - 1] = replacePacked(packed, slot, attempt);
  else task.attempts[n - 1] = addPacked(packed, attempt);
}

/** After its task has ended, or gone on. */
export function packOver(task: TaskFold): void {
  const { packed } = task;
  if (packed === null || task.attempts.length === 0) return;
  // An array of just their length: one that grew has room for more.
  task.attempts = task.attempts.map((slot, at) =>
    typeof slot === 'object' && isOver(task, at + 1) ? addPacked(packed, slot) : slot,
  );
}

/** Writes all of a run's anew, once what changed has left more behind than there is. */
export function tidy(packed: PackedAttempts | null, tasks: Iterable<TaskFold>): void {
  if (packed === null || !isWasteful(packed)) return;
  const fresh = createPackedAttempts();
  for (const task of tasks)
    task.attempts = task.attempts.map((slot) =>
      typeof slot === 'number' ? addPacked(fresh, readPacked(packed, slot)) : slot,
    );
  Object.assign(packed, fresh);
}

function isOver(task: TaskFold, n: number): boolean {
  return task.state === 'ended' || n < task.n;
}

function opened({ packed }: Attempts, slot: AttemptSlot): AttemptFold | undefined {
  return typeof slot === 'number' ? readPacked(storeOf(packed), slot) : slot;
}

function storeOf(packed: PackedAttempts | null): PackedAttempts {
  if (packed === null) throw new Error('an attempt is packed nowhere');
  return packed;
}
