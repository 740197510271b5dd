/** From a seed to what happens: hosts, suites, what operators do, and every fault with its time. */
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { goldenSuite } from '#test/support/golden-messages.ts';
import { seededRandom } from '#test/support/seed.ts';
import { withContest } from './contested.ts';
import { withFailingHost } from '../checks/cordon-checks.ts';
import { withLostGang } from './lost-gangs.ts';
import { withLostHosts } from './lost-hosts.ts';
import { withPauses } from './paused.ts';
import type { Temper } from '../world/machine.ts';

export type Fault =
  /** kill -9 of the process, after so many more effects. */
  | {
      readonly kind: 'kill';
      readonly atMs: number;
      readonly who: string;
      readonly afterEffects: number;
    }
  | {
      readonly kind: 'freeze' | 'cut';
      readonly atMs: number;
      readonly who: string;
      readonly forMs: number;
    }
  /** The host goes down with all that runs on it. */
  | { readonly kind: 'power'; readonly atMs: number; readonly who: string; readonly forMs: number }
  /** The host goes down, and nobody ever sees it again. */
  | { readonly kind: 'gone'; readonly atMs: number; readonly who: string }
  /** Another coordinator gets the lease, and this one does not notice. */
  | { readonly kind: 'usurp'; readonly atMs: number; readonly who: string }
  /** It ends as an agent does that is upgraded: what it has to say is on its disk, what runs goes on. */
  | { readonly kind: 'leave'; readonly atMs: number; readonly who: string }
  | { readonly kind: 'server'; readonly atMs: number; readonly forMs: number }
  | { readonly kind: 'full'; readonly atMs: number; readonly forMs: number }
  | {
      readonly kind: 'loss';
      readonly atMs: number;
      readonly forMs: number;
      readonly share: number;
    };

export type Order = RunOrder | HostOrder;

/** `drain` gives back what waits there and starts nothing; it is undone before the end. */
export interface HostOrder {
  readonly atMs: number;
  /** `forget`: its host is gone; asked for until it is not there. */
  readonly kind: 'drain' | 'undrain' | 'forget';
  readonly who: string;
}

export interface RunOrder {
  readonly atMs: number;
  readonly kind: 'stop' | 'pause' | 'resume';
  readonly run: string;
  /** Position of the task, null for the run. */
  readonly task: number | null;
  readonly now: boolean;
}

export interface Scenario {
  readonly seed: number;
  readonly hosts: readonly {
    readonly id: string;
    readonly hostId: string;
    readonly slots: number;
    /** Of its steps, instead of the temper's. */
    readonly longestMs?: number;
    readonly failing?: number;
  }[];
  /** As the coordinator's flag. */
  readonly cordonAfter: number;
  readonly coordinators: number;
  readonly temper: Temper;
  /** Of the server's deduplication. */
  readonly dedupeMs: number;
  readonly runs: readonly {
    readonly id: string;
    readonly atMs: number;
    readonly suite: SuiteSpec;
  }[];
  readonly orders: readonly Order[];
  readonly faults: readonly Fault[];
}

/** Faults happen until then. */
export const FAULTS_UNTIL_MS = 20_000;

type Random = () => number;

export function scenarioOf(seed: number): Scenario {
  const random = seededRandom(seed * 2 + 1);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const hosts = Array.from({ length: 1 + Math.floor(random() * 3) }, (_, at) => ({
    id: `a${at}`,
    hostId: `h${random() < 0.15 ? 0 : at}`,
    slots: 1 + Math.floor(random() * 3),
  }));
  const most = Math.max(...hosts.map(({ slots }) => slots));
  const temper: Temper = {
    failing: pick([0, 0.1, 0.4]),
    ignoringTerm: pick([0, 0.5, 1]),
    unkillable: pick([0, 0.2, 0.6]),
    lost: pick([0, 0, 0.1]),
    unexecutable: pick([0, 0, 0.1]),
    longestMs: pick([100, 1_000, 6_000]),
  };
  // Of its own, so that what is drawn for it changes nothing else of a seed.
  const later = seededRandom(seed ^ 0x5eed_0000);
  const latest = seededRandom(seed ^ 0x1eed_0000);
  const forPreemption = seededRandom(seed ^ 0x93ee_0000);
  const forGangs = seededRandom(seed ^ 0x6a46_0000);
  const forRaises = seededRandom(seed ^ 0x4a15_0000);
  const forRamps = seededRandom(seed ^ 0x4a3d_0000);
  const forReplacing = seededRandom(seed ^ 0x4e91_0000);
  const machines = new Set(hosts.map(({ hostId }) => hostId)).size;
  const runs = Array.from({ length: 1 + Math.floor(random() * 2.5) }, (_, at) => ({
    id: `2026-02-13_00-00-0${at}-aaaa`,
    atMs: at === 0 ? 50 : random() * 8_000,
    suite: withPreemption(
      forPreemption,
      withReplacing(
        forReplacing,
        withRamp(
          forRamps,
          withHosts(
            forGangs,
            withRaises(
              forRaises,
              withNeeds(latest, heldBack(later, suiteOf(random, most)), most),
              most,
            ),
            machines,
          ),
        ),
      ),
      at,
    ),
  }));
  const coordinators = 1 + Math.floor(random() * 2);
  const orders = [...ordersOf(random, runs), ...drainsOf(random, hosts)];
  const when = orders.map(({ atMs }) => atMs);
  const drawn = withLostHosts(
    withContest({
      seed,
      hosts,
      coordinators,
      temper,
      dedupeMs: pick([120_000, 0]),
      runs,
      orders,
      faults: faultsOf(random, { hosts: hosts.map(({ id }) => id), coordinators, when }),
    }),
  );
  return withLostGang(withPauses(withFailingHost(drawn)));
}

function suiteOf(random: Random, mostSlots: number): SuiteSpec {
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const step = {
    ...goldenSuite.steps[0],
    argv: ['work'],
    env: {},
    timeoutMs: null,
    onFail: 'fail' as const,
    message: null,
  };
  const shapes = [
    ['run'],
    ['run'],
    ['setup', 'run'],
    ['setup', 'run', 'teardown'],
    ['run', 'teardown'],
  ] as const;
  const steps = pick(shapes).map((name) => ({
    ...step,
    step: name,
    id: name,
    cwd: null,
    stdio: 'pipe' as const,
  }));
  const exclusive = random() < 0.25;
  const slots = Math.min(mostSlots, pick([1, 1, 2]));
  return {
    ...goldenSuite,
    steps,
    axes: { item: Array.from({ length: pick([1, 3, 6, 10]) }, (_, at) => at) },
    include: [],
    exclude: [],
    only: {},
    repeats: 1,
    phases: [],
    metrics: [],
    files: [],
    checkpoints: [],
    priority: pick([0, 0, 5]),
    needs: { slots, cpus: 0, exclusive },
    budgetMs: pick([null, null, 3_000]),
    graceMs: pick([0, 200, 2_000]),
    retries: pick([{}, { exit: 1, signal: 1 }, { exit: 2, signal: 2, lost: 3, timeout: 1 }]),
    maxParallel: pick([null, null, 1, 2]),
    ...(random() < 0.15 ? { runBudgetMs: 2_000 + random() * 10_000 } : {}),
    ...(random() < 0.15 ? { onPartition: { stopAfterMs: 1_500 } } : {}),
  };
}

/** Attempts of some runs may have to make room for those of others; some that come later are urgent. */
function withPreemption(random: Random, suite: SuiteSpec, at: number): SuiteSpec {
  const isOne = random() < 0.4;
  const isUrgent = random() < 0.5 && at > 0;
  return {
    ...suite,
    priority: suite.priority + (isUrgent ? 5 : 0),
    ...(isOne ? { preemptible: true } : {}),
  };
}

/** Some runs cycle until their budget ends, some wait before they try again. */
function heldBack(random: Random, suite: SuiteSpec): SuiteSpec {
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const isCycling = random() < 0.15;
  const waits = random() < 0.5;
  const rule = {
    backoffMs: pick([50, 500, 3_000]),
    factor: pick([1, 2, 4]),
    maxMs: 8_000,
    jitter: pick([0, 0.5]),
  };
  const runBudgetMs = 1_500 + random() * 4_000;
  const untilBudget = { maxCycles: pick([null, null, 2, 5]) };
  const atBudget = pick(['stop', 'finish'] as const);
  return {
    ...suite,
    ...(suite.runBudgetMs === undefined ? {} : { atBudget }),
    ...(isCycling ? { runBudgetMs, untilBudget, atBudget } : {}),
    ...(waits ? { retryRules: { exit: rule, signal: rule, lost: rule } } : {}),
  };
}

/**
 * Tasks of some runs need different things, and some need a lock that all of these share.
 */
function withNeeds(random: Random, suite: SuiteSpec, most: number): SuiteSpec {
  const isVaried = random() < 0.25;
  const isLocked = random() < 0.4;
  const locks = isLocked ? { locks: { db: 2 } } : {};
  if (!isVaried) return { ...suite, ...locks, needs: { ...suite.needs, ...lockOf(isLocked, 1) } };
  const wide = Array.from({ length: Math.min(2, most) }, (_, at) => at + 1);
  const { exclusive } = suite.needs;
  const needsTemplate = {
    slots: '{{wide}}',
    cpus: 0,
    exclusive,
    ...lockOf(isLocked, '{{wide}}'),
  };
  return { ...suite, ...locks, axes: { ...suite.axes, wide }, needsTemplate };
}

/** Tasks of some runs need more slots each time that they fail, as far as hosts that stay have them. */
function withRaises(random: Random, suite: SuiteSpec, most: number): SuiteSpec {
  const isRaising = random() < 0.4;
  const slots = { ...(random() < 0.5 ? { times: 2 } : { plus: 1 }), upTo: most };
  if (!isRaising || suite.needs.exclusive) return suite;
  return { ...suite, retryRaises: { exit: { slots }, signal: { slots } } };
}

/** Tasks of some runs take several hosts, their ranks a slot of each. */
function withHosts(random: Random, suite: SuiteSpec, machines: number): SuiteSpec {
  const isGang = random() < 0.3;
  const hosts = 2 + Math.floor(random() * (machines - 1));
  const isWaiting = random() < 0.5;
  if (!isGang || machines < 2 || suite.needsTemplate !== undefined) return suite;
  const barriers = suite.steps.map(({ id }) => id).filter((id) => id !== 'teardown');
  return {
    ...suite,
    needs: { ...suite.needs, slots: 1, hosts },
    ...(isWaiting ? { gang: { barriers } } : {}),
  };
}

/** The ranks of some gangs begin their run in steps; nothing is ever reported, so a gain is none. */
function withRamp(random: Random, suite: SuiteSpec): SuiteSpec {
  const isRamp = random() < 0.5;
  const everyMs = 50 + random() * 1_500;
  const isUntil = random() < 0.3;
  if (!isRamp || suite.needs.hosts === undefined) return suite;
  const until = { metric: 'm', gain: 0.1 };
  const ramp = { steps: [1, 2], everyMs, ...(isUntil ? { until } : {}) };
  return { ...suite, gang: { ...suite.gang, ramp } };
}

/** Ranks of some gangs are replaced where their hosts are lost. */
function withReplacing(random: Random, suite: SuiteSpec): SuiteSpec {
  const isReplacing = random() < 0.6;
  const replaceWithinMs = random() < 0.3 ? 1_000 : 2_000 + random() * 40_000;
  const isGang = suite.needs.hosts !== undefined && suite.gang?.ramp === undefined;
  if (!isReplacing || !isGang) return suite;
  return { ...suite, gang: { ...suite.gang, onRankLost: { replaceWithinMs } } };
}

function lockOf<C>(isLocked: boolean, db: C): { locks?: { db: C } } {
  return isLocked ? { locks: { db } } : {};
}

function drainsOf(random: Random, hosts: readonly { readonly id: string }[]): HostOrder[] {
  const count = random() < 0.7 ? 0 : 1 + Math.floor(random() * 3);
  return Array.from({ length: count }, () => {
    const { id: who } = hosts[Math.floor(random() * hosts.length)] as { id: string };
    const kind = random() < 0.7 ? 'drain' : 'undrain';
    return { atMs: 500 + random() ** 2 * FAULTS_UNTIL_MS * 0.6, kind, who };
  });
}

function ordersOf(random: Random, runs: readonly { readonly id: string }[]): RunOrder[] {
  const count = random() < 0.25 ? 0 : 1 + Math.floor(random() * 5);
  return Array.from({ length: count }, () => {
    const { id } = runs[Math.floor(random() * runs.length)] as { id: string };
    const kind = random() < 0.5 ? 'stop' : random() < 0.6 ? 'pause' : 'resume';
    const task = random() < 0.4 ? Math.floor(random() * 10) : null;
    return {
      atMs: 500 + random() ** 2 * FAULTS_UNTIL_MS * 0.6,
      kind,
      run: id,
      task,
      now: random() < 0.4,
    };
  });
}

function faultsOf(
  random: Random,
  mesh: {
    readonly hosts: readonly string[];
    readonly coordinators: number;
    /** Of orders: what breaks then breaks most. */
    readonly when: readonly number[];
  },
): Fault[] {
  const count = random() < 0.15 ? 0 : 1 + Math.floor(random() * 8);
  const leaders = Array.from({ length: mesh.coordinators }, (_, at) => `c${at}`);
  const any = (names: readonly string[]): string =>
    names[Math.floor(random() * names.length)] as string;
  return Array.from({ length: count }, (): Fault => {
    const near = random() < 0.4 ? mesh.when[Math.floor(random() * mesh.when.length)] : undefined;
    const atMs =
      near === undefined
        ? 100 + random() * FAULTS_UNTIL_MS * random()
        : Math.max(100, near - 400 + random() * 600);
    const forMs = 20 + random() ** 2 * 15_000;
    const who = random() < 0.35 ? any(leaders) : any(mesh.hosts);
    const which = random();
    if (which < 0.4)
      return { kind: 'kill', atMs, who, afterEffects: 1 + Math.floor(random() * 60) };
    if (which < 0.5) return { kind: 'freeze', atMs, who, forMs };
    if (which < 0.62) return { kind: 'cut', atMs, who, forMs };
    if (which < 0.7) return { kind: 'power', atMs, who: any(mesh.hosts), forMs };
    if (which < 0.74) return { kind: 'leave', atMs, who: any(mesh.hosts) };
    if (which < 0.79) return { kind: 'usurp', atMs, who: any(leaders) };
    if (which < 0.86) return { kind: 'server', atMs, forMs: forMs / 4 };
    if (which < 0.92) return { kind: 'full', atMs, forMs: forMs / 4 };
    return { kind: 'loss', atMs, forMs, share: random() * 0.3 };
  });
}
