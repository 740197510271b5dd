/** Priorities of the tasks of a run: the run's own, and what the suite adds by the values of axes. Pure. */
import type { SuiteSpec } from '../messages/run/suite-spec.ts';
import type { AxisValue } from '../messages/ids.ts';

type Axes = Readonly<Record<string, AxisValue>>;

/** What the suite adds to the priority of its run for a task of these axes; 0 where nothing is said. */
export function addedPriority({ priorityBy }: Pick<SuiteSpec, 'priorityBy'>, axes: Axes): number {
  let sum = 0;
  for (const [axis, table] of Object.entries(priorityBy ?? {})) {
    const text = String(axes[axis]);
    if (Object.hasOwn(table, text)) sum += table[text] ?? 0;
  }
  return sum;
}

/** By index; null where all tasks have the priority of the run. */
export function addedPriorities(
  suite: Pick<SuiteSpec, 'priorityBy'>,
  tasks: readonly { readonly axes: Axes }[],
): Float64Array | null {
  if (suite.priorityBy === undefined) return null;
  return Float64Array.from(tasks, ({ axes }) => addedPriority(suite, axes));
}
