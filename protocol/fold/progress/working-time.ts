/**
 * When a run worked and what held its places, all by the stream's clock. Pure.
 *
 * A run works from the first task that was handed out to its end, or to its last event while it has
 * none, and not while all of it is paused. An attempt holds its place from its first step: for as long
 * as its owner says where it has ended, until the run's last event where it runs.
 */
import type { AttemptFold } from '../attempt-fold.ts';
import { everyoneOf } from '../gang-fold.ts';
import type { RunFold } from '../run-fold.ts';
import { acceptedAttempts, lastAttempt } from '../task-attempts.ts';
import { currentAttempt, type TaskFold } from '../task-fold.ts';
import { without, type Span } from './spans.ts';

export interface Held extends Span {
  readonly agent: string;
}

/** Empty before the first task was handed out. */
export function workedSpans({ startedMs, endedMs, lastMs, pauses }: RunFold): Span[] {
  if (startedMs === null) return [];
  const toMs = Math.max(startedMs, endedMs ?? lastMs);
  const { past, sinceMs } = pauses;
  const holes = sinceMs === null ? past : [...past, { fromMs: sinceMs, toMs: Infinity }];
  return without({ fromMs: startedMs, toMs }, holes);
}

/** Of every attempt that got a place, in the order of the matrix; of a gang the place of each rank. */
export function heldPlaces(fold: RunFold): Held[] {
  return heldOf(fold, everyoneOf);
}

/** The same with one for a gang, however many hosts it has. */
export function heldByTasks(fold: RunFold): Held[] {
  return heldOf(fold, (attempt) => [attempt]);
}

function heldOf(fold: RunFold, holders: (attempt: AttemptFold) => AttemptFold[]): Held[] {
  const held: Held[] = [];
  for (const task of fold.tasks.values()) {
    for (const attempt of acceptedAttempts(task)) {
      for (const one of holders(attempt)) {
        const span = heldBy(fold, task, one);
        if (span !== null) held.push({ agent: one.agent, ...span });
      }
    }
  }
  return held;
}

/** Null for one that never got its place. */
function heldBy(fold: RunFold, task: TaskFold, attempt: AttemptFold): Span | null {
  const { elapsedMs } = attempt;
  const fromMs = beganMs(attempt);
  if (fromMs === null) return null;
  const toMs = fromMs + elapsedMs;
  return { fromMs, toMs: isRunning(fold, task, attempt) ? Math.max(toMs, fold.lastMs) : toMs };
}

/** As far as is known: of one whose agent is unreachable only what was heard counts. */
function isRunning(fold: RunFold, task: TaskFold, attempt: AttemptFold): boolean {
  if (task.state !== 'running' || attempt.exitedMs !== null || attempt.superseded) return false;
  return attempt.n === task.n && !fold.unreachable.has(attempt.agent);
}

/** How long the task's current attempt has its place; null where none runs. */
export function runningMs(fold: RunFold, task: TaskFold): number | null {
  const attempt = currentAttempt(task);
  const span = attempt?.exitedMs === null ? heldBy(fold, task, attempt) : null;
  return span === null ? null : span.toMs - span.fromMs;
}

/** When it got its place; null for one that never did, or has not yet. */
function beganMs({ startedMs, exitedMs, elapsedMs }: AttemptFold): number | null {
  if (startedMs !== null) return startedMs;
  return exitedMs !== null && elapsedMs > 0 ? exitedMs - elapsedMs : null;
}

/** Until when there was work that waited: now while there is. Null where nothing ever had a place. */
export function waitedUntilMs(fold: RunFold): number | null {
  const { pending, assigned } = fold.states;
  if (pending + assigned > 0) return fold.lastMs;
  let last: number | null = null;
  for (const task of fold.tasks.values()) {
    const attempt = lastAttempt(task);
    // What never began has waited to its end.
    const leftMs = (attempt === null ? null : beganMs(attempt)) ?? task.endedMs;
    if (leftMs !== null && leftMs > (last ?? -Infinity)) last = leftMs;
  }
  return last;
}
