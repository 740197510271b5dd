/** What must hold of processes: capacity, one attempt at a time, started once, and dead when it is said. */
import type { AttemptExited } from '#protocol/messages/attempt/attempt.ts';
import type { StoppedAttempt } from '#protocol/messages/agent/host.ts';
import type { Start, StopSeen } from './seen.ts';
import { attemptOf, type GangChecks } from './gang-checks.ts';
import { unknownStep } from './ledger-checks.ts';
import type { Machine, MachineHooks } from '../world/machine.ts';
import type { Step } from '../world/step.ts';

export interface ProcessChecksOptions {
  readonly starts: ReadonlyMap<string, Start>;
  /** Superseded attempts, with their agents. */
  readonly revoked: ReadonlyMap<string, string>;
  readonly note: (text: string) => void;
  readonly gangs: GangChecks;
}

export class ProcessChecks implements MachineHooks {
  readonly #starts: ReadonlyMap<string, Start>;
  readonly #revoked: ReadonlyMap<string, string>;
  /** Superseded attempts that their agent has answered for. */
  readonly #answered = new Set<string>();
  readonly #note: (text: string) => void;
  readonly #gangs: GangChecks;
  /** Attempts that have not proven their end. */
  readonly #unproven = new Set<string>();
  readonly #alive = new Map<Step, Machine>();
  /** How often each step was executed, by host and folder. */
  readonly #begun = new Map<string, number>();
  /** Stops that are said to be done, by the agent they were said of; null for closed ones. */
  readonly #done: { readonly agent: string | null; readonly stop: StopSeen }[] = [];
  /** Attempts of which a stop, and no deadline, has ended a step. */
  readonly #stopped = new Set<string>();
  begins = 0;

  constructor({ starts, revoked, note, gangs }: ProcessChecksOptions) {
    this.#starts = starts;
    this.#revoked = revoked;
    this.#note = note;
    this.#gangs = gangs;
  }

  onAsked(machine: Machine, step: Step): void {
    const unknown = unknownStep(machine, step);
    if (unknown !== null) this.#note(unknown);
  }

  onBegun(machine: Machine, step: Step): void {
    machine.world.trace(() => `${machine.id} begins ${step.dir}`);
    this.begins += 1;
    const place = `${machine.id} ${step.dir}`;
    const count = (this.#begun.get(place) ?? 0) + 1;
    this.#begun.set(place, count);
    if (count > 1) this.#note(`I8: ${step.dir} is executed again`);
    const start = this.#starts.get(step.key);
    if (start === undefined) {
      this.#note(`${step.key} runs, and was never started`);
      return;
    }
    if (start.agent !== machine.id)
      this.#note(`${step.key} runs on ${machine.id}, and was given to ${start.agent}`);
    if (this.#answered.has(step.key))
      this.#note(`I4: ${step.dir} begins, and its agent has said that it was superseded`);
    this.#checkOthers(machine, step, start);
    this.#gangs.onBegun(machine, step);
    this.#alive.set(step, machine);
    this.#checkCapacity(machine);
    if (isTeardown(step) || step.isStopped) return;
    for (const { agent, stop } of this.#done) {
      if (agent !== null && agent !== machine.id) continue;
      if (isUnder(stop, start))
        this.#note(
          `I6: ${step.dir} begins on ${machine.id} after stop ${stop.command} was done there`,
        );
    }
  }

  onDead(machine: Machine, step: Step): void {
    machine.world.trace(() => `${machine.id} has ended ${step.dir}`);
    this.#alive.delete(step);
    const { outcome } = step;
    const isSignaled = outcome?.end.kind === 'signaled' && outcome.gone.signal !== null;
    if (isSignaled && !outcome.deadline && !isTeardown(step)) this.#stopped.add(step.key);
  }

  /** No two attempts of a task at once (I4): but for what cannot be killed. */
  #checkOthers(machine: Machine, step: Step, { spec }: Start): void {
    for (const [other, at] of this.#alive) {
      if (other.phase !== 'running' || other.run !== spec.run || other.task !== spec.task) continue;
      // The older one is to be ended when its agent is back.
      const older = other.n < step.n ? other : step;
      if (this.#revoked.has(older.key) && other.n !== step.n) continue;
      const isPeer = spec.gang !== undefined && other.n === step.n && at !== machine;
      if (isPeer) continue;
      if (other.n !== step.n || at !== machine)
        this.#note(`I4: ${step.key} on ${machine.id} beside ${other.key} on ${at.id}`);
      else this.#note(`I8: ${step.dir} beside ${other.dir}`);
    }
  }

  #checkCapacity(machine: Machine): void {
    const held = new Map<string, Start>();
    for (const [step, at] of this.#alive) {
      const start = this.#starts.get(step.key);
      if (at === machine && start !== undefined) held.set(step.key, start);
    }
    const slots = [...held.values()].reduce((sum, { spec }) => sum + spec.needs.slots, 0);
    const names = [...held.keys()].join(', ');
    if (slots > machine.slots)
      this.#note(`${slots} of ${machine.slots} slots of ${machine.id} are in use: ${names}`);
    const isExclusive = [...held.values()].some(({ spec }) => spec.needs.exclusive);
    if (isExclusive && held.size > 1)
      this.#note(`${machine.id} is not one attempt's alone: ${names}`);
  }

  isAnswered(key: string): boolean {
    return this.#answered.has(key);
  }

  /** An agent says that nothing of what was superseded is left there (I5). */
  onRevoked(agent: string, key: string, survivors: readonly number[]): void {
    this.#answered.add(key);
    if (survivors.length > 0) return;
    for (const [step, machine] of this.#alive)
      if (step.key === key && machine.id === agent && step.survivors.length === 0)
        this.#note(`I5: ${agent} has answered for ${key}, and ${step.dir} lives`);
  }

  /** An agent says that it is dead (I5). */
  onStopDone(agent: string, stop: StopSeen, attempts: readonly StoppedAttempt[]): void {
    const excused = new Set(
      attempts
        .filter(({ survivors }) => survivors.length > 0)
        .map(({ run, task, n }) => `${run}/${task}#${n}`),
    );
    this.#done.push({ agent, stop });
    for (const [step, machine] of this.#alive) {
      const start = this.#starts.get(step.key);
      if (
        machine.id !== agent ||
        start === undefined ||
        !isUnder(stop, start) ||
        excused.has(attemptOf(step.key))
      )
        continue;
      this.#note(`I5: ${agent} says that ${stop.command} is done, and ${step.dir} lives`);
    }
  }

  /** The leader says that nothing of it lives anywhere (I5). */
  onStopClosed(stop: StopSeen): void {
    this.#done.push({ agent: null, stop });
    for (const [step] of this.#alive) {
      const start = this.#starts.get(step.key);
      if (start !== undefined && start.sequence < stop.sequence && isUnder(stop, start))
        this.#note(`I5: stop ${stop.command} is closed as dead, and ${step.dir} lives`);
    }
  }

  /** An end is an end: proven, nothing is left (I5). */
  onExited(key: string, { proven, survivors, outcome, class: failure }: AttemptExited): void {
    // What a partition ends by the suite's wish is a failure of its own class.
    if (this.#stopped.has(key) && outcome === 'failed' && failure !== 'partition')
      this.#note(
        `I3: ${key} was ended by a stop, and is told as ${outcome} (${failure ?? 'no class'})`,
      );
    if (!proven || survivors.length > 0) {
      this.#unproven.add(key);
      return;
    }
    for (const step of this.#alive.keys())
      if (step.key === key) this.#note(`I5: ${key} has exited proven, and ${step.dir} lives`);
  }

  /** Its agent says that of what had survived it nothing is left (I5). */
  onSurvivorsGone(key: string): void {
    for (const step of this.#alive.keys())
      if (step.key === key) this.#note(`I5: the survivors of ${key} are said to be gone, and live`);
  }

  /** Attempts with a process alive that have not told of survivors. */
  proven(): string[] {
    return [...this.#alive.keys()].map(({ key }) => key).filter((key) => !this.#unproven.has(key));
  }

  living(): string[] {
    return [...this.#alive.keys()].map(({ dir }) => dir);
  }
}

function isTeardown({ dir }: Step): boolean {
  return dir.endsWith('.step.teardown');
}

/** The stop was not known when the start was given. */
function isUnder(stop: StopSeen, { spec, afterStop }: Start): boolean {
  return (
    spec.run === stop.run &&
    (stop.task === null || stop.task === spec.task) &&
    afterStop < stop.sequence
  );
}
