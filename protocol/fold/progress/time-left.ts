/**
 * How long a run will take still: an estimate with a range, or the word why there is none. Pure.
 *
 *   durations of ended tasks --> what each task that is left will take --> work --+--> time
 *                places now, and how much of them the run has used until now -----+
 *
 * 1. A task that is left takes what the others of its cell took in the mean, else what all took; one
 *    that runs, what is left of that, or of what its own progress says.
 * 2. Work is done by as many places as there are now, used as well as the run has used its places while
 *    tasks waited: what starting costs, other runs on the same hosts and `maxParallel` are in that.
 * 3. Whatever the order, the end is between work by places, or the longest task if that is longer, and
 *    work by places plus the longest task (Graham). The estimate is the middle; the range is wider by
 *    what the spread of the durations makes uncertain, four times of five.
 */
import { pauseOf } from '../pauses.ts';
import { runStateOf, type RunFold } from '../run-fold.ts';
import { currentAttempt, taskElapsedMs, type TaskFold } from '../task-fold.ts';
import { cellKey } from '../cell-key.ts';
import type { PresenceFold } from './presence-fold.ts';
import { hasRun } from './rate.ts';
import { lengthMs, meet, type Span } from './spans.ts';
import { placesNow, utilisationOf } from './utilisation.ts';
import { heldByTasks, heldPlaces, runningMs, waitedUntilMs, workedSpans } from './working-time.ts';

export type TimeLeft =
  | {
      readonly kind: 'about';
      /** Of working time from the run's last event on. */
      readonly ms: number;
      readonly lowMs: number;
      readonly highMs: number;
      /** Ended tasks it goes by. */
      readonly basis: number;
      /** Tasks that are left, and those of them of whose cell another one has ended. */
      readonly tasks: number;
      readonly known: number;
      /** Tasks at a time, in the mean, as it counts on. */
      readonly places: number;
      /** Tasks that are paused by themselves: not in it. */
      readonly paused: number;
      /** The run's budget ends it, sooner than its work would. */
      readonly isBudget: boolean;
    }
  | { readonly kind: 'unknown'; readonly reason: string };

/** Null where the run has ended. Without `presence` it counts on as many places as the run has had. */
export function timeLeftOf(fold: RunFold, presence: PresenceFold | null): TimeLeft | null {
  const state = runStateOf(fold);
  if (state === 'ended' || fold.submitted === null) return null;
  if (state === 'stopping') return unknown('it is being stopped');
  if (state === 'paused') return unknown('it is paused');
  if (fold.startedMs === null) return unknown('none of its tasks has begun');
  if (cyclesOn(fold)) return untilBudget(fold);
  const past = pastOf(fold);
  const { basis } = past;
  if (basis < 2) return unknown(`${basis === 0 ? 'no task has' : 'one task has'} ended; two tell`);
  const left = leftOf(fold, past);
  if (left.tasks === 0 && left.paused > 0) return unknown('what is left of it is paused');
  const places = placesOf(fold, presence);
  if (typeof places === 'string') return unknown(places);
  const { workMs, longestMs, overdueMs, tasks, known, paused } = left;
  const evenMs = workMs / places;
  const leastMs = Math.max(evenMs, longestMs);
  const mostMs = evenMs + longestMs * Math.max(0, 1 - 1 / places);
  const unsureMs = unsureOf(left, past) / places;
  const estimate = {
    ms: (leastMs + Math.max(leastMs, mostMs)) / 2,
    lowMs: Math.max(0, leastMs - unsureMs),
    // What has run for longer than expected may take as long again.
    highMs: Math.max(leastMs, mostMs, overdueMs) + unsureMs,
  };
  const counted = { basis, tasks, known, places, paused };
  return { kind: 'about', ...withinBudget(fold, estimate), ...counted };
}

/** Further cycles come as long as its budget lasts: what is left now does not tell. */
function cyclesOn({ cycles, isBudgetUsed }: RunFold): boolean {
  return cycles !== null && cycles.begun < cycles.most && !isBudgetUsed;
}

function untilBudget(fold: RunFold): TimeLeft {
  const { ended, running } = fold.states;
  const counted = { basis: ended, tasks: fold.tasks.size - ended, known: 0, places: running };
  const whole = { ms: Infinity, lowMs: Infinity, highMs: Infinity };
  return { kind: 'about', ...withinBudget(fold, whole), ...counted, paused: 0 };
}

const unknown = (reason: string): TimeLeft => ({ kind: 'unknown', reason });

/** The tasks that have ended by themselves. */
interface Past {
  readonly basis: number;
  readonly meanMs: number;
  /** Standard deviation: of all, and of those of one cell around its mean. */
  readonly spreadMs: number;
  readonly cellSpreadMs: number;
  readonly cells: ReadonlyMap<string, Cell>;
}

interface Cell {
  count: number;
  meanMs: number;
}

function pastOf({ tasks }: RunFold): Past {
  const all = { count: 0, meanMs: 0 };
  const cells = new Map<string, Cell>();
  let [squares, inCells] = [0, 0];
  for (const task of tasks.values()) {
    if (!hasRun(task)) continue;
    const key = cellKey(task.axes);
    const cell = cells.get(key) ?? { count: 0, meanMs: 0 };
    cells.set(key, cell);
    const tookMs = taskElapsedMs(task);
    squares += addTo(all, tookMs);
    inCells += addTo(cell, tookMs);
  }
  const spreadMs = deviation(squares, all.count - 1);
  const cellSpreadMs =
    all.count > cells.size ? deviation(inCells, all.count - cells.size) : spreadMs;
  return { basis: all.count, meanMs: all.meanMs, spreadMs, cellSpreadMs, cells };
}

/** Answers by how much the sum of the squares around the mean has grown (Welford). */
function addTo(mean: Cell, value: number): number {
  mean.count += 1;
  const before = value - mean.meanMs;
  mean.meanMs += before / mean.count;
  return before * (value - mean.meanMs);
}

function deviation(squares: number, freedom: number): number {
  return freedom <= 0 ? 0 : Math.sqrt(Math.max(0, squares) / freedom);
}

interface Left {
  tasks: number;
  known: number;
  paused: number;
  workMs: number;
  longestMs: number;
  /** Of what has run for longer than expected: how long, at most. */
  overdueMs: number;
}

function leftOf(fold: RunFold, past: Past): Left {
  const left = { tasks: 0, known: 0, paused: 0, workMs: 0, longestMs: 0, overdueMs: 0 };
  const hasPauses = fold.pauses.all.length > 0;
  for (const task of fold.tasks.values()) {
    if (task.state === 'ended') continue;
    if (hasPauses && pauseOf(fold.pauses, task.id) !== null) {
      left.paused += 1;
      continue;
    }
    const cell = past.cells.get(cellKey(task.axes));
    left.tasks += 1;
    if (cell !== undefined) left.known += 1;
    const heldMs = runningMs(fold, task) ?? 0;
    const wholeMs = byProgress(task) ?? cell?.meanMs ?? past.meanMs;
    const restMs = Math.max(0, wholeMs - heldMs);
    left.workMs += restMs;
    left.longestMs = Math.max(left.longestMs, restMs);
    if (heldMs > wholeMs) left.overdueMs = Math.max(left.overdueMs, heldMs);
  }
  return left;
}

/** Less is no base: a benchmark's first steps may be slower or quicker than the rest. */
const LEAST_PROGRESS = 0.05;

/** What the attempt will take by its own word; null where it says nothing. */
function byProgress(task: TaskFold): number | null {
  const attempt = task.state === 'running' ? currentAttempt(task) : null;
  if (attempt === null || (attempt.progress ?? 0) < LEAST_PROGRESS) return null;
  return attempt.elapsedMs / (attempt.progress ?? 1);
}

/** Tasks at a time that may be counted on; why nothing may be. */
function placesOf(fold: RunFold, presence: PresenceFold | null): number | string {
  const used = presence === null ? null : utilisationOf(fold, presence);
  const now = presence === null ? 0 : placesNow(fold, presence);
  const { running, assigned } = fold.states;
  if (presence !== null && now === 0 && running + assigned === 0) return 'no agent is there for it';
  const limit = fold.maxParallel ?? Infinity;
  const byUse = (now * (used?.whileWaiting ?? 0)) / ranksEach(fold);
  const places = byUse > 0 ? byUse : placesHad(fold);
  return places > 0 ? Math.min(limit, places) : 'what has ended took no time';
}

/** How many of its attempts ran at a time in the mean, while tasks waited. */
function placesHad(fold: RunFold): number {
  const untilMs = waitedUntilMs(fold) ?? 0;
  const waited = meet(workedSpans(fold), [{ fromMs: 0, toMs: untilMs }]);
  const heldMs = heldByTasks(fold).reduce((sum, held) => sum + lengthMs(meet([held], waited)), 0);
  return heldMs === 0 ? 0 : heldMs / lengthMs(waited);
}

/** How many places a task of the run has held in the mean: more than one where tasks take several hosts. */
function ranksEach(fold: RunFold): number {
  const byTasks = totalMs(heldByTasks(fold));
  return byTasks === 0 ? 1 : Math.max(1, totalMs(heldPlaces(fold)) / byTasks);
}

function totalMs(spans: readonly Span[]): number {
  return spans.reduce((sum, span) => sum + lengthMs([span]), 0);
}

/** Of the normal distribution: four of five are within. */
const FOUR_OF_FIVE = 1.28;

/** How far the work may be from what is expected, in ms. */
function unsureOf({ tasks, known }: Left, { basis, spreadMs, cellSpreadMs }: Past): number {
  const others = tasks - known;
  const ofTasks = known * cellSpreadMs ** 2 + others * spreadMs ** 2;
  const ofMean = (others * spreadMs) ** 2 / basis;
  // Near Student's t: few tell little of their own spread.
  return FOUR_OF_FIVE * (1 + 1.4 / (basis - 1)) * Math.sqrt(ofTasks + ofMean);
}

interface Estimate {
  readonly ms: number;
  readonly lowMs: number;
  readonly highMs: number;
}

function withinBudget(fold: RunFold, estimate: Estimate): Estimate & { isBudget: boolean } {
  const budgetMs = fold.submitted?.suite.runBudgetMs;
  if (budgetMs === undefined) return { ...estimate, isBudget: false };
  const mostMs = Math.max(0, budgetMs - lengthMs(workedSpans(fold)));
  const { ms, lowMs, highMs } = estimate;
  const [least, most] = [Math.min(lowMs, mostMs), Math.min(highMs, mostMs)];
  return { ms: Math.min(ms, mostMs), lowMs: least, highMs: most, isBudget: ms > mostMs };
}
