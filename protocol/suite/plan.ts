/** What a run of a suite would be on given hosts, for `benchmesh plan`: a forecast, not a promise. */
import { gpuCountOf, type Needs } from '../messages/attempt/attempt-spec.ts';
import { countGpus, type GpuCounts } from '../messages/agent/gpu-counts.ts';
import type { Hardware } from '../messages/agent/hardware.ts';
import { countCells } from './expand.ts';
import type { SuiteSpec } from '../messages/run/suite-spec.ts';

/** An agent's capacity; agents on one machine share its host id. */
export interface PlanHost {
  readonly hostId: string;
  readonly slots: number;
  readonly cpus: number;
  readonly hardware?: Pick<Hardware, 'gpus'> | undefined;
}

export interface RunPlan {
  readonly tasks: number;
  readonly cells: number;
  readonly repeats: number;
  /** Tasks that can run at once; 0 when none can be placed at all. */
  readonly parallelism: number;
  /** One line: why it is that many. */
  readonly why: string;
  readonly warnings: readonly string[];
}

export function planRun(suite: SuiteSpec, hosts: readonly PlanHost[]): RunPlan {
  const cells = countCells(suite);
  const tasks = cells * suite.repeats;
  const fitting = hosts.filter((host) => placesOn(host, suite.needs) > 0);
  const hostCount = new Set(fitting.map(({ hostId }) => hostId)).size;
  const capacity = suite.needs.exclusive
    ? hostCount
    : fitting.reduce((sum, host) => sum + placesOn(host, suite.needs), 0);
  const parallelism = Math.min(capacity, suite.maxParallel ?? Infinity, tasks);
  const base = { tasks, cells, repeats: suite.repeats, parallelism };
  if (capacity === 0) return { ...base, ...unplaceable(suite, hosts) };
  const lead = `${parallelism} at a time on ${plural(hostCount, 'host')}`;
  const why = `${lead}: ${reason(suite, { capacity, parallelism, tasks })}`;
  return { ...base, why, warnings: idleWarnings(suite, fitting, parallelism) };
}

/** Tasks of such needs that fit on an agent beside each other, `exclusive` apart. */
export function placesOn(host: PlanHost, needs: Needs): number {
  const gpus = gpuCountOf(needs);
  const byCpus = needs.cpus === 0 ? Infinity : Math.floor(host.cpus / needs.cpus);
  return Math.min(Math.floor(host.slots / needs.slots), byCpus, gpuPlaces(gpusOf(host), gpus));
}

function gpusOf({ hardware }: PlanHost): GpuCounts {
  return countGpus(hardware?.gpus ?? []);
}

function gpuPlaces({ all, most }: GpuCounts, count: number): number {
  if (count === 0) return Infinity;
  return count > most ? 0 : Math.floor(all / count);
}

interface Numbers {
  readonly capacity: number;
  readonly parallelism: number;
  readonly tasks: number;
}

function reason(suite: SuiteSpec, { capacity, parallelism, tasks }: Numbers): string {
  if (parallelism < capacity)
    return tasks <= parallelism
      ? `there are no more tasks (the hosts have room for ${capacity})`
      : `maxParallel is ${suite.maxParallel ?? 0} (the hosts have room for ${capacity})`;
  if (suite.needs.exclusive)
    return 'tasks are exclusive (the default), one per host; set needs.exclusive: false to let them share one';
  return `each task takes ${plural(suite.needs.slots, 'slot')}${othersOf(suite.needs)}`;
}

function unplaceable(
  suite: SuiteSpec,
  hosts: readonly PlanHost[],
): Pick<RunPlan, 'why' | 'warnings'> {
  if (hosts.length === 0)
    return {
      why: 'nothing can run: no agent is there',
      warnings: ['no agent is there: tasks wait until one joins'],
    };
  const { slots, cpus } = suite.needs;
  const gpus = gpuCountOf(suite.needs);
  const mostGpus = Math.max(...hosts.map((host) => gpusOf(host).most));
  const mostSlots = Math.max(...hosts.map((host) => host.slots));
  const mostCpus = Math.max(...hosts.map((host) => host.cpus));
  const lacks = [
    ...(slots > mostSlots
      ? [`needs.slots is ${slots} and the largest agent has ${mostSlots}`]
      : []),
    ...(cpus > mostCpus ? [`needs.cpus is ${cpus} and the largest agent has ${mostCpus}`] : []),
    ...(gpus > mostGpus
      ? [
          `needs.gpus is ${gpus} and ${mostGpus === 0 ? 'no agent has one' : `the most that an agent has of one kind is ${mostGpus}`}`,
        ]
      : []),
  ];
  const all =
    gpus === 0 ? 'both the slots and the CPUs' : 'the slots, the CPUs and the GPUs at once';
  const cause = lacks.length > 0 ? lacks.join('; ') : `no agent has ${all}`;
  return {
    why: `nothing can run: ${cause}`,
    warnings: [
      `no task can ever be placed: ${cause}; lower needs, or start an agent with more ${lacks.length === 1 && gpus > mostGpus ? 'GPUs' : 'slots'}`,
    ],
  };
}

function idleWarnings(
  suite: SuiteSpec,
  fitting: readonly PlanHost[],
  parallelism: number,
): string[] {
  const { slots, exclusive } = suite.needs;
  const all = fitting.reduce((sum, host) => sum + host.slots, 0);
  const idle = all - parallelism * slots;
  if (idle <= 0) return [];
  const share = `${idle} of ${plural(all, 'slot')} will idle`;
  const tasks = countCells(suite) * suite.repeats;
  if (suite.maxParallel === parallelism && tasks > parallelism)
    return [`${share}: maxParallel is ${suite.maxParallel}`];
  if (tasks <= parallelism)
    return [`${share}: there ${tasks === 1 ? 'is' : 'are'} only ${plural(tasks, 'task')}`];
  if (exclusive)
    return [
      `${share} by design: exclusive tasks are measured in peace; needs.exclusive: false uses them`,
    ];
  return [
    `${share}: they do not hold another task (${plural(slots, 'slot')}${othersOf(suite.needs)} each)`,
  ];
}

/** What it takes beside slots: ` and 2 CPUs`, ` and 1 GPU`, `, 2 CPUs and 1 GPU`. */
function othersOf(needs: Needs): string {
  const parts = [
    ...(needs.cpus === 0 ? [] : [plural(needs.cpus, 'CPU')]),
    ...(gpuCountOf(needs) === 0 ? [] : [plural(gpuCountOf(needs), 'GPU')]),
  ];
  const last = parts.pop();
  return last === undefined ? '' : `${parts.map((part) => `, ${part}`).join('')} and ${last}`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
