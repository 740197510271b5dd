/**
 * Simulated time: a queue of tasks, each run to its end, microtasks included, before the next. A task
 * belongs to the process that asked for it and dies with it; what is nobody's (the network, the server,
 * the kernels of hosts) goes on.
 */
import { seededRandom } from '#test/support/seed.ts';
import { Heap } from './heap.ts';

/** A simulated process: dead, it neither runs nor has any effect (see `touch`). */
export interface Owner {
  readonly name: string;
  isAlive: boolean;
  isFrozen: boolean;
  /** Effects until it dies in the middle of one; null: no death is due. */
  effectsLeft: number | null;
  readonly onDeath: () => void;
  /** What came due while it was frozen. */
  readonly deferred: Task[];
}

interface Task {
  readonly atMs: number;
  readonly order: number;
  readonly owner: Owner | null;
  readonly run: () => void;
  isCancelled: boolean;
}

export interface Cancel {
  cancel(): void;
}

const nextTick = process.nextTick.bind(process);

export class World {
  /** Of the whole simulated mesh; clocks of hosts are skewed from it. */
  nowMs = 0;
  /** The process whose code is running. */
  current: Owner | null = null;
  readonly random: () => number;
  steps = 0;
  #order = 0;
  readonly #queue = new Heap<Task>((a, b) => a.atMs - b.atMs || a.order - b.order);
  readonly #trace: ((line: string) => void) | null;

  constructor(seed: number, trace: ((line: string) => void) | null = null) {
    this.random = seededRandom(seed);
    this.#trace = trace;
  }

  /** Runs later, as the process that is running now unless another is named. */
  after(delayMs: number, run: () => void, owner: Owner | null = this.current): Cancel {
    this.#order += 1;
    const atMs = this.nowMs + Math.max(0, delayMs);
    const task: Task = { atMs, order: this.#order, owner, run, isCancelled: false };
    this.#queue.push(task);
    return {
      cancel: () => {
        task.isCancelled = true;
      },
    };
  }

  /** As `owner`, at once, from code of nobody's. */
  async as(owner: Owner, run: () => void): Promise<void> {
    if (!owner.isAlive) return;
    this.current = owner;
    run();
    await settled();
    this.current = null;
  }

  /** Runs the next task; false where there is none at or before `untilMs`. */
  async step(untilMs: number): Promise<boolean> {
    const task = this.#queue.peek();
    if (task === undefined || task.atMs > untilMs) return false;
    this.#queue.pop();
    if (task.isCancelled) return true;
    this.nowMs = Math.max(this.nowMs, task.atMs);
    const { owner } = task;
    if (owner === null) {
      task.run();
      await settled();
      return true;
    }
    if (!owner.isAlive) return true;
    if (owner.isFrozen) {
      owner.deferred.push(task);
      return true;
    }
    this.steps += 1;
    await this.as(owner, task.run);
    return true;
  }

  thaw(owner: Owner): void {
    owner.isFrozen = false;
    for (const task of owner.deferred.splice(0)) this.#queue.push({ ...task, atMs: this.nowMs });
  }

  /**
   * An effect of the process that runs, on anything outside it. False when it is dead: the effect must
   * not happen. It may die by this very one, which then does (`dying`).
   */
  touch(): 'done' | 'dying' | 'dead' {
    const { current } = this;
    if (current === null) return 'done';
    if (!current.isAlive) return 'dead';
    if (current.effectsLeft === null) return 'done';
    current.effectsLeft -= 1;
    if (current.effectsLeft > 0) return 'done';
    this.die(current);
    return 'dying';
  }

  die(owner: Owner): void {
    if (!owner.isAlive) return;
    owner.isAlive = false;
    owner.deferred.length = 0;
    owner.onDeath();
  }

  /** From `least` to below `most`. */
  between(least: number, most: number): number {
    return least + this.random() * (most - least);
  }

  chance(share: number): boolean {
    return this.random() < share;
  }

  trace(say: () => string): void {
    this.#trace?.(`${this.nowMs.toFixed(2).padStart(10)} ${say()}`);
  }
}

export function newOwner(name: string, onDeath: () => void): Owner {
  const fresh = { isAlive: true, isFrozen: false, effectsLeft: null, deferred: [] };
  return { name, onDeath, ...fresh };
}

/** All microtasks have run: the tick queue has its turn only then. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    nextTick(resolve);
  });
}
