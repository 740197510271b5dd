/** Time that goes on only when told to. */
import type { Clock, Now } from '#protocol/runtime/clock.ts';

interface Due {
  readonly atMs: number;
  readonly fire: () => void;
}

export class ManualClock implements Clock {
  #nowMs = 1_000_000;
  #timers: Due[] = [];

  now(): Now {
    return { wallMs: 1_770_000_000_000 + this.#nowMs, monotonicMs: this.#nowMs };
  }

  after(delayMs: number, fire: () => void): { cancel: () => void } {
    const timer = { atMs: this.#nowMs + delayMs, fire };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }

  /** Timers that wait. */
  get waiting(): number {
    return this.#timers.length;
  }

  /** Fires what is due on the way, in order. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const [next] = this.#timers
        .filter(({ atMs }) => atMs <= untilMs)
        .sort((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.fire();
    }
    this.#nowMs = untilMs;
  }

  /** Time passes and nothing is done: the process was held up. */
  stall(ms: number): void {
    this.#nowMs += ms;
  }
}
