/**
 * When shippers that have little send it: all at once, at most every 100 ms. So what 64 attempts print
 * leaves in one write to the server, and nothing waits longer than the pace. No timer when nobody waits
 * (I10).
 */
import type { Clock } from '#protocol/runtime/clock.ts';

export const PACE_MS = 100;

/** Called once for each time it asked; may ask again from within. */
export type OnPace = () => void;

export class LogPacer {
  readonly #clock: Clock;
  #waiting = new Set<OnPace>();
  #isArmed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls it within PACE_MS, unless it is forgotten before. Idempotent until then. */
  soon(onPace: OnPace): void {
    this.#waiting.add(onPace);
    if (this.#isArmed) return;
    this.#isArmed = true;
    this.#clock.after(PACE_MS, () => {
      this.#isArmed = false;
      const due = this.#waiting;
      this.#waiting = new Set();
      for (const each of due) each();
    });
  }

  forget(onPace: OnPace): void {
    this.#waiting.delete(onPace);
  }
}
