/** `benchmesh tasks RUN`: every task, in the order of the matrix, or counted by what they have in common. */
import { Option, type Command } from 'commander';
import type { RunFold } from '#protocol/fold/run-fold.ts';
import { taskViews, type TaskView } from '#protocol/fold/task-view.ts';
import { TASK_OUTCOMES, TaskState } from '#protocol/messages/attempt/outcome.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import {
  integerOption,
  withExamples,
  withJson,
  withMesh,
  type JsonFlag,
  type MeshFlags,
} from '../command.ts';
import { groupColumns } from '../output/group-text.ts';
import { taskColumns } from '../output/run-text.ts';
import { table } from '../output/table.ts';
import { terminal } from '../output/terminal.ts';
import { readRun, withRun } from '../runs/find-run.ts';
import { groupTasks } from '../runs/task-groups.ts';
import { matchTask } from '../runs/match.ts';

interface TasksFlags extends MeshFlags, JsonFlag {
  readonly status?: string;
  readonly limit: number;
  readonly after?: string;
  readonly groupBy?: string;
}

const STATUSES = [...TaskState.options, ...TASK_OUTCOMES, 'paused', 'unreachable'];

export function build(command: Command): void {
  withMesh(withJson(command.argument('<run>', 'id, a unique part of it, or latest')))
    .addOption(
      new Option('--status <status>', 'only these: a state or an outcome').choices(STATUSES),
    )
    .addOption(integerOption('--limit <n>', 'at most so many', 1).default(100))
    .option('--after <task>', 'go on after this task')
    .option(
      '--group-by <names>',
      'count them by state, outcome, stage, class, reason, agent or axes: one, or several with commas',
    );
  withExamples(command, [
    'benchmesh tasks latest --status failed',
    'benchmesh tasks k3f9 --limit 20 --after d2xq',
    'benchmesh tasks latest --status failed --group-by stage,reason',
  ]);
  command.action(async (text: string, flags: TasksFlags) => {
    await withRun(flags, text, async (found) => {
      const fold = await readRun(found);
      if (flags.groupBy !== undefined) {
        printGroups(fold, { ...flags, groupBy: flags.groupBy });
        return;
      }
      const page = pageOf(taskViews(fold), flags);
      if (flags.json === true) {
        terminal.printJson('tasks', {
          sequence: fold.sequence,
          run: fold.run,
          tasks: page.tasks,
          more: page.left > 0,
        });
        return;
      }
      const { style, width } = terminal;
      terminal.printLines(
        table(page.tasks, taskColumns(style, page.tasks), { width, paintHeader: style.dim }),
      );
      const last = page.tasks.at(-1);
      if (page.left > 0 && last !== undefined) {
        terminal.note(`${page.left} more: benchmesh tasks ${fold.run} --after ${last.id}`);
      }
    });
  });
}

/** Of all its tasks, whatever --limit is: each line counts many. */
function printGroups(fold: RunFold, flags: TasksFlags & { readonly groupBy: string }): void {
  const names = flags.groupBy.split(',').map((name) => name.trim());
  const { tasks } = pageOf(taskViews(fold), { ...flags, limit: Infinity });
  const groups = groupTasks(tasks, names);
  if (flags.json === true) {
    const { sequence, run } = fold;
    terminal.printJson('task_groups', { sequence, run, groupBy: names, groups });
    return;
  }
  const { style, width } = terminal;
  const columns = groupColumns(names, style);
  terminal.printLines(table(groups, columns, { width, paintHeader: style.dim }));
}

/** The tasks asked for, and how many of them come after. Pure. */
export function pageOf(
  all: readonly TaskView[],
  flags: Pick<TasksFlags, 'status' | 'limit' | 'after'>,
): { tasks: TaskView[]; left: number } {
  let from = 0;
  if (flags.after !== undefined) {
    const id = matchTask(
      flags.after,
      all.map((task) => task.id),
    );
    from = all.findIndex((task) => task.id === id) + 1;
    if (from === 0) throw new MeshError('not_found', `there is no task ${flags.after}`);
  }
  const wanted = all.slice(from).filter((task) => hasStatus(task, flags.status));
  return { tasks: wanted.slice(0, flags.limit), left: Math.max(0, wanted.length - flags.limit) };
}

function hasStatus(task: TaskView, status: string | undefined): boolean {
  if (status === undefined) return true;
  if (status === 'unreachable') return task.unreachable;
  if (status === 'paused') return task.paused !== null && task.state === 'pending';
  return task.outcome === status || task.state === status;
}
