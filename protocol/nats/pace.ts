/**
 * Gathers bursts: the first call after a quiet while runs at once, later ones together, at most once
 * per interval. Each write to the server's socket wakes the server on the same cores as the
 * benchmark; several messages in one write cost little more than one (I10).
 */
const EVERY_MS = 4;

export class Pace {
  readonly #run: () => void;
  #lastMs = -EVERY_MS;
  #timer: NodeJS.Timeout | null = null;

  constructor(run: () => void) {
    this.#run = run;
  }

  /** Asks for a run: now, or with those that ask until the interval is over. */
  ask(): void {
    if (this.#timer !== null) return;
    const waitMs = this.#lastMs + EVERY_MS - performance.now();
    if (waitMs <= 0) {
      this.#now();
      return;
    }
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#now();
    }, waitMs);
  }

  #now(): void {
    this.#lastMs = performance.now();
    this.#run();
  }
}
