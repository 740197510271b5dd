/** One seed from its begin to its end: the mesh, its faults, its operators, and what is checked. */
import { expandTasks } from '#protocol/suite/expand.ts';
import { Checks } from './checks/checks.ts';
import { CordonChecks } from './checks/cordon-checks.ts';
import { Disk } from './world/disk.ts';
import { installGlobals } from './world/machine-globals.ts';
import { Machine } from './world/machine.ts';
import type { Mesh } from './mesh/mesh.ts';
import { Operator } from './mesh/operator.ts';
import {
  FAULTS_UNTIL_MS,
  scenarioOf,
  type Fault,
  type Order,
  type Scenario,
} from './scenarios/scenario.ts';
import { totalsOf, type SimulateOptions, type Simulated } from './simulated.ts';
import { SimSnapshots } from './mesh/sim-snapshots.ts';
import { SimServer } from './world/server.ts';
import { SimAgent } from './mesh/sim-agent.ts';
import { Lease, SimCoordinator } from './mesh/sim-coordinator.ts';
import { World } from './world/world.ts';

/** Once nothing is broken any more, every run ends within this of the last step that begins. */
const LIVENESS_MS = 300_000;
/** A comparison of views costs as much as dozens of steps. */
const COMPARE_EVERY = 16;
/** Fifty times what seeds need. */
const STORED_MOST = 4_000;
const QUIET_LOOK_MS = 5_000;

export async function simulate(seed: number, options: SimulateOptions = {}): Promise<Simulated> {
  const drawn = options.scenario ?? scenarioOf(seed);
  const scenario = {
    ...drawn,
    faults: options.faults ?? drawn.faults,
    orders: options.orders ?? drawn.orders,
  };
  const world = new World(seed, options.trace ?? null);
  const disk = new Disk(world);
  const undo = [installGlobals(world), disk.install()];
  try {
    const simulation = new Simulation(world, scenario, options);
    await simulation.run();
    const { checks } = simulation;
    const { violations, stored, compared } = checks;
    const { begins } = checks.processes;
    return {
      seed,
      compared,
      violations,
      scenario,
      steps: world.steps,
      stored,
      begins,
      simulatedMs: world.nowMs,
      cordons: simulation.cordons,
      ...totalsOf(checks),
    };
  } finally {
    for (const put of undo.reverse()) put();
  }
}

class Simulation {
  readonly checks: Checks;
  readonly #cordons: CordonChecks;
  readonly #world: World;
  readonly #scenario: Scenario;
  readonly #storedMost: number;
  readonly #mesh: Mesh;
  readonly #agents: readonly SimAgent[];
  readonly #coordinators: readonly SimCoordinator[];
  readonly #operator: Operator;
  readonly #lease = new Lease();
  /** Hosts that never come back. */
  readonly #gone = new Set<string>();
  readonly #unplant: (() => void) | undefined;

  constructor(world: World, scenario: Scenario, { plant, scenario: given }: SimulateOptions) {
    this.#world = world;
    this.#storedMost = given === undefined ? STORED_MOST : Infinity;
    this.#scenario = scenario;
    const server = new SimServer(world, {
      onStored: (stored) => {
        const message = this.checks.onStored(stored);
        this.#cordons.onStored(stored, message);
        world.trace(
          () =>
            `${stored.stream} ${stored.sequence} ${stored.by} ${stored.subject} ${message?.name ?? ''} ${JSON.stringify(message?.data ?? null).slice(0, 300)}`,
        );
      },
    });
    server.dedupeMs = scenario.dedupeMs;
    this.checks = new Checks(server);
    const { checks } = this;
    const note = (text: string): void => {
      checks.note(text);
    };
    this.#cordons = new CordonChecks({ after: scenario.cordonAfter, note });
    this.#mesh = {
      world,
      server,
      taps: {},
      links: new Set(),
      beats: { listeners: new Set() },
      archived: new Set(),
      snapshots: new SimSnapshots(server.stream('BM_EVENTS')),
      api: null,
      onBug: (owner, error) => {
        if (owner.isAlive)
          checks.note(
            `a defect in ${owner.name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
          );
      },
      onArchived: (run, state) => {
        checks.compare(run, state);
      },
    };
    this.#unplant = plant?.(this.#mesh);
    const hooks = checks.processes;
    const { temper, cordonAfter } = scenario;
    this.#agents = scenario.hosts.map(
      ({ longestMs = temper.longestMs, failing = temper.failing, ...host }) =>
        new SimAgent(
          this.#mesh,
          new Machine(world, { ...host, temper: { ...temper, longestMs, failing }, hooks }),
        ),
    );
    this.#coordinators = Array.from(
      { length: scenario.coordinators },
      (_, at) => new SimCoordinator(this.#mesh, this.#lease, { id: `c${at}`, cordonAfter }),
    );
    this.#operator = new Operator(this.#mesh);
  }

  get cordons(): number {
    return this.#cordons.cordons;
  }

  async run(): Promise<void> {
    try {
      for (const one of [...this.#coordinators, ...this.#agents])
        this.#world.after(this.#world.between(0, 30), () => void one.start(), null);
      for (const run of this.#scenario.runs)
        this.#world.after(
          run.atMs,
          () => {
            this.#operator.submit(run.id, run.suite);
          },
          null,
        );
      for (const [at, order] of this.#scenario.orders.entries())
        this.#world.after(
          order.atMs,
          () => {
            this.#order(order, at);
          },
          null,
        );
      for (const fault of this.#scenario.faults)
        this.#world.after(
          fault.atMs,
          () => {
            this.#break(fault);
          },
          null,
        );
      const quietMs = Math.max(
        FAULTS_UNTIL_MS,
        ...this.#scenario.faults.map((fault) => fault.atMs + ('forMs' in fault ? fault.forMs : 0)),
      );
      await this.#until(this.#scenario.faults.length === 0 ? 0 : quietMs);
      this.#heal();
      let [endMs, begins] = [0, -1];
      while (this.#world.nowMs <= endMs || begins !== this.checks.processes.begins) {
        if (begins !== this.checks.processes.begins) endMs = this.#world.nowMs + LIVENESS_MS;
        ({ begins } = this.checks.processes);
        await this.#until(this.#world.nowMs + QUIET_LOOK_MS);
        if (this.#isOver() || this.checks.violations.length > 0) return;
        this.#resumeAll();
      }
      this.checks.note(`it never ends: ${this.#left().join('; ')}`);
    } finally {
      this.#unplant?.();
    }
  }

  async #until(untilMs: number): Promise<void> {
    let stored = -1;
    // It looks at all that is handed out: of a fleet that is much.
    const usageEvery = Math.ceil(this.#scenario.hosts.length / 10);
    while (this.checks.violations.length === 0 && (await this.#world.step(untilMs))) {
      const { api } = this.#mesh;
      if (api === null || stored === this.checks.stored) continue;
      stored = this.checks.stored;
      if (stored > this.#storedMost)
        this.checks.note(`I12: ${stored} messages are stored, and it goes on`);
      if (stored % usageEvery === 0) this.checks.checkUsage(api.state());
      this.#cordons.look(api.state());
      if (stored % COMPARE_EVERY === 0)
        for (const { id } of this.#scenario.runs) this.checks.compare(id, api.state());
    }
    this.#world.nowMs = Math.max(this.#world.nowMs, untilMs);
  }

  #order(order: Order, number: number): void {
    if ('who' in order) {
      this.#world.trace(() => `operator: ${order.kind} ${order.who}`);
      if (order.kind === 'forget') this.#operator.forget(order.who);
      else this.#operator.drain(order.who, order.kind === 'undrain');
      return;
    }
    const { kind, run, task: at, now } = order;
    const suite = this.#scenario.runs.find(({ id }) => id === run)?.suite;
    const tasks = suite === undefined ? [] : expandTasks(suite);
    const task = at === null ? null : (tasks[at % Math.max(1, tasks.length)]?.id ?? null);
    this.#world.trace(() => `operator: ${kind} ${run} ${task ?? ''}`);
    if (kind === 'resume') this.#operator.resume(run);
    else this.#operator.stop(`order-${number}`, { run, task, now, isPause: kind === 'pause' });
  }

  #break(fault: Fault): void {
    const world = this.#world;
    const { server, links } = this.#mesh;
    world.trace(() => `FAULT ${JSON.stringify(fault)}`);
    const who =
      'who' in fault
        ? [...this.#agents, ...this.#coordinators].find(({ id }) => id === fault.who)
        : undefined;
    switch (fault.kind) {
      case 'kill':
        if (who?.owner?.isAlive === true) who.owner.effectsLeft = fault.afterEffects;
        return;
      case 'freeze': {
        const owner = who?.owner ?? null;
        if (owner?.isAlive !== true) return;
        owner.isFrozen = true;
        world.after(
          fault.forMs,
          () => {
            world.thaw(owner);
          },
          null,
        );
        return;
      }
      case 'cut': {
        const link = who?.link ?? null;
        link?.cut(true);
        world.after(
          fault.forMs,
          () => {
            link?.cut(false);
          },
          null,
        );
        return;
      }
      case 'power': {
        if (!(who instanceof SimAgent) || !who.machine.isUp) return;
        who.machine.fail();
        who.kill();
        world.after(
          fault.forMs,
          () => {
            if (this.#gone.has(who.id)) return;
            who.machine.bootAgain();
            void who.start();
          },
          null,
        );
        return;
      }
      case 'gone':
        if (!(who instanceof SimAgent)) return;
        this.#gone.add(who.id);
        who.machine.fail();
        who.kill();
        return;
      case 'leave':
        if (who instanceof SimAgent) who.leave();
        return;
      case 'usurp':
        if (who instanceof SimCoordinator && who.term !== null) {
          who.isBlind = true;
          this.#lease.lose();
        }
        return;
      case 'server':
        if (!server.isUp) return;
        server.crash();
        for (const link of links) link.review();
        world.after(
          fault.forMs,
          () => {
            server.isUp = true;
            for (const link of links) link.review();
          },
          null,
        );
        return;
      case 'full':
        server.events.isFull = true;
        world.after(
          fault.forMs,
          () => {
            server.events.isFull = false;
          },
          null,
        );
        return;
      case 'loss':
        for (const link of links) link.lossShare = fault.share;
        world.after(
          fault.forMs,
          () => {
            for (const link of links) link.lossShare = 0;
          },
          null,
        );
        return;
    }
  }

  #heal(): void {
    this.#world.trace(() => 'nothing is broken any more');
    for (const { owner } of [...this.#agents, ...this.#coordinators])
      if (owner !== null) owner.effectsLeft = null;
    for (const coordinator of this.#coordinators) coordinator.isBlind = false;
  }

  #resumeAll(): void {
    for (const { id, host } of this.#agents)
      if (host?.isDraining() === true) this.#operator.drain(id, true);
    for (const { id, cordon } of this.#mesh.api?.state().fleet.agents.values() ?? [])
      if (cordon !== null) this.#operator.uncordon(id);
    for (const [id, run] of this.checks.runs)
      if (run.fold.state !== 'ended' && run.fold.pauses.sinceMs !== null) this.#operator.resume(id);
    for (const [id, run] of this.checks.runs) {
      if (run.fold.state === 'ended' || run.fold.pauses.sinceMs !== null) continue;
      const isHeld = [...(this.#mesh.api?.state().runs.get(id)?.listed ?? [])].some(
        ({ pauseSequence, resumedSequence, phase }) =>
          phase === 'pending' && pauseSequence > resumedSequence,
      );
      if (isHeld) this.#operator.resume(id);
    }
  }

  #isOver(): boolean {
    return this.#left().length === 0;
  }

  /** What is still to come, and what should be gone with it (I12). */
  #left(): string[] {
    const left: string[] = [];
    for (const { id } of this.#scenario.runs) {
      const run = this.checks.runs.get(id);
      if (run === undefined) left.push(`${id} is not stored`);
      else if (run.fold.state !== 'ended')
        left.push(`${id} is ${run.fold.state}, ${run.ended.size} tasks have ended`);
    }
    const { api, server } = this.#mesh;
    if (api === null) left.push('nobody leads');
    else if (api.state().runs.size > 0)
      left.push(`the leader has ${[...api.state().runs.keys()].join(', ')}`);
    for (const { id, ledger, isRunning, host } of this.#agents) {
      if (this.#gone.has(id)) continue;
      if (!isRunning || ledger === null) left.push(`${id} does not run`);
      else {
        const { attempts, stops, revokes, releasing } = ledger.fold;
        const kept = [...attempts.keys(), ...stops.keys(), ...revokes.keys(), ...releasing];
        if (kept.length > 0) left.push(`${id} keeps ${kept.join(', ')}`);
        const counts = host?.counts();
        if (counts !== undefined && counts.running + counts.queued > 0)
          left.push(`${id} has ${counts.running} running and ${counts.queued} queued`);
      }
    }
    // What a host that never comes back would have to read waits for it, and expires.
    const kept = [...server.commands.subjects()].filter(
      (subject) =>
        /\.(start|stop|go|peers)(\.|$)/.test(subject) ||
        (subject.includes('.revoke.') && !this.#gone.has(subject.split('.')[3] ?? '')),
    );
    if (kept.length > 0) left.push(`commands stay: ${kept.join(', ')}`);
    // Without deduplication what was repeated in doubt may come after the purge of its subject.
    const repeated = this.#scenario.dedupeMs === 0 ? /^bm\.v1\.evt\.(run|task)\./ : null;
    const late = [...server.events.subjects()].filter(
      (subject) =>
        this.#scenario.runs.some(({ id }) => subject.includes(id)) &&
        repeated?.test(subject) !== true,
    );
    if (late.length > 0) left.push(`events stay: ${late.join(', ')}`);
    left.push(...this.checks.processes.living().map((dir) => `${dir} lives`));
    return left;
  }
}
