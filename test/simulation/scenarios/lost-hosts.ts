/**
 * Hosts that are lost: away for longer than anybody waits, or for good. They are drawn apart from the rest of
 * a scenario, and come on top of it.
 */
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { seededRandom } from '#test/support/seed.ts';
import type { Fault, Order, Scenario } from './scenario.ts';

type Drawn = Omit<Scenario, 'cordonAfter'>;

/** Its tasks are tried again after this; null: they wait; absent: after a minute. */
const DELAYS = [undefined, 0, 2_000, 2_000, 10_000, null] as const;

export function withLostHosts(scenario: Drawn): Drawn {
  const random = seededRandom(scenario.seed * 2 + 2);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const kind = random();
  const isGone = kind < 0.12;
  const isAway = !isGone && kind < 0.6;
  const runs = scenario.runs.map((run) => {
    const requeueAfterMs = isGone ? pick([0, 2_000, 10_000]) : pick(DELAYS);
    const retries =
      random() < 0.5 ? { ...run.suite.retries, lost: pick([0, 1, 3]) } : run.suite.retries;
    if (requeueAfterMs === undefined) return run;
    const suite = { ...run.suite, retries, onLost: { requeueAfterMs } };
    // A stop waits for every host that may have its processes (I5).
    return { ...run, suite: isGone ? withoutRaises(withoutBudget(suite)) : suite };
  });
  if (!isGone && !isAway) return { ...scenario, runs };
  const hosts = [
    ...scenario.hosts,
    { id: 'ax', hostId: 'hx', slots: 1 + Math.floor(random() * 3), longestMs: pick([500, 15_000]) },
  ];
  const atMs = 100 + random() ** 2 * 12_000;
  // Back while the next attempt runs, or long after.
  const forMs = 11_000 + random() * (random() < 0.6 ? 7_000 : 80_000);
  const how = pick(['cut', 'cut', 'freeze', 'power'] as const);
  const lost: Fault = isGone
    ? { kind: 'gone', atMs, who: 'ax' }
    : { kind: how, atMs, who: 'ax', forMs };
  const again: Fault = {
    kind: how,
    atMs: atMs + forMs + 3_000 + random() * 9_000,
    who: 'ax',
    forMs,
  };
  const isForgotten = seededRandom(scenario.seed ^ 0x0f_0f_0f)() < 0.5;
  if (isGone && isForgotten) {
    const forget: Order = { kind: 'forget', atMs: atMs + 11_000, who: 'ax' };
    const orders = [...scenario.orders, forget];
    // Whatever they say of lost hosts.
    const onLost = { requeueAfterMs: scenario.seed % 2 === 0 ? null : 60_000 };
    const waiting = scenario.runs.map((run) => {
      return { ...run, suite: { ...withoutRaises(run.suite), onLost } };
    });
    return { ...scenario, runs: waiting, hosts, orders, faults: [...scenario.faults, lost] };
  }
  const isStopping = ({ kind }: Order): boolean => kind === 'stop' || kind === 'pause';
  const orders = isGone ? scenario.orders.filter((order) => !isStopping(order)) : scenario.orders;
  return {
    ...scenario,
    runs,
    hosts,
    orders,
    faults: [...scenario.faults, lost, ...(isAway && random() < 0.3 ? [again] : [])],
  };
}

/** It has no end but that of its tasks. */
/** A gang that was raised to what a host has that is gone since waits for ever. */
function withoutRaises({ retryRaises, ...suite }: SuiteSpec): SuiteSpec {
  const isRaised = retryRaises !== undefined && suite.needs.hosts === undefined;
  return isRaised ? { ...suite, retryRaises } : suite;
}

function withoutBudget({
  runBudgetMs: _budget,
  atBudget: _end,
  untilBudget: _cycles,
  ...suite
}: SuiteSpec): SuiteSpec {
  return suite;
}
