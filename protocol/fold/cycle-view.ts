/** Cycles of a run and cells whose repeats disagree, as views show them. Pure. */
import type { AxisValue } from '../messages/ids.ts';
import { cellAt, flakyCounts, type CellCounts } from './cell-tally.ts';
import type { RunFold } from './run-fold.ts';
import { iso } from './stream-date.ts';
import type { TaskFold } from './task-fold.ts';

export interface CyclesView {
  /** The newest that has begun. */
  readonly begun: number;
  readonly cells: number;
  /** Of the run: when it is used up nothing new of it starts. */
  readonly budgetMs: number;
  readonly atBudget: 'stop' | 'finish';
  /** Tasks of later cycles that never began before its end; they are not among its tasks. */
  readonly withdrawn: number;
}

export interface FlakyCell extends CellCounts {
  readonly axes: Readonly<Record<string, AxisValue>>;
}

export interface FlakyView {
  /** How many there are. */
  readonly cells: number;
  /** In the order of the matrix; not all where there are very many. */
  readonly listed: readonly FlakyCell[];
}

const LISTED_MOST = 100;

/** Keys that are there only where there is something to say. */
export function cyclesOf(fold: RunFold): {
  readonly cycles?: CyclesView;
  readonly flaky?: FlakyView;
} {
  const { cycles, tally, submitted } = fold;
  const suite = submitted?.suite;
  return {
    ...(cycles === null
      ? {}
      : {
          cycles: {
            begun: cycles.begun,
            cells: cycles.cells.length,
            budgetMs: suite?.runBudgetMs ?? 0,
            atBudget: suite?.atBudget ?? 'stop',
            withdrawn: cycles.withdrawn,
          },
        }),
    ...(tally === null || tally.flaky === 0
      ? {}
      : { flaky: { cells: tally.flaky, listed: flakyCells(fold) } }),
  };
}

function flakyCells({ tasks, tally }: RunFold): FlakyCell[] {
  const listed = new Map<number, FlakyCell>();
  if (tally === null) return [];
  const most = Math.min(LISTED_MOST, tally.flaky);
  for (const task of tasks.values()) {
    if (listed.size === most) break;
    const counts = flakyCounts(tally, task.index);
    const cell = cellAt(tally, task.index);
    if (counts !== null && !listed.has(cell)) listed.set(cell, { axes: task.axes, ...counts });
  }
  return [...listed.values()];
}

/** Of a task: what is said of its cell, and until when its retry is held back. */
export function repeatsOf(
  { tally }: RunFold,
  { index, retryAtMs }: TaskFold,
): { readonly flaky?: CellCounts; readonly retryAt?: string } {
  const flaky = flakyCounts(tally, index);
  return {
    ...(flaky === null ? {} : { flaky }),
    ...(retryAtMs === null ? {} : { retryAt: iso(retryAtMs) }),
  };
}
