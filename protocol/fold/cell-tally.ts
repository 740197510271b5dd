/**
 * How the repeats of each cell have ended: a cell that has both passed and failed is flaky. Pure; kept
 * only for runs that measure a cell more than once. A cell costs three numbers, however often it is
 * measured.
 */
import type { SuiteSpec } from '../messages/run/suite-spec.ts';
import type { PlannedTask } from '../suite/expand.ts';
import type { TaskOutcome } from '../messages/attempt/outcome.ts';

export interface CellTally {
  /** By index, of a run of chosen tasks; null where repeats come one after the other. */
  readonly cellOf: Uint32Array | null;
  readonly passed: Uint32Array;
  readonly failed: Uint32Array;
  /** Ended otherwise, but not cut short. */
  readonly others: Uint32Array;
  /** Cells that have both passed and failed. */
  flaky: number;
}

export interface CellCounts {
  readonly passed: number;
  readonly failed: number;
}

/** What is said of the benchmark itself, not of its host. */
const FAILED = new Set<TaskOutcome>(['failed', 'timed_out']);

export function createTally(cells: number, cellOf: Uint32Array | null = null): CellTally {
  return {
    cellOf,
    passed: new Uint32Array(cells),
    failed: new Uint32Array(cells),
    others: new Uint32Array(cells),
    flaky: 0,
  };
}

/** For a run of these tasks; null where each cell has one. */
export function tallyOf(
  suite: Pick<SuiteSpec, 'repeats' | 'tasks' | 'untilBudget'>,
  tasks: readonly Pick<PlannedTask, 'axes'>[],
): CellTally | null {
  if (suite.repeats === 1 && suite.untilBudget === undefined) return null;
  if (suite.tasks === undefined) return createTally(tasks.length / suite.repeats);
  const cells = new Map<string, number>();
  const cellOf = Uint32Array.from(tasks, ({ axes }) => {
    const key = JSON.stringify(axes);
    const cell = cells.get(key) ?? cells.size;
    cells.set(key, cell);
    return cell;
  });
  return createTally(cells.size, cellOf);
}

export function cellAt({ cellOf, passed }: CellTally, index: number): number {
  return cellOf?.[index] ?? index % passed.length;
}

/** The task at this position in the expanded matrix has ended. */
export function countEnd(tally: CellTally, index: number, outcome: TaskOutcome): void {
  if (outcome === 'stopped') return;
  const cell = cellAt(tally, index);
  const was = isFlaky(tally, cell);
  const counts =
    outcome === 'passed' ? tally.passed : FAILED.has(outcome) ? tally.failed : tally.others;
  counts[cell] = (counts[cell] ?? 0) + 1;
  if (!was && isFlaky(tally, cell)) tally.flaky += 1;
}

/** Null where its repeats agree. */
export function flakyCounts(tally: CellTally | null, index: number): CellCounts | null {
  if (tally === null || tally.flaky === 0) return null;
  const cell = cellAt(tally, index);
  if (!isFlaky(tally, cell)) return null;
  return { passed: tally.passed[cell] ?? 0, failed: tally.failed[cell] ?? 0 };
}

/** Cells of which no repeat has come to an end of its own. */
export function uncovered({ passed, failed, others }: CellTally): number {
  let count = 0;
  for (let cell = 0; cell < passed.length; cell += 1)
    if ((passed[cell] ?? 0) + (failed[cell] ?? 0) + (others[cell] ?? 0) === 0) count += 1;
  return count;
}

function isFlaky({ passed, failed }: CellTally, cell: number): boolean {
  return (passed[cell] ?? 0) > 0 && (failed[cell] ?? 0) > 0;
}
