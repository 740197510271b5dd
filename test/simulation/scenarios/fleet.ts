/**
 * A fleet of rented hosts: 200 agents that go and come back at random over ten minutes, with 10,000 tasks
 * (`npm run simulate -- --fleet [--seed 2]`). Everything is checked as in the small scenarios.
 */
import { seededRandom } from '#test/support/seed.ts';
import { scenarioOf, type Fault, type Scenario } from './scenario.ts';

const MINUTES = 10;

export interface FleetSize {
  readonly agents: number;
  readonly tasks: number;
}

export function fleetScenario(seed: number, { agents, tasks }: FleetSize): Scenario {
  const random = seededRandom(seed * 3 + 1);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const small = scenarioOf(seed);
  const hosts = Array.from({ length: agents }, (_, at) => ({
    id: `a${at}`,
    hostId: `h${at}`,
    slots: 2,
  }));
  const [run] = small.runs;
  if (run === undefined) throw new Error('a scenario without a run');
  const { runBudgetMs: _, onPartition: __, ...plain } = run.suite;
  const [step] = plain.steps;
  if (step === undefined) throw new Error('a suite without a step');
  const suite = {
    ...plain,
    steps: [{ ...step, step: 'run' as const, id: 'run' }],
    axes: { item: Array.from({ length: tasks }, (_item, at) => at) },
    needs: { slots: 1, cpus: 0, exclusive: false },
    budgetMs: null,
    graceMs: 1_000,
    maxParallel: null,
    retries: { exit: 20, signal: 20, lost: 20 },
    onLost: { requeueAfterMs: 15_000 },
  };
  const faults = hosts.flatMap(({ id: who }): Fault[] => {
    const atMs = 5_000 + random() * (MINUTES - 1) * 60_000;
    const forMs = 5_000 + random() * 120_000;
    const kind = pick(['power', 'power', 'freeze', 'cut', 'kill'] as const);
    return [kind === 'kill' ? { kind, atMs, who, afterEffects: 3 } : { kind, atMs, who, forMs }];
  });
  // The switch: a quarter of them at once, and back at once.
  for (const { id: who } of hosts.slice(0, agents / 4))
    faults.push({ kind: 'cut', atMs: 240_000, who, forMs: 40_000 });
  for (const atMs of [100_000, 300_000])
    faults.push({ kind: 'kill', atMs, who: pick(['c0', 'c1']), afterEffects: 10 });
  return {
    ...small,
    hosts,
    coordinators: 2,
    dedupeMs: 120_000,
    temper: {
      failing: 0.02,
      ignoringTerm: 0.3,
      unkillable: 0,
      lost: 0,
      unexecutable: 0,
      longestMs: 90_000,
    },
    runs: [{ id: run.id, atMs: 50, suite }],
    orders: [],
    faults,
  };
}
