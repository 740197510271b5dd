/**
 * What the ranks of a gang reported of a metric over time, as one series: a value a second, by the metric's
 * operator. Pure.
 *
 * 1. Seconds are those of the hosts' clocks: where these differ, so do the ranks' places in the series.
 * 2. A rank's value in a second is the mean of its samples there, or its last before; it counts from its
 *    first sample to its last.
 * 3. `merge` and no operator: the mean over all ranks.
 */
import type { ReportedSample } from '../messages/attempt/report.ts';
import type { RankOperator } from '../messages/attempt/gang.ts';

export interface GangSample {
  /** The begin of the second. */
  readonly timeMs: number;
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** How many ranks are in it. */
  readonly ranks: number;
}

const EVERY_MS = 1_000;
const DIGITS = 12;

/** By second, then by name. `samples`: those of each rank, in their order. */
export function seriesAcross(
  samples: readonly (readonly ReportedSample[])[],
  operatorOf: (metric: string) => RankOperator | undefined,
): GangSample[] {
  const names = [...new Set(samples.flatMap((own) => own.map(({ name }) => name)))].sort();
  const rows = names.flatMap((name) => {
    const own = samples.map((rank) => rank.filter((one) => one.name === name));
    const unit = own.flat()[0]?.unit ?? '';
    return inSeconds(own).map(({ second, values }) => ({
      timeMs: second * EVERY_MS,
      name,
      value: combined(operatorOf(name), values),
      unit,
      ranks: values.length,
    }));
  });
  return rows.sort((a, b) => a.timeMs - b.timeMs || names.indexOf(a.name) - names.indexOf(b.name));
}

interface Second {
  readonly second: number;
  readonly values: readonly number[];
}

/** Seconds in which any rank has reported something. */
function inSeconds(ranks: readonly (readonly ReportedSample[])[]): Second[] {
  const means = ranks.map(meansBySecond);
  const seconds = [...new Set(means.flatMap((own) => [...own.keys()]))].sort((a, b) => a - b);
  const last: (number | null)[] = means.map(() => null);
  const ends = means.map((own) => Math.max(-Infinity, ...own.keys()));
  return seconds.map((second) => {
    means.forEach((own, rank) => {
      last[rank] = second > (ends[rank] ?? 0) ? null : (own.get(second) ?? last[rank] ?? null);
    });
    return { second, values: last.filter((value) => value !== null) };
  });
}

function meansBySecond(samples: readonly ReportedSample[]): Map<number, number> {
  const sums = new Map<number, { sum: number; count: number }>();
  for (const { timeMs, value } of samples) {
    const second = Math.floor(timeMs / EVERY_MS);
    const { sum, count } = sums.get(second) ?? { sum: 0, count: 0 };
    sums.set(second, { sum: sum + value, count: count + 1 });
  }
  return new Map([...sums].map(([second, { sum, count }]) => [second, sum / count]));
}

function combined(by: RankOperator | undefined, values: readonly number[]): number {
  const sum = values.reduce((a, b) => a + b, 0);
  switch (by) {
    case 'max':
      return Math.max(...values);
    case 'min':
      return Math.min(...values);
    case 'sum':
      return Number(sum.toPrecision(DIGITS));
    case 'mean':
    case 'merge':
    case undefined:
      return Number((sum / values.length).toPrecision(DIGITS));
  }
}
