/** How many tasks end in an hour of a run's working time. Pure. */
import type { RunFold } from '../run-fold.ts';
import { acceptedAttempts } from '../task-attempts.ts';
import type { TaskFold } from '../task-fold.ts';
import { lengthMs, meet } from './spans.ts';
import { workedSpans } from './working-time.ts';

export interface Rate {
  readonly perHour: number;
  readonly ended: number;
  /** Working time it is over. */
  readonly overMs: number;
}

/** What `recent` is over at least; and the part of the run's time, where that is more. */
const RECENT_MS = 600_000;
const RECENT_PART = 0.1;

/** An end of its own: it had an attempt, and was not stopped. */
export function hasRun(task: TaskFold): boolean {
  if (task.state !== 'ended' || task.outcome === 'stopped') return false;
  return acceptedAttempts(task).some(({ state }) => state !== 'accepted');
}

/** `recent` is null while the run is not older than what it is over. */
export function ratesOf(fold: RunFold): { all: Rate | null; recent: Rate | null } {
  const worked = workedSpans(fold);
  const allMs = lengthMs(worked);
  const last = worked.at(-1);
  if (last === undefined) return { all: null, recent: null };
  let left = Math.max(RECENT_MS, allMs * RECENT_PART);
  const isLonger = allMs > left;
  let sinceMs = last.toMs;
  for (const { fromMs, toMs } of worked.toReversed()) {
    sinceMs = Math.max(fromMs, toMs - left);
    left -= toMs - sinceMs;
    if (left <= 0) break;
  }
  let [all, recent] = [0, 0];
  for (const task of fold.tasks.values()) {
    if (!hasRun(task)) continue;
    all += 1;
    if ((task.endedMs ?? 0) > sinceMs) recent += 1;
  }
  const recentMs = lengthMs(meet(worked, [{ fromMs: sinceMs, toMs: Infinity }]));
  return { all: rate(all, allMs), recent: isLonger ? rate(recent, recentMs) : null };
}

function rate(ended: number, overMs: number): Rate | null {
  return overMs === 0 ? null : { perHour: (ended / overMs) * 3_600_000, ended, overMs };
}
