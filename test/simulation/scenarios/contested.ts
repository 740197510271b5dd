/**
 * Runs that come while another holds the hosts, and are more urgent: what may be ended for them is, and nothing
 * else. They are drawn apart from the rest of a scenario.
 */
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { seededRandom } from '#test/support/seed.ts';
import type { Scenario } from './scenario.ts';

/** Many steps run for longer than what is ended for a priority has to have run. */
const LONGEST_MS = 6_000;

type Random = () => number;
type Drawn = Pick<Scenario, 'seed' | 'temper' | 'runs' | 'orders' | 'faults'>;

export function withContest<T extends Drawn>(scenario: T): T {
  const random = seededRandom(scenario.seed ^ 0xc0_7e57);
  const isContested = random() < 0.5 && scenario.runs.length > 1;
  if (!isContested) return scenario;
  const runs = scenario.runs.map((run, at) => {
    if (at === 0) return { ...run, suite: holding(random, run.suite) };
    return { ...run, atMs: 500 + random() * 2_000, suite: urgent(random, run.suite, at) };
  });
  const contested = {
    ...scenario,
    temper: { ...scenario.temper, longestMs: LONGEST_MS },
    runs,
  };
  if (random() < 0.3) return contested;
  // Else what is ordered or broken mostly ends it before anything has to make room.
  return { ...contested, orders: [], faults: scenario.faults.slice(0, 2) };
}

/** On as many hosts as there are. */
function holding(random: Random, suite: SuiteSpec): SuiteSpec {
  return { ...mixed(random, suite), axes: items(suite, 6), priority: 0, maxParallel: null };
}

/** The later, the more. */
function urgent(random: Random, suite: SuiteSpec, at: number): SuiteSpec {
  return { ...mixed(random, suite), axes: items(suite, 3), priority: at * 5 };
}

function items({ axes }: SuiteSpec, count: number): SuiteSpec['axes'] {
  return { ...axes, item: Array.from({ length: count }, (_, at) => at) };
}

function mixed(random: Random, { preemptible: _, ...suite }: SuiteSpec): SuiteSpec {
  return random() < 0.4 ? { ...suite, preemptible: true } : suite;
}
