/**
 * The budget of a whole run: over it, the leader stops the run as an operator would, proven and all, and
 * what has not ended by itself is `timed_out` (I5).
 *
 * It counts from the first start of the run, and not while all of it is paused. A leader that comes later takes that from the stream's own
 * clock, between the start and its claim, and goes on with its monotonic one: no two hosts' clocks are
 * compared. The stop's id is the run's, so that leaders who both give it give one (I4).
 */
import { lengthMs } from '#protocol/fold/progress/spans.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { RunEntry } from '../runs/run-state.ts';
import type { RunStops } from '../stop/stop-reducer.ts';
import { publish, type Context } from './core-state.ts';

/** Of the stop that the budget of a run gives. */
export function budgetStopId(run: string): string {
  return `budget-${run}`;
}

/** After the replay: when the runs have started, in this leader's monotonic time. */
export function datesOfStarts({ state, now }: Context): void {
  for (const run of state.runs.values()) {
    const { startedMs, pauses } = run.fold;
    if (startedMs === null) continue;
    const dateOf = (atMs: number): number => now.monotonicMs - Math.max(0, state.claimMs - atMs);
    run.startedMs = dateOf(startedMs) + lengthMs(pauses.past);
    run.pausedMs = pauses.sinceMs === null ? null : Math.max(dateOf(pauses.sinceMs), run.startedMs);
  }
}

/** After a pause or a resume was read: time that passes while the whole run is paused does not count. */
export function datePause({ state, now }: Context, run: RunEntry): void {
  if (!state.acting || run.startedMs === null) return;
  const isPaused = run.pauseSequence > run.resumedSequence;
  if (isPaused) run.pausedMs ??= now.monotonicMs;
  else if (run.pausedMs !== null) {
    run.startedMs += now.monotonicMs - run.pausedMs;
    run.pausedMs = null;
  }
}

/** Stops the runs whose time is over, each once; one that is being stopped already needs no other. */
export function stopOverBudget(context: Context): void {
  const { state, now } = context;
  for (const run of state.runs.values()) {
    const { runBudgetMs } = run.suite;
    if (runBudgetMs === undefined || run.startedMs === null || run.ended !== 'no') continue;
    if (run.stopSequence > 0 || run.isBudgetStopAsked) continue;
    if ((run.pausedMs ?? now.monotonicMs) - run.startedMs < runBudgetMs) continue;
    run.isBudgetStopAsked = true;
    publishStop(context, run, runBudgetMs);
  }
}

function publishStop(context: Context, run: RunEntry, runBudgetMs: number): void {
  publish(context, {
    subject: subjects.stop(),
    name: 'command.stop',
    id: budgetStopId(run.id),
    ttl: 'never',
    data: {
      run: run.id,
      task: null,
      graceMs: null,
      now: false,
      by: 'the coordinator',
      reason: `the run's budget of ${runBudgetMs / 1_000} s was used up`,
      cause: 'budget',
    },
  });
}

/** What a run that its budget has ended says of its end; null for any other. */
export function budgetReason(stops: RunStops): string | null {
  for (const { cause, reason } of stops.announced.values()) if (cause === 'budget') return reason;
  return null;
}
