/** `benchmesh plan FILE`: what a suite expands to, and how wide it will run. Runs nothing. */
import type { Command } from 'commander';
import { MeshError } from '#protocol/messages/errors.ts';
import type { SuiteSpec, TaskOrder } from '#protocol/messages/run/suite-spec.ts';
import { findLastRun, readRunHistory } from '#protocol/runtime/last-run.ts';
import { expandTasks, type PlannedTask } from '#protocol/suite/expand.ts';
import { planRun, type PlanHost, type RunPlan } from '#protocol/suite/plan.ts';
import { raisesText } from '#protocol/suite/raised-needs.ts';
import { needsHistory, sequenceOf } from '#protocol/suite/task-order.ts';
import { addedPriority } from '#protocol/suite/task-priority.ts';
import { availableParallelism, hostname } from 'node:os';
import {
  integerOption,
  withExamples,
  withJson,
  withMesh,
  type JsonFlag,
  type MeshFlags,
} from '../command.ts';
import { openIfAny, resultsDirOf, targetOf, type OpenMesh } from '../mesh/find-mesh.ts';
import { axesText, duration, plural } from '../output/format.ts';
import { table } from '../output/table.ts';
import { terminal } from '../output/terminal.ts';
import { readFleet } from '../runs/fleet.ts';
import { readSuite, type SuiteFlags } from '../runs/read-suite.ts';
import { labelsOf, runLabelOption, withSuite } from './run.ts';

interface PlanFlags extends MeshFlags, JsonFlag, SuiteFlags {
  readonly limit: number;
  readonly label: readonly string[];
}

export function build(command: Command): void {
  withMesh(withJson(withSuite(command)))
    .addOption(runLabelOption('that the run would be submitted with: hosts may accept only some'))
    .addOption(integerOption('--limit <n>', 'list at most so many tasks', 0).default(50));
  withExamples(command, [
    'benchmesh plan examples/openssl-speed.yaml',
    'benchmesh plan suite.yaml --only bytes=1024 --json',
  ]);
  command.action(async (file: string, flags: PlanFlags) => {
    const { suite } = await readSuite(file, flags);
    const { hosts, from } = await hostsOf(flags);
    const plan = planRun(suite, hosts, labelsOf(flags.label));
    const { tasks, order } = await inOrder(suite, flags);
    const listed = tasks.slice(0, flags.limit);
    if (flags.json === true) {
      const rows = listed.map(({ id, index, axes, repeat }) => {
        const priority = suite.priority + addedPriority(suite, axes);
        return { id, index, axes, repeat, priority };
      });
      terminal.printJson('plan', { suite: suite.name, ...plan, hosts: from, order, list: rows });
      return;
    }
    const { style, width } = terminal;
    terminal.print(`${style.bold(suite.name)}: ${sizeText(suite, plan)}`);
    terminal.print(`parallel: ${plan.why} (${from})`);
    if (suite.order !== undefined) terminal.print(`order: ${orderLine(order)}`);
    for (const [name, raises] of Object.entries(suite.retryRaises ?? {}))
      terminal.print(`retries after ${name}: with ${raisesText(raises)}`);
    for (const warning of plan.warnings) terminal.print(style.warn(`warning: ${warning}`));
    const columns = [
      { header: 'id', value: (task: PlannedTask) => task.id },
      {
        header: 'axes',
        value: (task: PlannedTask) => axesText(task.axes),
        shrinkTo: 12,
      },
      {
        header: 'repeat',
        value: (task: PlannedTask) => String(task.repeat),
        align: 'right' as const,
      },
      ...(suite.priorityBy === undefined
        ? []
        : [
            {
              header: 'priority',
              value: ({ axes }: PlannedTask) => String(suite.priority + addedPriority(suite, axes)),
              align: 'right' as const,
            },
          ]),
    ];
    if (listed.length > 0)
      terminal.printLines(table(listed, columns, { width, paintHeader: style.dim }));
    if (tasks.length > listed.length)
      terminal.print(`... and ${tasks.length - listed.length} more (--limit)`);
  });
}

function sizeText({ untilBudget, runBudgetMs = 0 }: SuiteSpec, plan: RunPlan): string {
  const cells = plural(plan.cells, 'cell');
  if (untilBudget === undefined)
    return `${plural(plan.tasks, 'task')}: ${cells} x ${plural(plan.repeats, 'repeat')}`;
  const most = untilBudget.maxCycles;
  const limit = most === null ? '' : `, ${plural(most, 'time')} at most`;
  return `${cells}, each as often as the budget of ${duration(runBudgetMs)} allows${limit}`;
}

interface PlanOrder {
  readonly by: 'listed' | TaskOrder['by'];
  readonly seed: number | null;
  /** The last run of the suite, in `resultsDir`; null where the order goes by none, or there is none. */
  readonly basis: string | null;
  readonly resultsDir: string | null;
}

/** The tasks, first served first, as a submit would find them now. */
async function inOrder(
  suite: SuiteSpec,
  flags: PlanFlags,
): Promise<{ tasks: readonly PlannedTask[]; order: PlanOrder }> {
  const tasks = expandTasks(suite);
  const by = suite.order?.by ?? 'listed';
  const seed = suite.order?.by === 'random' ? suite.order.seed : null;
  const resultsDir = needsHistory(suite.order) ? await resultsDirOf(flags) : null;
  const basis = resultsDir === null ? null : await findLastRun(resultsDir, suite.name);
  const history =
    resultsDir === null || basis === null ? null : await readRunHistory(resultsDir, basis);
  const sequence = sequenceOf(suite, tasks, history);
  return {
    tasks: sequence === null ? tasks : Array.from(sequence, (index) => taskAt(tasks, index)),
    order: { by, seed, basis, resultsDir },
  };
}

function taskAt(tasks: readonly PlannedTask[], index: number): PlannedTask {
  const task = tasks[index];
  if (task === undefined) throw new Error(`there is no task ${index}`);
  return task;
}

function orderLine({ by, seed, basis, resultsDir }: PlanOrder): string {
  if (by === 'random') return `random, seed ${seed ?? ''}`;
  const from = `in ${resultsDir ?? ''}`;
  return basis === null
    ? `${by}, and there is no run of this suite ${from}: as listed`
    : `${by}, by run ${basis} ${from}`;
}

/** The agents of the mesh, or the one that a local mesh on this host would have. */
async function hostsOf(flags: PlanFlags): Promise<{ hosts: PlanHost[]; from: string }> {
  const mesh = await openOrNone(flags);
  if (mesh === null) {
    const cores = availableParallelism();
    return {
      hosts: [
        {
          agent: 'local-1',
          hostId: 'local',
          hostname: hostname(),
          ...{ slots: cores, cpus: cores },
        },
      ],
      from: 'a local mesh on this host',
    };
  }
  try {
    const fleet = await readFleet(mesh.connection);
    const hosts = fleet.agents.flatMap((agent) =>
      agent.registration === null || agent.state !== 'ready' ? [] : [agent.registration],
    );
    return {
      hosts,
      from: `agents of the mesh: ${hosts.map((host) => host.agent).join(', ') || 'none'}`,
    };
  } finally {
    await mesh.close();
  }
}

/** A local mesh that is down is one that `run` would start again. */
async function openOrNone(flags: PlanFlags): Promise<OpenMesh | null> {
  try {
    return await openIfAny(flags, 'plan');
  } catch (error) {
    const isDown = error instanceof MeshError && error.code === 'mesh_unreachable';
    if (isDown && targetOf(flags).kind === 'local') return null;
    throw error;
  }
}
