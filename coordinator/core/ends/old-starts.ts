/**
 * Starts of attempts that have ended go while their run lives: else those of some 200,000 tasks would fill
 * BM_COMMANDS, and each new leader read them all (I12). In few large steps, since a purge costs the server more
 * than what it removes; and only what lies before every start whose attempt may still live: a stop asks by
 * it who has to acknowledge (I5).
 */
import type { OpenAttempt, RunEntry } from '../../runs/run-state.ts';
import type { Context } from '../core-state.ts';

/** A start of the run stands there in BM_COMMANDS. */
export function noteStoredStart({ starts }: RunEntry, sequence: number): void {
  starts.last = Math.max(starts.last, sequence);
  starts.kept += 1;
}

export function dropOldStarts({ state, effects }: Context): void {
  const { startsKept } = state.timing;
  for (const run of state.runs.values()) {
    const { starts } = run;
    if (run.purging || starts.kept < startsKept) continue;
    starts.kept = 0;
    const before = firstOpen(run);
    if (before <= starts.droppedBefore) continue;
    starts.droppedBefore = before;
    effects.push({ kind: 'drop_starts', run: run.id, before });
  }
}

/** What was not read yet stands behind all that was. */
function firstOpen({ open, starts }: RunEntry): number {
  let first = starts.last + 1;
  for (const attempt of open.values())
    if (attempt.sequence !== null && !isGone(attempt)) first = Math.min(first, attempt.sequence);
  return first;
}

/** Its agent was forgotten, and no task counts on it any more: no leader has to read its start (forget.ts, 2). */
function isGone({ gone, exited, superseded }: OpenAttempt): boolean {
  return gone === true && (exited || superseded === true);
}
