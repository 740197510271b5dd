/**
 * Elapsed times on a screen: between two reports of the owner they go on by this process's clock,
 * and they never go back (I3).
 */
export class Stopwatch {
  readonly #known = new Map<string, { ownMs: number; at: number; shownMs: number }>();

  /** What to show for `key`, whose owner last said `ownMs`; `now` is a monotonic clock. */
  read(key: string, ownMs: number, now: number): number {
    const before = this.#known.get(key);
    const at = before?.ownMs === ownMs ? before.at : now;
    const shownMs = Math.max(before?.shownMs ?? 0, ownMs + (now - at));
    this.#known.set(key, { ownMs, at, shownMs });
    return shownMs;
  }
}
