/** Measurements of a run, summarised per cell: pure, from task views. */
import type { AxisValue } from '../messages/ids.ts';
import type { Metric } from '../messages/attempt/outcome.ts';
import type { CellCounts } from './cell-tally.ts';
import { cellKey } from './cell-key.ts';
import type { TaskView } from './task-view.ts';

export interface ResultRow {
  readonly axes: Readonly<Record<string, AxisValue>>;
  readonly metric: string;
  readonly unit: string;
  readonly direction: Metric['direction'];
  /** Measurements in the cell. */
  readonly count: number;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** Spread: (max - min) / |median|; 0 when the median is 0. */
  readonly spread: number;
  /** How its repeats have ended; absent where they agree. */
  readonly flaky?: CellCounts;
}

export interface ResultOptions {
  readonly partial: boolean;
  readonly automatic: boolean;
}

/**
 * One row per cell and metric, in the order of the matrix. Only tasks that passed count, unless
 * `partial` asks for the measurements of the others too. With `automatic` what was measured without
 * being asked for stands behind the rest of its task.
 */
export function resultRows(tasks: readonly TaskView[], options: ResultOptions): ResultRow[] {
  const cells = new Map<string, { task: TaskView; metric: Metric; values: number[] }>();
  for (const task of tasks) {
    if (task.outcome !== 'passed' && !options.partial) continue;
    const cell = cellKey(task.axes);
    for (const metric of [...task.metrics, ...(options.automatic ? task.automatic : [])]) {
      const key = `${cell} ${metric.name} ${metric.unit}`;
      const entry = cells.get(key);
      if (entry === undefined) cells.set(key, { task, metric, values: [metric.value] });
      else entry.values.push(metric.value);
    }
  }
  return Array.from(cells.values(), ({ task, metric, values }) => summarise(task, metric, values));
}

function summarise(task: TaskView, metric: Metric, values: readonly number[]): ResultRow {
  const sorted = values.toSorted((a, b) => a - b);
  const min = sorted[0] ?? NaN;
  const max = sorted.at(-1) ?? NaN;
  const middle = medianOf(sorted);
  return {
    axes: task.axes,
    metric: metric.name,
    unit: metric.unit,
    direction: metric.direction,
    count: sorted.length,
    median: middle,
    min,
    max,
    spread: middle === 0 ? 0 : (max - min) / Math.abs(middle),
    ...(task.flaky === undefined ? {} : { flaky: task.flaky }),
  };
}

/** Median of a sorted, non-empty list. */
export function medianOf(sorted: readonly number[]): number {
  const half = Math.floor(sorted.length / 2);
  const upper = sorted[half] ?? NaN;
  if (sorted.length % 2 === 1) return upper;
  return ((sorted[half - 1] ?? NaN) + upper) / 2;
}
