/**
 * A run as a snapshot keeps it: what the suite says of its tasks is derived again, and of tasks only what has
 * become of them is kept. Pure.
 */
import { createTaskFold, type TaskFold } from '#protocol/fold/task-fold.ts';
import type { RunFold } from '#protocol/fold/run-fold.ts';
import { cycleTasks, expandTasks, type PlannedTask } from '#protocol/suite/expand.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { taskEntry, type RunEntry, type TaskEntry } from '../runs/run-state.ts';
import { applyChanges, changesOf, type Changes } from './changes.ts';

/** All of the run but its tasks. */
export interface PackedRun {
  readonly entry: Omit<RunEntry, 'tasks' | 'listed' | 'fold'>;
  readonly fold: Omit<RunFold, 'tasks'>;
}

/** By position among all the tasks that it ever had. */
export interface PackedTasks {
  readonly count: number;
  readonly listed: Changes;
  /** Those that are listed and none of the run's any more. */
  readonly dropped: readonly number[];
  readonly folds: Changes;
  readonly droppedFolds: readonly number[];
}

export function packRun(run: RunEntry): { readonly run: PackedRun; readonly tasks: PackedTasks } {
  const { tasks, listed, fold: whole, ...entry } = run;
  const { tasks: folded, ...fold } = whole;
  const folds = listed.map(({ id, index }) => {
    const known = folded.get(id);
    return known?.index === index ? known : undefined;
  });
  return {
    run: { entry, fold },
    tasks: {
      count: listed.length,
      listed: changesOf(listed, (at) => taskEntry(planOf(listed, at))),
      dropped: positions(listed, (task) => tasks.get(task.id) !== task),
      folds: changesOf(folds, (at) => createTaskFold(planOf(listed, at), fold.packed)),
      droppedFolds: positions(folds, (known) => known === undefined),
    },
  };
}

function planOf(listed: readonly TaskEntry[], at: number): PlannedTask {
  const task = listed[at];
  if (task === undefined) throw new Error(`a run has no task ${at}`);
  return task.plan;
}

function positions<T>(list: readonly T[], isOne: (item: T) => boolean): number[] {
  return list.flatMap((item, at) => (isOne(item) ? [at] : []));
}

/** Throws where the suite does not expand to as many tasks. */
export function unpackRun({ entry, fold }: PackedRun, packed: PackedTasks): RunEntry {
  const plans = plansOf(entry.suite, packed.count);
  const listed = plans.map(taskEntry);
  applyChanges(listed, packed.listed);
  const dropped = new Set(packed.dropped);
  const tasks = new Map<string, TaskEntry>();
  for (const [at, task] of listed.entries()) if (!dropped.has(at)) tasks.set(task.id, task);
  const droppedFolds = new Set(packed.droppedFolds);
  const folds = plans.map((plan, at) =>
    droppedFolds.has(at) ? undefined : createTaskFold(plan, fold.packed),
  );
  applyChanges(folds, packed.folds);
  const folded = new Map<string, TaskFold>();
  for (const task of folds) if (task !== undefined) folded.set(task.id, task);
  return { ...entry, tasks, listed, fold: { ...fold, tasks: folded } };
}

function plansOf(suite: SuiteSpec, count: number): PlannedTask[] {
  const cells = expandTasks(suite);
  const plans = [...cells];
  for (let cycle = 2; plans.length < count && suite.untilBudget !== undefined; cycle += 1)
    for (const plan of cycleTasks(cells, cycle)) plans.push(plan);
  if (plans.length !== count)
    throw new Error(`its suite expands to ${plans.length} tasks, and it had ${count}`);
  return plans;
}
