/**
 * Quantiles of a stream of numbers in bounded memory: DDSketch (Masson, Rim, Lee; VLDB 2019). Values are
 * counted in buckets whose bounds grow by a constant factor, so that a quantile is within 1 % of the
 * value at its rank, whatever the distribution. Minimum, maximum, mean and count are exact.
 */

import type { SketchState } from '../messages/attempt/report.ts';

/** Relative error of a quantile. */
const ACCURACY = 0.01;
const LOG_GAMMA = Math.log((1 + ACCURACY) / (1 - ACCURACY));
const MIDDLE = 2 / (1 + Math.exp(LOG_GAMMA));
/** Smaller is counted as 0, larger as this: 2,534 buckets at most. */
const LEAST = 1e-6;
const MOST = 1e16;

/** Buckets that travel: with 200 of them values may span a factor of 55 before the lowest are joined. */
const SENT_BUCKETS = 200;

export interface Distribution {
  readonly count: number;
  readonly min: number;
  readonly mean: number;
  readonly max: number;
  readonly p95: number;
}

export class QuantileSketch {
  readonly #buckets = new Map<number, number>();
  #zeros = 0;
  #count = 0;
  #mean = 0;
  #min = Infinity;
  #max = -Infinity;
  readonly #most: number;

  /** With fewer buckets the lowest ones are joined: then only high quantiles are that exact. */
  constructor(mostBuckets = Infinity) {
    this.#most = mostBuckets;
  }

  /** Takes a finite number of at least 0; anything else is no measurement and is left out. */
  add(value: number): void {
    if (!Number.isFinite(value) || value < 0) return;
    this.#count += 1;
    this.#mean += (value - this.#mean) / this.#count;
    this.#min = Math.min(this.#min, value);
    this.#max = Math.max(this.#max, value);
    if (value < LEAST) {
      this.#zeros += 1;
      return;
    }
    const bucket = Math.ceil(Math.log(Math.min(value, MOST)) / LOG_GAMMA);
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + 1);
    if (this.#buckets.size > this.#most) this.#join();
  }

  /** For another one to merge; its bounds and mean do not travel with it. */
  state(): SketchState {
    const all = [...this.#buckets].sort(([a], [b]) => a - b);
    const joined = all.slice(0, Math.max(0, all.length - SENT_BUCKETS));
    const kept = all.slice(joined.length);
    const low = joined.reduce((sum, [, count]) => sum + count, 0);
    if (kept[0] !== undefined) kept[0] = [kept[0][0], kept[0][1] + low];
    return { zeros: this.#zeros, buckets: kept.flat() };
  }

  /**
   * Adds what another one has counted: quantiles are then as exact as those of either. Only quantiles: who
   * merges keeps the bounds.
   */
  merge({ zeros, buckets }: SketchState): void {
    this.#zeros += zeros;
    this.#count += zeros;
    for (let at = 0; at + 1 < buckets.length; at += 2) {
      const [bucket = 0, count = 0] = [buckets[at], buckets[at + 1]];
      this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + count);
      this.#count += count;
    }
    this.#min = 0;
    this.#max = Infinity;
  }

  /** The two lowest become one. */
  #join(): void {
    let [lowest, second] = [Infinity, Infinity];
    for (const bucket of this.#buckets.keys()) {
      if (bucket < lowest) [lowest, second] = [bucket, lowest];
      else if (bucket < second) second = bucket;
    }
    const joined = (this.#buckets.get(lowest) ?? 0) + (this.#buckets.get(second) ?? 0);
    this.#buckets.delete(lowest);
    this.#buckets.set(second, joined);
  }

  get count(): number {
    return this.#count;
  }

  get buckets(): number {
    return this.#buckets.size;
  }

  /** Null where nothing was added. */
  distribution(): Distribution | null {
    if (this.#count === 0) return null;
    return {
      count: this.#count,
      min: this.#min,
      // Rounding must not take it out of its bounds.
      mean: Math.min(this.#max, Math.max(this.#min, this.#mean)),
      max: this.#max,
      p95: this.quantile(0.95),
    };
  }

  /** The value at rank ceil(q * count), within 1 %; 0 where nothing was added. */
  quantile(q: number): number {
    if (this.#count === 0) return 0;
    return this.atRank(Math.max(1, Math.ceil(q * this.#count)));
  }

  /** The value at a rank from 1, as exact. */
  atRank(rank: number): number {
    let seen = this.#zeros;
    if (rank <= seen) return Math.max(0, this.#min);
    for (const [bucket, count] of [...this.#buckets].sort(([a], [b]) => a - b)) {
      seen += count;
      if (rank > seen) continue;
      const value = Math.exp(bucket * LOG_GAMMA) * MIDDLE;
      return Math.min(this.#max, Math.max(this.#min, value));
    }
    return this.#max;
  }
}
