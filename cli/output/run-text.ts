/** A run in words and tables. Pure: from views to lines. */
import type { RunView } from '#protocol/fold/run-view.ts';
import type { TaskView } from '#protocol/fold/task-view.ts';
import type { NoteView } from '#protocol/fold/orders-view.ts';
import type { AxisValue } from '#protocol/messages/ids.ts';
import { amountsText } from '#protocol/suite/raised-needs.ts';
import { axesText, dash, date, duration, elapsed, plural, quantity } from './format.ts';
import { paintState, type Style } from './style.ts';
import { table, type Column } from './table.ts';
import { oneLine } from './text.ts';

/** `12/24 tasks: 11 passed, 1 failed, 1 running, 11 pending`. */
export function countsText(view: Pick<RunView, 'tasks' | 'states' | 'outcomes'>): string {
  const parts = [
    ...Object.entries(view.outcomes).map(([outcome, count]) => `${count} ${outcome}`),
    ...(['running', 'assigned', 'pending'] as const)
      .filter((state) => view.states[state] > 0)
      .map((state) => `${view.states[state]} ${state}`),
  ];
  return `${view.states.ended}/${plural(view.tasks, 'task')}${parts.length === 0 ? '' : `: ${parts.join(', ')}`}`;
}

export function stateText(view: Pick<RunView, 'state' | 'outcome' | 'paused'>): string {
  return view.paused === null ? (view.outcome ?? view.state) : `paused by ${view.paused.by}`;
}

/** Of a task that is paused, whose attempt has ended. */
export function taskStateText(
  task: Pick<TaskView, 'state' | 'unreachable' | 'paused' | 'retryAt' | 'preemptedBy'>,
): string {
  if (task.unreachable) return 'unreachable';
  if (task.retryAt !== undefined && task.paused === null) return `retry at ${date(task.retryAt)}`;
  const isWaiting = task.paused !== null && task.state === 'pending';
  if (isWaiting) return `paused by ${task.paused.by}`;
  const { preemptedBy } = task;
  return preemptedBy === undefined
    ? task.state
    : `pre-empted by ${preemptedBy.run}/${preemptedBy.task}`;
}

/** The paragraph `show` begins with. */
export function runLines(
  view: RunView,
  about: { style: Style; directory: string | null },
): string[] {
  const { style, directory } = about;
  const state = paintState(style, stateText(view));
  const why = view.reason ?? view.paused?.reason ?? null;
  const profile = view.profile === null ? '' : `, profile ${view.profile}`;
  const fields: [string, string][] = [
    ['suite', `${view.suite}${view.suiteFile === null ? '' : ` (${view.suiteFile})`}${profile}`],
    ['state', `${state}${why === null ? '' : `: ${why}`}`],
    ['tasks', countsText(view)],
    ...(view.priority === 0
      ? []
      : [['priority', `${view.priority} (higher first)`] satisfies [string, string]]),
    ...(view.maxParallel === null
      ? []
      : [['parallel', `at most ${view.maxParallel} tasks at once`] satisfies [string, string]]),
    ...(view.order.by === 'listed'
      ? []
      : [['order', orderText(view.order)] satisfies [string, string]]),
    ...(view.cycles === undefined
      ? []
      : [['cycles', cyclesText(view.cycles)] satisfies [string, string]]),
    ...(view.flaky === undefined
      ? []
      : [['flaky', flakyText(view.flaky)] satisfies [string, string]]),
    ['submitted', `${date(view.submitted)} by ${view.by}`],
    ['started', date(view.started)],
    ['ended', date(view.ended)],
    ['elapsed', sofar(view.elapsedMs, view.state === 'ended')],
    ...(view.retryOf === null ? [] : [['retry of', view.retryOf] satisfies [string, string]]),
    ...view.stops.map((stop): [string, string] => ['stop', stopText(stop)]),
    ...view.requeues.map((requeue): [string, string] => ['requeue', stopText(requeue)]),
    ...view.pauses.map((pause): [string, string] => ['pause', pauseText(pause)]),
    ...view.notes.map((note): [string, string] => ['note', noteText(note)]),
    ...(directory === null ? [] : [['directory', directory] satisfies [string, string]]),
  ];
  return [
    style.bold(`run ${view.id}`),
    ...fields.map(([name, value]) => `  ${style.dim(name.padEnd(9))}  ${value}`),
  ];
}

/** `3 begun, of 623 cells each, until the budget of 1h00m ends`. */
export function cyclesText(cycles: NonNullable<RunView['cycles']>): string {
  const { begun, cells, budgetMs, atBudget, withdrawn } = cycles;
  const then = atBudget === 'finish' ? '; what runs then is finished' : '';
  const never = withdrawn === 0 ? '' : `; ${plural(withdrawn, 'task')} of the last never began`;
  return `${begun} begun, of ${plural(cells, 'cell')} each, until the budget of ${duration(budgetMs)} ends${then}${never}`;
}

const FLAKY_SHOWN = 5;

/** `2 cells both passed and failed: size=16 7 of 9 passed, size=64 1 of 2 passed`. */
export function flakyText({ cells, listed }: NonNullable<RunView['flaky']>): string {
  const shown = listed
    .slice(0, FLAKY_SHOWN)
    .map((cell) => `${axesOf(cell.axes)}${countedText(cell)}`);
  const more = cells - shown.length;
  const all = [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join(', ');
  return `${plural(cells, 'cell')} both passed and failed: ${all}`;
}

/** Of a cell whose repeats disagree: `7 of 9 passed`. */
export function countedText({ passed, failed }: NonNullable<TaskView['flaky']>): string {
  return `${passed} of ${passed + failed} passed`;
}

/** `longest-first, by run 2026-02-13_14-30-45-k3f9`. */
function orderText({ by, seed, basis }: RunView['order']): string {
  if (by === 'random') return `random, seed ${seed ?? ''}`;
  const what = basis === null ? 'no run of the suite before it: as listed' : `by run ${basis}`;
  return `${by}, ${what}`;
}

/** `59 ms at its last event`; of what has ended without the rest. */
export function sofar(ms: number, hasEnded: boolean): string {
  return hasEnded ? duration(ms) : `${duration(ms)} at its last event`;
}

function stopText(stop: RunView['stops'][number] | RunView['pauses'][number]): string {
  const what = stop.task === null ? '' : `task ${stop.task} `;
  const why = stop.reason === null ? '' : `: ${stop.reason}`;
  return `${what}by ${stop.by}${why} (${stop.result ?? 'open'})`;
}

/** `2026-02-13 14:30:45 by ann@box: the fan is loud`; of a task with its id. */
export function noteText({ time, task, by, text }: NoteView): string {
  const what = task === null ? '' : `task ${task} `;
  return oneLine(`${date(time)} ${what}by ${by}: ${text}`);
}

function pauseText(pause: RunView['pauses'][number]): string {
  const over = pause.resumedBy === null ? '' : `, resumed by ${pause.resumedBy}`;
  return `${stopText(pause)}${over}`;
}

/** What runs now. */
export function currentLines(
  view: RunView,
  about: { style: Style; width: number | null },
): string[] {
  if (view.current.length === 0) return [];
  type Row = RunView['current'][number];
  const columns: Column<Row>[] = [
    { header: 'task', value: (row) => row.id, isKey: true },
    { header: 'axes', value: (row) => `${axesText(row.axes)} #${row.repeat}`, shrinkTo: 12 },
    { header: 'agent', value: agentText, shrinkTo: 6 },
    { header: 'state', value: (row) => (row.unreachable ? 'unreachable' : row.state) },
    { header: 'phase', value: (row) => dash(row.phase), shrinkTo: 6, optional: true },
    { header: 'progress', value: (row) => percent(row.progress), align: 'right', optional: true },
    { header: 'elapsed', value: (row) => elapsed(row.elapsedMs, false), align: 'right' },
  ];
  return table(view.current, columns, { width: about.width, paintHeader: about.style.dim });
}

/** `a`, `a +2` of a task on three hosts. */
export function agentText(of: {
  readonly agent: string;
  readonly agents?: readonly string[];
}): string {
  return `${of.agent}${othersText(of)}`;
}

function othersText({ agents = [] }: { readonly agents?: readonly string[] }): string {
  return agents.length > 1 ? ` +${agents.length - 1}` : '';
}

/** `40%`; '-' for none. */
export function percent(progress: number | null): string {
  return progress === null ? '-' : `${Math.floor(progress * 100)}%`;
}

/** The columns of `tasks`; `flaky` where one of them is of such a cell. */
export function taskColumns(style: Style, tasks: readonly TaskView[] = []): Column<TaskView>[] {
  const flaky: Column<TaskView> = {
    header: 'flaky',
    value: (task) => (task.flaky === undefined ? '-' : countedText(task.flaky)),
    optional: true,
  };
  const raised: Column<TaskView> = {
    header: 'raised',
    value: (task) => (task.needs === undefined ? '-' : amountsText(task.needs)),
    shrinkTo: 8,
    optional: true,
  };
  return [
    { header: 'id', value: (task) => task.id, isKey: true },
    { header: 'axes', value: (task) => `${axesText(task.axes)} #${task.repeat}`, shrinkTo: 12 },
    {
      header: 'agent',
      value: (task) =>
        task.agent === null ? '-' : `${task.agent}@${dash(task.address)}${othersText(task)}`,
      shrinkTo: 8,
    },
    {
      header: 'state',
      value: taskStateText,
      paint: (cell) => paintState(style, cell),
    },
    {
      header: 'outcome',
      value: (task) => dash(task.outcome),
      paint: (cell) => paintState(style, cell),
    },
    { header: 'attempts', value: (task) => String(task.attempts), align: 'right', optional: true },
    ...(tasks.some((task) => task.flaky !== undefined) ? [flaky] : []),
    ...(tasks.some((task) => task.needs !== undefined) ? [raised] : []),
    { header: 'stage', value: (task) => dash(task.stage), optional: true },
    { header: 'class', value: (task) => dash(task.class), optional: true },
    { header: 'message', value: (task) => dash(task.message), shrinkTo: 16, optional: true },
    {
      header: 'metrics',
      value: (task) => dash(metricsText(task.metrics)),
      shrinkTo: 16,
      optional: true,
    },
    {
      header: 'perturbed',
      value: (task) => dash(task.perturbed?.join(' ')),
      shrinkTo: 9,
      optional: true,
    },
    {
      header: 'elapsed',
      value: (task) => elapsed(task.elapsedMs, task.state === 'ended'),
      align: 'right',
      optional: true,
    },
    { header: 'ended', value: (task) => date(task.ended), optional: true },
    { header: 'started', value: (task) => date(task.started), optional: true },
    { header: 'created', value: (task) => date(task.created), optional: true },
    { header: 'priority', value: (task) => String(task.priority), align: 'right', optional: true },
  ];
}

const METRICS_MOST = 20;

/** `throughput 812.50 MB/s, latency 1.2 ms`; of very many the first, on one line. */
export function metricsText(metrics: TaskView['metrics']): string {
  const shown = metrics
    .slice(0, METRICS_MOST)
    .map(({ name, value, unit }) => `${name} ${quantity(value)}${unit === '' ? '' : ` ${unit}`}`);
  const more = metrics.length - shown.length;
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join(', ');
}

/** What failed and how to look at it; at most `limit` of them. */
export function failureLines(
  run: string,
  tasks: readonly TaskView[],
  about: { style: Style; limit: number },
): string[] {
  const failed = tasks.filter(
    (task) => task.outcome !== null && task.outcome !== 'passed' && task.outcome !== 'stopped',
  );
  const lines = failed.slice(0, about.limit).map((task) => {
    const where = [task.stage, task.class].filter((part) => part !== null).join('/');
    const why = task.message === null ? '' : `: ${task.message}`;
    const outcome = paintState(about.style, task.outcome ?? '');
    return `  ${outcome} ${task.id} ${axesOf(task.axes)}#${task.repeat}${where === '' ? '' : ` (${where})`}${why}`;
  });
  if (failed.length > about.limit) lines.push(`  ... and ${failed.length - about.limit} more`);
  const first = failed[0];
  if (first !== undefined) lines.push(`  see: benchmesh logs ${run}/${first.id}`);
  return lines;
}

const axesOf = (axes: Readonly<Record<string, AxisValue>>): string => {
  const text = axesText(axes);
  return text === '' ? '' : `${text} `;
};
