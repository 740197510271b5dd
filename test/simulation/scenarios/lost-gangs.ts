/**
 * A run whose tasks take several hosts, of which one is lost while they run and replaced by another. Drawn apart
 * from the rest of a scenario, on top of it, with hosts and a run of its own.
 */
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { seededRandom } from '#test/support/seed.ts';
import type { Fault, Order, Scenario } from './scenario.ts';

const RUN = '2026-02-13_00-00-09-aaaa';
const LONG_MS = 120_000;

export function withLostGang(scenario: Scenario): Scenario {
  const { seed } = scenario;
  const random = seededRandom(seed ^ 0x70c7_0000);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const [first] = scenario.runs;
  if (random() >= 0.12 || first === undefined) return scenario;
  const size = pick([2, 2, 3]);
  const ids = Array.from({ length: size + 1 + Math.floor(random() * 2) }, (_, at) => `g${at}`);
  const hosts = ids.map((id) => ({
    id,
    hostId: `h${id}`,
    slots: 1,
    longestMs: LONG_MS,
    failing: 0,
  }));
  const barriers = first.suite.steps.map(({ id }) => id).filter((id) => id !== 'teardown');
  const requeueAfterMs = pick([0, 0, 3_000]);
  const suite = suiteOf(first.suite, {
    needs: { slots: 1, cpus: 0, exclusive: random() < 0.5, hosts: size, host: ['g*'] },
    onLost: { requeueAfterMs },
    retries: { lost: pick([1, 2, 3]) },
    gang: {
      onRankLost: { replaceWithinMs: pick([2_000, 30_000]) },
      ...(random() < 0.5 ? { barriers } : {}),
    },
  });
  // Placed in this order: of those rank 0 is none.
  const later = ids.slice(1, size);
  const atMs = 1_000 + random() ** 2 * 9_000;
  const lose = (at: number): Fault => ({
    ...{
      kind: pick(['cut', 'cut', 'freeze', 'power'] as const),
      atMs: at,
      who: pick(random() < 0.8 ? later : ids),
    },
    forMs: 11_000 + random() * (random() < 0.5 ? 8_000 : 60_000),
  });
  // When its revoke is due, and what follows it.
  const dueMs = atMs + 10_000 + requeueAfterMs;
  const kill: Fault = {
    ...{ kind: 'kill', atMs: dueMs + random() * 2_500, who: 'c0' },
    afterEffects: 1 + Math.floor(random() * 12),
  };
  const order: Order = {
    ...{ kind: pick(['stop', 'pause'] as const), atMs: dueMs + random() * 6_000, run: RUN },
    ...{ task: pick([null, 0]), now: random() < 0.4 },
  };
  const again = lose(atMs + random() * 20_000);
  return {
    ...scenario,
    hosts: [...scenario.hosts, ...hosts],
    runs: [...scenario.runs, { id: RUN, atMs: 300, suite }],
    orders: [...scenario.orders, ...(random() < 0.3 ? [order] : [])],
    faults: [
      ...scenario.faults,
      lose(atMs),
      ...(random() < 0.4 ? [again] : []),
      ...(random() < 0.4 ? [kill] : []),
    ],
  };
}

/** The steps of the scenario's own, without what ends it or makes it wait for something else. */
function suiteOf(base: SuiteSpec, own: Partial<SuiteSpec>): SuiteSpec {
  const {
    needsTemplate: _needs,
    runBudgetMs: _budget,
    atBudget: _end,
    untilBudget: _cycles,
    retryRaises: _raises,
    retryRules: _rules,
    onPartition: _partition,
    locks: _locks,
    ...suite
  } = base;
  const axes = { item: [0, 1] };
  return { ...suite, axes, budgetMs: null, maxParallel: null, name: 'lost-gang', ...own };
}
