/**
 * The cycles of a run that measures its cells until its budget ends. Pure: `run.cycle_started` says how
 * many have begun, and everything else of their tasks is derived.
 */
import { cycleTasks, mostCycles, type PlannedTask } from '../suite/expand.ts';
import type { SuiteSpec } from '../messages/run/suite-spec.ts';

export interface Cycles {
  /** The tasks of the first. */
  readonly cells: readonly PlannedTask[];
  readonly most: number;
  begun: number;
  /** Tasks of later ones that never began before the run's end: none of the run's any more. */
  withdrawn: number;
}

/** Null for a run that measures its cells a fixed number of times. */
export function createCycles(suite: SuiteSpec, tasks: readonly PlannedTask[]): Cycles | null {
  if (suite.untilBudget === undefined) return null;
  return { cells: tasks, most: mostCycles(suite, tasks.length), begun: 1, withdrawn: 0 };
}

/** The tasks of all cycles up to this one that had not begun; none where it has begun, or never may. */
export function beginCycles(cycles: Cycles, through: number): PlannedTask[] {
  const tasks: PlannedTask[] = [];
  while (cycles.begun < Math.min(through, cycles.most)) {
    cycles.begun += 1;
    tasks.push(...cycleTasks(cycles.cells, cycles.begun));
  }
  return tasks;
}
