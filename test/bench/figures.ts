/** Summaries and tables of the benches. */
import { medianOf } from '#protocol/fold/results-fold.ts';

export interface Summary {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export function summarise(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  return { min: sorted[0] ?? NaN, median: medianOf(sorted), max: sorted.at(-1) ?? NaN };
}

export function printRows(rows: readonly (readonly [string, string])[]): void {
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [name, value] of rows) console.log(`  ${name.padEnd(width)}  ${value}`);
}

export function ms(summary: Summary): string {
  return `${summary.median.toFixed(1)} ms median (${summary.min.toFixed(1)} to ${summary.max.toFixed(1)})`;
}
