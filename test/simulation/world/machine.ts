/**
 * A simulated host: its clock, its kernel with the processes of steps, and what meshrun records of them.
 * Processes outlive the agent and die with the host.
 */
import type { Clock } from '#protocol/runtime/clock.ts';
import { EPOCH_MS } from './machine-globals.ts';
import type { Step } from './step.ts';
import type { World } from './world.ts';

/** What processes may do, as shares. */
export interface Temper {
  readonly failing: number;
  readonly ignoringTerm: number;
  readonly unkillable: number;
  readonly lost: number;
  readonly unexecutable: number;
  /** Of a step, at most. */
  readonly longestMs: number;
}

export interface MachineHooks {
  readonly onAsked: (machine: Machine, step: Step) => void;
  readonly onBegun: (machine: Machine, step: Step) => void;
  readonly onDead: (machine: Machine, step: Step) => void;
}

export class Machine {
  readonly id: string;
  readonly hostId: string;
  readonly slots: number;
  readonly world: World;
  readonly temper: Temper;
  readonly hooks: MachineHooks;
  /** By the folder of the step, as meshrun's records: they survive everything. */
  readonly steps = new Map<string, Step>();
  boot = 1;
  isUp = true;
  #bootedAtMs: number;
  readonly #wallSkewMs: number;
  readonly #rate: number;
  pids = 100;

  constructor(
    world: World,
    options: { id: string; hostId: string; slots: number; temper: Temper; hooks: MachineHooks },
  ) {
    this.world = world;
    this.id = options.id;
    this.hostId = options.hostId;
    this.slots = options.slots;
    this.temper = options.temper;
    this.hooks = options.hooks;
    this.#bootedAtMs = -world.between(1_000, 1_000_000);
    this.#wallSkewMs = world.chance(0.3)
      ? world.between(-3_600_000, 3_600_000)
      : world.between(-500, 500);
    this.#rate = 1 + world.between(-0.001, 0.001);
  }

  get bootId(): string {
    return `${this.id}-boot-${this.boot}`;
  }

  /** Its own, wrong in its own way. */
  readonly clock: Clock = {
    now: () => ({
      wallMs: EPOCH_MS + this.world.nowMs + this.#wallSkewMs,
      monotonicMs: (this.world.nowMs - this.#bootedAtMs) * this.#rate,
    }),
    after: (delayMs, fire) => this.world.after(delayMs, fire),
  };

  living(): Step[] {
    return [...this.steps.values()].filter((step) => step.isAlive);
  }

  /** Power gone: nothing that ran is left, what is on its disk stays. */
  fail(): void {
    this.isUp = false;
    for (const step of this.steps.values()) step.onHostDeath();
  }

  bootAgain(): void {
    this.isUp = true;
    this.boot += 1;
    this.#bootedAtMs = this.world.nowMs;
  }
}
