/** A run's budget is not over before its time, of which none counts while the whole run is paused. */
import { lengthMs, without } from '#protocol/fold/progress/spans.ts';
import type { RunFold } from '#protocol/fold/run-fold.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';

/** By the stream's clock, which has whole milliseconds; null where it is over at this time, or nothing of the run has begun. */
export function earlyBudgetEnd(
  { startedMs, pauses }: RunFold,
  { runBudgetMs = 0 }: SuiteSpec,
  nowMs: number,
): number | null {
  if (startedMs === null) return null;
  const { past, sinceMs } = pauses;
  const paused = sinceMs === null ? past : [...past, { fromMs: sinceMs, toMs: nowMs }];
  const usedMs = lengthMs(without({ fromMs: startedMs, toMs: nowMs }, paused));
  const leastMs = Math.floor(runBudgetMs);
  return usedMs < leastMs ? leastMs - usedMs : null;
}
