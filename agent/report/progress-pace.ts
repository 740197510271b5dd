/** When progress is told: not at every line, and never without what was said last. Pure. */

/** It is told when it moved this much, and not more often than this; the end tells all. */
const STEP = 0.005;
const EVERY_MS = 200;

export class ProgressPace {
  #said = 0;
  #told = 0;
  #toldAtMs = 0;

  say(progress: number): void {
    this.#said = Math.max(this.#said, progress);
  }

  /** What is to be told at this time of the attempt, in ms; null for nothing. Asked again and again. */
  take(elapsedMs: number, isEnd: boolean): number | null {
    const moved = this.#said - this.#told;
    if (moved <= 0) return null;
    const isDue = moved >= STEP && elapsedMs - this.#toldAtMs >= EVERY_MS;
    if (!isDue && !isEnd && this.#said < 1) return null;
    this.#told = this.#said;
    this.#toldAtMs = elapsedMs;
    return this.#said;
  }
}
