/**
 * The scheduler without its index: every waiting task is looked at, one by one, and everything that is held
 * is counted anew from what is in flight. For comparison, and for the invariants of a placement.
 */
import type { AgentCapacity } from '#coordinator/scheduler/scheduler-state.ts';
import type { Needs } from '#protocol/messages/attempt/needs.ts';

export interface ModelRun {
  readonly run: string;
  readonly order: number;
  readonly priority: number;
  readonly needs: readonly Needs[];
  readonly of: readonly number[];
  readonly added: readonly number[];
  readonly labels: Readonly<Record<string, string>>;
  readonly locks: Readonly<Record<string, number>>;
}

export interface Held {
  readonly run: string;
  readonly index: number;
  readonly agent: string;
}

interface Task {
  readonly run: ModelRun;
  readonly index: number;
  readonly needs: Needs;
  readonly priority: number;
}

/** What an agent whose pace is not known is handed per slot. */
const AHEAD = 2;

export class PlacementModel {
  readonly runs = new Map<string, ModelRun>();
  readonly waiting = new Map<string, Task>();
  held: Held[] = [];
  readonly #agents: readonly AgentCapacity[];

  constructor(agents: readonly AgentCapacity[]) {
    this.#agents = agents;
  }

  add(run: ModelRun): void {
    this.runs.set(run.run, run);
    for (const index of run.of.keys()) this.enqueue(run.run, index);
  }

  enqueue(id: string, index: number): void {
    const task = this.#task(id, index);
    this.waiting.set(`${id} ${index}`, task);
  }

  place(): Held[] {
    const placed: Held[] = [];
    for (const queued of [false, true]) {
      const load = (agent: AgentCapacity): number =>
        this.#sum(agent.id, ({ slots }) => slots) / agent.slots;
      let open = this.#agents.toSorted((a, b) => load(a) - load(b));
      while (open.length > 0)
        open = open.filter((agent) => {
          const task = this.#pick(agent, queued);
          if (task === null) return false;
          const at = { run: task.run.run, index: task.index, agent: agent.id };
          this.waiting.delete(`${at.run} ${at.index}`);
          this.held.push(at);
          placed.push(at);
          return true;
        });
    }
    return placed;
  }

  /** What is wrong with what is in flight; empty where nothing is. */
  problems(): string[] {
    const problems: string[] = [];
    for (const agent of this.#agents) {
      const most = (has: number): number => has * AHEAD;
      const over = (what: string, sum: number, has: number): void => {
        if (sum > most(has)) problems.push(`${sum} ${what} of ${has} on ${agent.id}`);
      };
      over(
        'slots',
        this.#sum(agent.id, ({ slots }) => slots),
        agent.slots,
      );
      over(
        'cpus',
        this.#sum(agent.id, ({ cpus }) => cpus),
        agent.cpus,
      );
      over(
        'MiB',
        this.#sum(agent.id, ({ memoryMiB = 0 }) => memoryMiB),
        agent.memoryMiB,
      );
      const here = this.#on(agent);
      if (here.some(({ needs }) => needs.exclusive) && here.some(({ needs }) => !needs.exclusive))
        problems.push(`something is beside an exclusive task on ${agent.id}`);
      here.forEach((one, at) => {
        if (here.slice(at + 1).some((other) => areApart(one, other)))
          problems.push(`two that are apart on ${agent.id}`);
      });
    }
    for (const lock of this.#lockNames())
      if (this.#lockHeld(lock) > this.#lockCapacity(lock)) problems.push(`too much of ${lock}`);
    return problems;
  }

  #pick(agent: AgentCapacity, queued: boolean): Task | null {
    const blocked: { task: Task; lack: string }[] = [];
    const ordered = [...this.waiting.values()]
      .sort(this.#inTurn)
      .filter((task) => fitsEver(agent, task));
    for (const task of ordered) {
      const lack =
        this.#lack(agent, task, queued) ??
        (this.#isKept(task) ? 'lock' : null) ??
        (blocked.every((one) => this.#mayPass(agent, { one, task, queued })) ? null : 'behind');
      if (lack === null) return task;
      blocked.push({ task, lack });
    }
    return null;
  }

  #factor({ needs }: Task, queued: boolean): number {
    return queued && needs.locks === undefined && needs.apart === undefined ? AHEAD : 1;
  }

  #lack(agent: AgentCapacity, task: Task, queued: boolean): string | null {
    const { needs } = task;
    for (const [name, count] of Object.entries(needs.locks ?? {}))
      if (this.#lockHeld(name) + count > this.#lockCapacity(name)) return 'lock';
    const here = this.#on(agent);
    if (here.some((one) => areApart(one, task))) return 'apart';
    const others = here.filter((one) => one.agent !== agent.id);
    if (needs.exclusive && others.length > 0) return 'alone';
    if (others.some((one) => one.needs.exclusive)) return 'taken';
    const factor = this.#factor(task, queued);
    const gpus = here.reduce((sum, one) => sum + (one.needs.gpus?.count ?? 0), 0);
    const wanted = needs.gpus?.count ?? 0;
    const waits = factor > 1 && gpus === 0;
    if (wanted > 0 && !waits && gpus + wanted > agent.counts.usable * factor) return 'gpus';
    const mine = here.filter((one) => one.agent === agent.id);
    const alone = mine.filter((one) => one.needs.exclusive).length;
    if (needs.exclusive) {
      if (alone !== mine.length) return 'alone';
      return alone < factor ? null : 'taken';
    }
    if (alone > 0) return 'taken';
    const room = (held: number, more: number, has: number): boolean => held + more <= has * factor;
    const held = (of: (needs: Needs) => number): number => this.#sum(agent.id, of);
    if (
      !room(
        held(({ slots }) => slots),
        needs.slots,
        agent.slots,
      )
    )
      return 'slots';
    if (
      !room(
        held(({ cpus }) => cpus),
        needs.cpus,
        agent.cpus,
      )
    )
      return 'cpus';
    const { memoryMiB = 0 } = needs;
    const memory = held((one) => one.memoryMiB ?? 0);
    return memoryMiB > 0 && !room(memory, memoryMiB, agent.memoryMiB) ? 'memory' : null;
  }

  #mayPass(
    agent: AgentCapacity,
    { one, task, queued }: { one: { task: Task; lack: string }; task: Task; queued: boolean },
  ): boolean {
    if (one.lack === 'lock') return true;
    if (areApart(one.task, task)) return false;
    if (one.lack === 'apart') return true;
    const [a, b] = [one.task.needs, task.needs];
    if (a.exclusive || b.exclusive) return false;
    const factor = this.#factor(one.task, queued);
    const both = (of: (needs: Needs) => number, has: number, held: number): boolean =>
      of(a) === 0 || of(b) === 0 || held + of(a) + of(b) <= has * factor;
    const of = {
      slots: (needs: Needs) => needs.slots,
      cpus: (needs: Needs) => needs.cpus,
      memory: (needs: Needs) => needs.memoryMiB ?? 0,
      gpus: (needs: Needs) => needs.gpus?.count ?? 0,
    };
    const gpusHeld = this.#on(agent).reduce((sum, { needs }) => sum + of.gpus(needs), 0);
    return (
      both(of.slots, agent.slots, this.#sum(agent.id, of.slots)) &&
      both(of.cpus, agent.cpus, this.#sum(agent.id, of.cpus)) &&
      both(of.memory, agent.memoryMiB, this.#sum(agent.id, of.memory)) &&
      both(of.gpus, agent.counts.usable, gpusHeld)
    );
  }

  #isKept(task: Task): boolean {
    return Object.entries(task.needs.locks ?? {}).some(([name, count]) => {
      const capacity = this.#lockCapacity(name);
      const first = [...this.waiting.values()].sort(this.#inTurn).find((other) => {
        const wanted = other.needs.locks?.[name] ?? Infinity;
        return wanted <= capacity && this.#agents.some((agent) => fitsEver(agent, other));
      });
      if (first === undefined || first === task || this.#inTurn(first, task) > 0) return false;
      const isSame = first.needs === task.needs && first.priority === task.priority;
      if (isSame && (first.run === task.run || first.needs.apart?.key === undefined)) return false;
      return count + (first.needs.locks?.[name] ?? 0) > capacity - this.#lockHeld(name);
    });
  }

  #task(id: string, index: number): Task {
    const run = this.runs.get(id);
    const needs = run?.needs[run.of[index] ?? 0];
    if (run === undefined || needs === undefined) throw new Error('no such task');
    return { run, index, needs, priority: run.priority + (run.added[index] ?? 0) };
  }

  /** On its host. */
  #on({ hostId }: AgentCapacity): (Task & { agent: string })[] {
    const ids = this.#agents.filter((one) => one.hostId === hostId).map(({ id }) => id);
    return this.held
      .filter(({ agent }) => ids.includes(agent))
      .map(({ run, index, agent }) => ({ ...this.#task(run, index), agent }));
  }

  #sum(agent: string, of: (needs: Needs) => number): number {
    const mine = this.held.filter((one) => one.agent === agent);
    return mine.reduce((sum, { run, index }) => sum + of(this.#task(run, index).needs), 0);
  }

  /** Higher priority first, then the run that has least in hand, then as submitted and listed. */
  readonly #inTurn = (a: Task, b: Task): number =>
    b.priority - a.priority ||
    this.#inHand(a.run) - this.#inHand(b.run) ||
    a.run.order - b.run.order ||
    a.index - b.index;

  #inHand({ run: id }: ModelRun): number {
    return this.held
      .filter(({ run }) => run === id)
      .reduce((sum, { run, index, agent }) => {
        const { slots, gpus, exclusive } = this.#task(run, index).needs;
        const all = this.#agents.find((one) => one.id === agent)?.slots ?? 0;
        return sum + (exclusive ? all : Math.max(slots, gpus?.count ?? 0));
      }, 0);
  }

  #lockNames(): string[] {
    return [...new Set([...this.runs.values()].flatMap(({ locks }) => Object.keys(locks)))];
  }

  #lockCapacity(name: string): number {
    return Math.min(...[...this.runs.values()].map(({ locks }) => locks[name] ?? Infinity));
  }

  #lockHeld(name: string): number {
    return this.held.reduce(
      (sum, { run, index }) => sum + (this.#task(run, index).needs.locks?.[name] ?? 0),
      0,
    );
  }
}

export function fitsEver(agent: AgentCapacity, { needs }: Pick<Task, 'needs'>): boolean {
  return (
    needs.slots <= agent.slots &&
    needs.cpus <= agent.cpus &&
    (needs.memoryMiB ?? 0) <= agent.memoryMiB &&
    (needs.gpus?.count ?? 0) <= agent.counts.most
  );
}

function areApart(a: Pick<Task, 'run' | 'needs'>, b: Pick<Task, 'run' | 'needs'>): boolean {
  const [mine, its] = [a.needs.apart, b.needs.apart];
  if (a.run === b.run && mine?.key !== undefined && mine.key === its?.key) return true;
  const shuns = (wanted: Readonly<Record<string, string>>, run: ModelRun): boolean =>
    Object.entries(wanted).some(([name, value]) => run.labels[name] === value);
  return shuns(mine?.labels ?? {}, b.run) || shuns(its?.labels ?? {}, a.run);
}
