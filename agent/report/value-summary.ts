/**
 * Sums up the values of one metric, of either sign, in bounded memory: 2 x 512 buckets. Count, last,
 * minimum, maximum and mean are exact. `p95` is within 1 % of the value at that rank; where values
 * span more than a factor of 28,000 only while that rank is among the largest ones.
 */
import type { MetricSeries } from '#protocol/messages/attempt/report.ts';
import { QuantileSketch } from '#protocol/fold/quantile-sketch.ts';

export const SKETCH_BUCKETS = 512;
/** What summing up may have added in the last digits of a double is no measurement. */
const DIGITS = 12;

export type ValueFigures = Omit<MetricSeries, 'figure' | 'sketch'>;

export class ValueSummary {
  readonly #above = new QuantileSketch(SKETCH_BUCKETS);
  /** Of negative values, without their sign. */
  readonly #below = new QuantileSketch(SKETCH_BUCKETS);
  #count = 0;
  #last = 0;
  #mean = 0;
  #min = Infinity;
  #max = -Infinity;

  add(value: number): void {
    this.#count += 1;
    this.#last = value;
    // Not the difference of the two: that may be more than a double holds.
    this.#mean += value / this.#count - this.#mean / this.#count;
    this.#min = Math.min(this.#min, value);
    this.#max = Math.max(this.#max, value);
    if (value < 0) this.#below.add(-value);
    else this.#above.add(value);
  }

  /** Null where nothing was added. */
  figures(): ValueFigures | null {
    if (this.#count === 0) return null;
    const within = (value: number): number => Math.min(this.#max, Math.max(this.#min, value));
    return {
      count: this.#count,
      last: this.#last,
      min: this.#min,
      mean: within(Number(this.#mean.toPrecision(DIGITS))),
      max: this.#max,
      p95: within(Number(this.#atRank(Math.ceil(0.95 * this.#count)).toPrecision(DIGITS))),
    };
  }

  /** For those of other ranks to be merged with. */
  sketch(): NonNullable<MetricSeries['sketch']> {
    return { above: this.#above.state(), below: this.#below.state() };
  }

  #atRank(rank: number): number {
    const negative = this.#below.count;
    if (rank <= negative) return -this.#below.atRank(negative - rank + 1);
    return this.#above.atRank(rank - negative);
  }
}
