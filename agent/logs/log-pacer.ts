/**
 * When shippers that have little send it: all at once, at most every 100 ms. So what 64 attempts print
 * leaves in one write to the server. Where more than 32 wait for their turn it comes less often, so that
 * what shipping costs is bounded by messages, not by attempts (docs/decisions/0010-pace-of-logs.md).
 * No timer when nobody waits (I10).
 */
import type { Clock } from '#protocol/runtime/clock.ts';

export const PACE_MS = 100;
const PER_LOG_MS = PACE_MS / 32;

/** Called once for each time it asked; may ask again from within. */
export type OnPace = () => void;

/** Between turns, where so many sent in the last one. */
export function paceMs(logs: number): number {
  return Math.max(PACE_MS, Math.ceil(logs * PER_LOG_MS));
}

export class LogPacer {
  readonly #clock: Clock;
  #waiting = new Set<OnPace>();
  #lastTurn = 0;
  #isArmed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls it within the pace, unless it is forgotten before. Idempotent until then. */
  soon(onPace: OnPace): void {
    this.#waiting.add(onPace);
    if (this.#isArmed) return;
    this.#isArmed = true;
    this.#clock.after(paceMs(this.#lastTurn), () => {
      this.#isArmed = false;
      const due = this.#waiting;
      this.#waiting = new Set();
      this.#lastTurn = due.size;
      for (const each of due) each();
    });
  }

  forget(onPace: OnPace): void {
    this.#waiting.delete(onPace);
  }
}
