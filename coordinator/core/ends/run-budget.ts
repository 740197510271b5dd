/**
 * The budget of a whole run: over it, the leader stops the run as an operator would, proven and all, and
 * what has not ended by itself is `timed_out` (I5); of a run that cycles until then it is `stopped`. Where
 * the suite lets what runs finish, nothing new starts, and what waits ends at once.
 *
 * It counts from the first start of the run, and not while all of it is paused. A leader that comes later
 * takes that from the stream's own clock, between the start and its claim, and goes on with its monotonic
 * one: no two hosts' clocks are compared. The stop's id is the run's, so that leaders who both give it give one (I4).
 */
import { uncovered } from '#protocol/fold/cell-tally.ts';
import { lengthMs, meet } from '#protocol/fold/progress/spans.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { budgetStopId } from '../../runs/run-reducer.ts';
import type { RunEntry } from '../../runs/run-state.ts';
import { withdraw } from '../../scheduler/scheduler-reducer.ts';
import type { Announced } from '../../stop/stop-reducer.ts';
import { publish, type Context } from '../core-state.ts';
import { wakeAt } from '../wake.ts';

/** After the replay: when the runs have started, in this leader's monotonic time. */
export function datesOfStarts({ state, now }: Context): void {
  for (const run of state.runs.values()) {
    const { startedMs, pauses } = run.fold;
    if (startedMs === null) continue;
    const dateOf = (atMs: number): number => now.monotonicMs - Math.max(0, state.claimMs - atMs);
    const since = [{ fromMs: startedMs, toMs: Infinity }];
    run.startedMs = dateOf(startedMs) + lengthMs(meet(pauses.past, since));
    run.pausedMs = pauses.sinceMs === null ? null : Math.max(dateOf(pauses.sinceMs), run.startedMs);
  }
}

/** After a pause or a resume was read: time that passes while the whole run is paused does not count. */
export function datePause(context: Context, run: RunEntry): void {
  const { state, now } = context;
  if (!state.acting || run.startedMs === null) return;
  const isPaused = run.pauseSequence > run.resumedSequence;
  if (isPaused) run.pausedMs ??= now.monotonicMs;
  else if (run.pausedMs !== null) {
    run.startedMs += now.monotonicMs - run.pausedMs;
    run.pausedMs = null;
    wakeForBudget(context, run);
  }
}

/** When its budget will be used up, in this leader's monotonic time; null while it is paused, or for never. */
function endMs(run: RunEntry): number | null {
  const { runBudgetMs } = run.suite;
  if (runBudgetMs === undefined || run.startedMs === null || run.ended !== 'no') return null;
  if (run.stopSequence > 0 || run.isBudgetEndAsked || run.fold.isBudgetUsed) return null;
  const endsMs = run.startedMs + runBudgetMs;
  return run.pausedMs === null || run.pausedMs >= endsMs ? endsMs : null;
}

/** To the millisecond, not to the tick: a short budget is one, too. */
export function wakeForBudget(context: Context, run: RunEntry): void {
  const endsMs = context.state.acting ? endMs(run) : null;
  if (endsMs !== null) wakeAt(context, endsMs);
}

/** Ends the runs whose time is over, each once; one that is being stopped already needs no other. */
export function endOverBudget(context: Context): void {
  for (const run of context.state.runs.values()) {
    const endsMs = endMs(run);
    if (endsMs === null) continue;
    if (endsMs > context.now.monotonicMs) {
      wakeAt(context, endsMs);
      continue;
    }
    run.isBudgetEndAsked = true;
    const { runBudgetMs = 0, atBudget } = run.suite;
    if (atBudget === 'finish') {
      const data = { budgetMs: runBudgetMs };
      publish(context, { subject: subjects.run(run.id), name: 'run.budget_used', data });
    } else publishStop(context, run);
  }
}

/** `run.budget_used` was stored: nothing more of it is handed out. */
export function onBudgetUsed({ state }: Context, run: RunEntry): void {
  for (const task of run.listed)
    if (task.phase === 'pending') withdraw(state.scheduler, run.id, task.index);
}

function publishStop(context: Context, run: RunEntry): void {
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
      by: BY,
      reason: usedUp(run),
      // The end that a run of cycles was given is no time limit that its tasks were over.
      ...(run.fold.cycles === null ? { cause: 'budget' } : {}),
    },
  });
}

const BY = 'the coordinator';

function usedUp({ suite: { runBudgetMs = 0 } }: RunEntry): string {
  return `the run's budget of ${runBudgetMs / 1_000} s was used up`;
}

/** What ends the tasks that wait when the budget is used up and what runs goes on; null before that. */
export function budgetEnd(run: RunEntry): Announced | null {
  if (!run.fold.isBudgetUsed) return null;
  const end = { task: null, by: BY, reason: usedUp(run) };
  return run.fold.cycles === null ? { ...end, cause: 'budget' } : end;
}

/** What a run that its budget has ended says of its end; null for any other. */
export function endReason(run: RunEntry): string | null {
  const { fold } = run;
  const isOver =
    fold.isBudgetUsed || fold.stops.some(({ command }) => command === budgetStopId(run.id));
  if (!isOver) return null;
  const missing = fold.cycles === null || fold.tally === null ? 0 : uncovered(fold.tally);
  const text = usedUp(run);
  if (missing === 0) return text;
  return `${text} before ${missing} of ${fold.cycles?.cells.length ?? 0} cells were measured`;
}
