/** An attempt as its agent sees it now, in words. Pure. */
import type {
  InspectedGpu,
  InspectedProcess,
  InspectedStep,
  InspectReply,
} from '#protocol/messages/agent/agent-api.ts';
import { bytes, dash, duration, plural, quantity } from './format.ts';
import { paintState, type Style } from './style.ts';
import { table, type Column } from './table.ts';
import { oneLine, truncate } from './text.ts';

export interface InspectTextOptions {
  readonly style: Style;
  /** Columns of the terminal; null into a pipe. */
  readonly width: number | null;
}

export function inspectLines(
  reply: InspectReply & { readonly rank?: number },
  { style, width }: InspectTextOptions,
): string[] {
  const cut = (line: string): string => {
    const text = oneLine(line);
    return width === null ? text : truncate(text, width - 2);
  };
  const { run, task, n, agent, processes, gpus, gpuReason, isCut } = reply;
  const options = { width, paintHeader: style.dim };
  const rank = reply.rank === undefined ? '' : `, rank ${reply.rank}`;
  const state = `${paintState(style, reply.state)}${reply.stopping ? ', being stopped' : ''}`;
  return [
    `${style.bold(`attempt ${run}/${task}/${n}${rank}`)} on ${agent}: ${state}`,
    ...facts(reply).map((fact) => `  ${cut(fact)}`),
    ...(processes.length === 0
      ? ['  no process']
      : table(inTreeOrder(processes), processColumns(reply), options)),
    ...(isCut ? [style.warn('  there are more processes than are listed')] : []),
    ...(gpus.length === 0 ? [] : table(gpus, gpuColumns(), options)),
    ...(gpuReason === null ? [] : [style.warn(`  ${cut(`GPUs: ${gpuReason}`)}`)]),
  ];
}

function facts(reply: InspectReply): string[] {
  const { step, elapsedMs, phase, progress, waitsFor, slots, cpus, logBytes, checkpoint } = reply;
  const percent = progress === null ? '' : ` ${Math.floor(progress * 100)}%`;
  const given = [
    ...(slots.length === 0 ? [] : [`${slots.length === 1 ? 'slot' : 'slots'} ${slots.join(',')}`]),
    ...(cpus.length === 0 ? [] : [`cpus ${cpus.join(',')}`]),
  ];
  return [
    ...(waitsFor === null ? [] : [`waits: ${waitsFor}`]),
    [
      step === null ? 'between steps' : `step ${step}`,
      ...(phase === null && progress === null ? [] : [`${phase ?? 'progress'}${percent}`]),
      duration(elapsedMs),
      `log ${bytes(logBytes)}`,
      ...given,
    ].join(', '),
    ...reply.steps.map(stepText),
    ...(reply.resumedWith === null ? [] : [`began with checkpoint ${reply.resumedWith}`]),
    checkpoint === null
      ? 'no checkpoint so far'
      : `checkpoint ${checkpoint.number}: ${plural(checkpoint.files, 'file')} (${bytes(checkpoint.bytes)})`,
  ];
}

function stepText({ id, rung, pid, meshrun, cgroup, logBytes }: InspectedStep): string {
  const holder = meshrun === null ? '' : `, held by meshrun ${meshrun}`;
  const place = cgroup === null ? '' : ` in ${cgroup}`;
  return `${id}: pid ${pid}${holder}, rung ${rung}${place}, log ${bytes(logBytes)}`;
}

interface TreeRow extends InspectedProcess {
  readonly depth: number;
}

/** Children below their parents, each as deep as it is. */
export function inTreeOrder(processes: readonly InspectedProcess[]): TreeRow[] {
  const pids = new Set(processes.map(({ pid }) => pid));
  const children = new Map<number, InspectedProcess[]>();
  const roots: InspectedProcess[] = [];
  for (const row of processes) {
    if (!pids.has(row.parent) || row.parent === row.pid) roots.push(row);
    else children.set(row.parent, [...(children.get(row.parent) ?? []), row]);
  }
  const rows: TreeRow[] = [];
  const stack = roots.toReversed().map((row) => ({ ...row, depth: 0 }));
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    rows.push(next);
    const depth = next.depth + 1;
    const below = children.get(next.pid) ?? [];
    children.delete(next.pid);
    stack.push(...below.toReversed().map((row) => ({ ...row, depth })));
  }
  return rows;
}

const DEEPEST = 12;

function branch(depth: number): string {
  return depth === 0 ? '' : `${'· '.repeat(Math.min(depth, DEEPEST) - 1)}└ `;
}

function processColumns({ steps }: InspectReply): Column<TreeRow>[] {
  return [
    { header: 'pid', value: ({ pid }) => String(pid), align: 'right' },
    ...(steps.length > 1
      ? [{ header: 'step', value: ({ step }: TreeRow) => step, shrinkTo: 6 }]
      : []),
    { header: 'state', value: ({ state }) => state },
    { header: 'cpu %', value: ({ cpuPercent: cpu }) => dash(numberText(cpu)), align: 'right' },
    {
      header: 'cpu time',
      value: ({ cpuSeconds }) => duration(cpuSeconds * 1_000),
      align: 'right',
    },
    { header: 'memory', value: ({ rssBytes }) => bytes(rssBytes), align: 'right' },
    { header: 'threads', value: ({ threads }) => String(threads), align: 'right', optional: true },
    {
      header: 'elapsed',
      value: ({ elapsedMs }) => duration(elapsedMs),
      align: 'right',
      optional: true,
    },
    {
      header: 'command',
      value: ({ depth, command }) => `${branch(depth)}${command}`,
      shrinkTo: 12,
    },
  ];
}

function gpuColumns(): Column<InspectedGpu>[] {
  const of = (
    read: (sample: NonNullable<InspectedGpu['sample']>) => number | null,
    unit: string,
  ) => {
    return ({ sample }: InspectedGpu): string => {
      const value = sample === null ? null : read(sample);
      return value === null ? '-' : `${quantity(value)}${unit}`;
    };
  };
  return [
    { header: 'gpu', value: ({ index, id }) => dash(index === null ? id : String(index)) },
    { header: 'name', value: ({ name }) => dash(name), shrinkTo: 8 },
    { header: 'use', value: of((sample) => sample.utilisationPercent, '%'), align: 'right' },
    { header: 'memory', value: of((sample) => sample.memoryUsedMiB, ' MiB'), align: 'right' },
    { header: 'of', value: ({ memoryMiB: of }) => dash(numberText(of, ' MiB')), align: 'right' },
    { header: 'power', value: of((sample) => sample.powerW, ' W'), align: 'right', optional: true },
    {
      header: 'temp',
      value: of((sample) => sample.temperatureC, ' C'),
      align: 'right',
      optional: true,
    },
    { header: 'used by', value: usersText, shrinkTo: 12 },
  ];
}

function numberText(value: number | null, unit = ''): string | null {
  return value === null ? null : `${quantity(value)}${unit}`;
}

function usersText({ users }: InspectedGpu): string {
  if (users === null) return '?';
  if (users.length === 0) return '-';
  return users
    .map(({ pid, name, memoryMiB, own }) => {
      const memory = memoryMiB === null ? '' : ` ${quantity(memoryMiB)} MiB`;
      return `${name.split('/').at(-1) ?? name} ${pid}${memory}${own ? '' : ' (not of this attempt)'}`;
    })
    .join(', ');
}
