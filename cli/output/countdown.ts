/**
 * The time left of a run on a screen: estimated anew from what is folded, at most once a second, and
 * counted down between, by this process's clock.
 */
import { timeLeftOf, type TimeLeft } from '#protocol/fold/progress/time-left.ts';
import type { RunFold } from '#protocol/fold/run-fold.ts';

const AGAIN_MS = 1_000;

export class Countdown {
  #left: TimeLeft | null = null;
  #sequence = -1;
  /** When it was estimated. */
  #atMs = -Infinity;

  /** In ms from now; null where it is not known. `nowMs` is a monotonic clock. */
  read(fold: RunFold, nowMs: number): number | null {
    if (fold.sequence !== this.#sequence && nowMs - this.#atMs >= AGAIN_MS) {
      this.#left = timeLeftOf(fold, null);
      this.#sequence = fold.sequence;
      this.#atMs = nowMs;
    }
    if (fold.state === 'ended' || this.#left?.kind !== 'about') return null;
    return Math.max(0, this.#left.ms - (nowMs - this.#atMs));
  }
}
