/** What is to be said of logs beside their bytes: pending, silent, unreachable, ended. Pure. */
import { everyRank } from '#protocol/fold/replaced-ranks.ts';
import type { RunFold } from '#protocol/fold/run-fold.ts';
import { acceptedAttempts, attemptOf, lastAttempt } from '#protocol/fold/task-attempts.ts';
import type { TaskFold } from '#protocol/fold/task-fold.ts';
import type { AttemptFold } from '#protocol/fold/attempt-fold.ts';
import { attemptKey, type AttemptRef } from '#protocol/messages/ids.ts';
import { plural } from '../output/format.ts';

export interface LogTarget {
  readonly run: string;
  /** Null for all tasks. */
  readonly task: string | null;
  /** Null for all attempts. */
  readonly n: number | null;
  /** Of a gang one rank; absent: all of them. */
  readonly rank?: number | undefined;
}

export interface TargetAttempt {
  readonly ref: AttemptRef;
  readonly fold: AttemptFold;
}

/** Attempts of the target so far, in the order they were accepted; of a gang its ranks by their places. */
export function attemptsOf(fold: RunFold, target: LogTarget): TargetAttempt[] {
  const found: (TargetAttempt & { readonly acceptedMs: number })[] = [];
  for (const task of tasksOf(fold, target)) {
    for (const attempt of acceptedAttempts(task)) {
      if (target.n !== null && attempt.n !== target.n) continue;
      const { n, acceptedMs } = attempt;
      const ref = { run: fold.run, task: task.id, n };
      if (attempt.gang === undefined && isOf(target, undefined))
        found.push({ ref, fold: attempt, acceptedMs });
      for (const { rank, since, fold: one } of everyRank(attempt))
        if (isOf(target, rank)) {
          const own = since === 0 ? { ...ref, rank } : { ...ref, rank, since };
          found.push({ ref: own, fold: one, acceptedMs });
        }
    }
  }
  return found.sort((a, b) => a.acceptedMs - b.acceptedMs);
}

/** Whether that rank is meant. */
export function isOf(target: LogTarget, rank: number | undefined): boolean {
  return target.rank === undefined || target.rank === rank;
}

function tasksOf(fold: RunFold, target: LogTarget): Iterable<TaskFold> {
  if (target.task === null) return fold.tasks.values();
  const task = fold.tasks.get(target.task);
  return task === undefined ? [] : [task];
}

/** True when nothing of the target will write any more. */
export function hasEnded(fold: RunFold, target: LogTarget): boolean {
  if (fold.state === 'ended') return true;
  if (target.task === null) return false;
  const task = fold.tasks.get(target.task);
  if (task?.state === 'ended') return true;
  if (target.n === null || task === undefined) return false;
  return attemptOf(task, target.n)?.state === 'exited';
}

/** An attempt that has ended, of which not all has been printed. */
export interface Unfinished {
  readonly ref: AttemptRef;
  /** Printed up to here, gaps counted, of `of` bytes. */
  readonly at: number;
  readonly of: number;
  readonly isAway: boolean;
  /** The file of a run's directory that should hold it and does not. */
  readonly file?: string;
}

/** `next` says how far an attempt has been printed. Those that go on promise nothing yet. */
export function unfinishedOf(
  fold: RunFold,
  target: LogTarget,
  next: (ref: AttemptRef) => number,
): Unfinished[] {
  return attemptsOf(fold, target).flatMap(({ ref, fold: { exited, agent } }) => {
    const at = next(ref);
    const of = exited?.logBytes ?? 0;
    return at < of ? [{ ref, at, of, isAway: fold.unreachable.has(agent) }] : [];
  });
}

export function incompleteText({ ref, at, of, isAway, file }: Unfinished): string {
  const away = isAway ? ': its agent is unreachable' : '';
  const why = file === undefined ? away : `: ${file} is missing or cut short`;
  return `the log of ${attemptKey(ref)} is incomplete: bytes 0 to ${at} of ${of} were read${why}`;
}

/** Why there is nothing (more) to see, or null where bytes come. */
export function statusText(fold: RunFold, target: LogTarget, bytes: number): string | null {
  const attempts = attemptsOf(fold, target);
  const live = attempts.filter(({ fold: attempt }) => attempt.state !== 'exited');
  const lost = live.filter(({ fold: attempt }) => fold.unreachable.has(attempt.agent));
  const first = lost[0];
  if (first !== undefined && lost.length === live.length) {
    return `agent ${first.fold.agent} is unreachable: ${attemptKey(first.ref)} may go on there, its log comes when it returns`;
  }
  if (hasEnded(fold, target)) {
    if (bytes > 0) return null;
    const isStarted = attempts.some(({ fold: attempt }) => attempt.startedMs !== null);
    return isStarted ? 'nothing was written' : `nothing of ${nameOf(target)} was ever started`;
  }
  if (bytes > 0) return null;
  const started = live.filter(({ fold: attempt }) => attempt.startedMs !== null);
  const one = started[0];
  if (one === undefined) {
    const agent = live[0]?.fold.agent;
    const where = agent === undefined ? '' : `, it waits for its turn on ${agent}`;
    return `${nameOf(target)} is pending: nothing of it has started${where}`;
  }
  const more = started.length > 1 ? ` and ${plural(started.length - 1, 'other')}` : '';
  return `${attemptKey(one.ref)}${more} started on ${one.fold.agent}, 0 bytes so far`;
}

/** How it ended and, if it was stopped, by whom; null before the end. */
export function outcomeText(fold: RunFold, target: LogTarget): string | null {
  if (!hasEnded(fold, target)) return null;
  if (target.task === null) {
    const stop = fold.stops.findLast((one) => one.task === null);
    return `run ${fold.run} ${fold.outcome ?? 'ended'}${stop === undefined ? '' : stopped(stop)}`;
  }
  const task = fold.tasks.get(target.task);
  const attempt = target.n === null || task === undefined ? null : attemptOf(task, target.n);
  const end = attempt?.exited ?? task ?? null;
  const last = task === undefined ? null : lastAttempt(task);
  const own = attempt?.exited?.stop ?? last?.exited?.stop ?? null;
  const stop = own ?? fold.stops.findLast((one) => one.task === null || one.task === target.task);
  const isStopped = end?.outcome === 'stopped';
  const why =
    !isStopped && end?.reason !== null && end?.reason !== undefined ? `: ${end.reason}` : '';
  const by = isStopped && stop !== undefined ? stopped(stop) : '';
  return `${nameOf(target)} ${end?.outcome ?? 'ended'}${why}${by}`;
}

function stopped(stop: { readonly by: string; readonly reason: string | null }): string {
  return `, stopped by ${stop.by}${stop.reason === null ? '' : `: ${stop.reason}`}`;
}

function nameOf({ run, task, n, rank }: LogTarget): string {
  if (task === null) return `run ${run}`;
  const name = n === null ? `task ${run}/${task}` : `attempt ${attemptKey({ run, task, n })}`;
  return rank === undefined ? name : `rank ${rank} of ${name}`;
}
