/**
 * Runs with a budget that are paused for a while, in which their leader dies; some are stopped in the moment in
 * which they go on. They are drawn apart from the rest of a scenario.
 */
import { seededRandom } from '#test/support/seed.ts';
import type { Fault, Order, Scenario } from './scenario.ts';

/** A retry that falls due while its run is paused. */
const SLOW_RETRY = { backoffMs: 1_000, factor: 1, maxMs: 1_000, jitter: 0.5 };

export function withPauses(scenario: Scenario): Scenario {
  const random = seededRandom(scenario.seed ^ 0x9a_05e0);
  // A stop waits for every host that may have its processes (I5).
  const isGone = scenario.faults.some(({ kind }) => kind === 'gone');
  if (random() > 0.2 || isGone) return scenario;
  const at = Math.floor(random() * scenario.runs.length);
  const paused = scenario.runs[at];
  if (paused === undefined) return scenario;
  const fromMs = paused.atMs + 300 + random() * 2_500;
  const untilMs = fromMs + 500 + random() * 4_000;
  const order = { run: paused.id, task: null, now: random() < 0.4 };
  const orders: Order[] = [
    { ...order, kind: 'pause', atMs: fromMs },
    { ...order, kind: 'resume', atMs: untilMs },
    ...(random() < 0.4 ? [{ ...order, kind: 'stop' as const, atMs: untilMs + random() * 30 }] : []),
  ];
  const fault: Fault = {
    kind: 'kill',
    atMs: fromMs + random() * (untilMs - fromMs),
    who: `c${Math.floor(random() * scenario.coordinators)}`,
    afterEffects: 1,
  };
  const rules = { exit: SLOW_RETRY, signal: SLOW_RETRY };
  const suite = {
    ...paused.suite,
    axes: { ...paused.suite.axes, item: Array.from({ length: 10 }, (_, item) => item) },
    runBudgetMs: 3_000 + random() * 4_000,
    retries: { ...paused.suite.retries, exit: 2, signal: 2 },
    ...(random() < 0.5 ? { retryRules: { ...paused.suite.retryRules, ...rules } } : {}),
  };
  const isWhole = random() < 0.3;
  return {
    ...scenario,
    runs: scenario.runs.map((run) => (run === paused ? { ...run, suite } : run)),
    // What else is ordered or broken mostly ends it before its budget does.
    orders: [...(isWhole ? scenario.orders : []), ...orders],
    faults: [...(isWhole ? scenario.faults : scenario.faults.slice(0, 2)), fault],
  };
}
