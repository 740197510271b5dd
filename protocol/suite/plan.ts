/** What a run of a suite would be on given hosts, for `benchmesh plan`: a forecast, not a promise. */
import type { Accepts, Offer } from '../messages/agent/accepts.ts';
import { misfit, nearestMisfit } from '../messages/agent/fit.ts';
import { countGpus } from '../messages/agent/gpu-counts.ts';
import type { Hardware } from '../messages/agent/hardware.ts';
import type { Labels } from '../messages/agent/labels.ts';
import {
  mergedUnplaceable,
  unplaceableSummary,
  unplaceableWarnings,
} from '../messages/agent/unplaceable.ts';
import { hostsOf } from '../messages/attempt/gang.ts';
import { gpuCountOf, type Needs } from '../messages/attempt/needs.ts';
import type { Unplaceable } from '../messages/run/explain.ts';
import type { SuiteSpec } from '../messages/run/suite-spec.ts';
import { countCells, expandTasks, mostCycles } from './expand.ts';
import { lockedMost, roomFor, roomIfNotApart, type Kind, type Place } from './room.ts';
import { needClasses } from './task-needs.ts';

/** What an agent's registration says; agents on one machine share its host id. */
export interface PlanHost {
  readonly agent?: string | undefined;
  readonly hostname?: string | undefined;
  readonly hostId: string;
  readonly slots: number;
  readonly cpus: number;
  readonly memoryMiB?: number | undefined;
  readonly hardware?: Pick<Hardware, 'gpus'> | undefined;
  readonly labels?: Labels | undefined;
  readonly accepts?: Accepts | undefined;
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
  /** Tasks that none of the hosts could ever run, by what they need; `agent` is the nearest of them. */
  readonly unplaceable: readonly Unplaceable[];
}

/** `labels`: those that the run would be submitted with. */
export function planRun(
  suite: SuiteSpec,
  hosts: readonly PlanHost[],
  labels: Labels = {},
): RunPlan {
  const cells = countCells(suite);
  const tasks = cells * suite.repeats;
  const places = hosts.map(placeOf);
  const kinds = kindsOf(suite, tasks);
  // One that cycles has as many as there is room for, or as its cycles allow.
  const cycles = suite.untilBudget === undefined ? 1 : mostCycles(suite, cells);
  const all = tasks * cycles;
  const offer = { priority: suite.priority, suite: suite.name, labels };
  const unplaceable = mergedUnplaceable(
    kinds.flatMap((kind) => {
      const nearest = places.length === 0 ? null : nearestMisfit(places, kind.needs, offer);
      return nearest === null ? [] : [{ tasks: kind.tasks, ...nearest }];
    }),
  );
  const demand = { kinds, places, cycles, offer };
  const room = roomFor(suite, demand);
  const parallelism = Math.min(room.tasks, suite.maxParallel ?? Infinity, all);
  const base = { tasks, cells, repeats: suite.repeats, parallelism, unplaceable };
  const warned = unplaceableWarnings(unplaceable);
  if (room.tasks === 0) {
    const none = 'no agent is there';
    return places.length === 0
      ? {
          ...base,
          why: `nothing can run: ${none}`,
          warnings: [`${none}: tasks wait until one joins`],
        }
      : { ...base, why: `nothing can run: ${unplaceableSummary(unplaceable)}`, warnings: warned };
  }
  const lead = `${parallelism} at a time on ${plural(room.hosts, 'host')}`;
  const shared = kinds.some(({ needs }) => needs.apart !== undefined)
    ? roomIfNotApart(suite, demand).tasks
    : room.tasks;
  const numbers = { room: room.tasks, shared, parallelism, tasks: all };
  const why = `${lead}: ${reason(suite, kinds, numbers)}`;
  const idle = kinds.length > 1 ? [] : idleWarnings(suite, { kinds, places, offer, numbers });
  return { ...base, why, warnings: [...warned, ...idle] };
}

export function placeOf(host: PlanHost): Place {
  const { agent = host.hostId, hostname = host.hostId, hostId, slots, cpus } = host;
  const { memoryMiB = Infinity, labels = {}, accepts = null } = host;
  const gpus = host.hardware?.gpus ?? [];
  const counts = countGpus(gpus);
  const names = [agent, hostname];
  return { id: agent, hostId, slots, cpus, memoryMiB, gpus, counts, names, labels, accepts };
}

function kindsOf(suite: SuiteSpec, tasks: number): Kind[] {
  if (suite.needsTemplate === undefined) return [{ needs: suite.needs, tasks }];
  const { classes, of } = needClasses(suite, expandTasks(suite));
  const counts = classes.map(() => 0);
  for (const at of of ?? []) counts[at] = (counts[at] ?? 0) + 1;
  return classes.map((needs, at) => ({ needs, tasks: of === null ? tasks : (counts[at] ?? 0) }));
}

interface Numbers {
  readonly room: number;
  /** The room there would be if `apart` kept nothing from sharing a host. */
  readonly shared: number;
  readonly parallelism: number;
  readonly tasks: number;
}

function reason(
  suite: SuiteSpec,
  kinds: readonly Kind[],
  { room, shared, parallelism, tasks }: Numbers,
): string {
  if (parallelism < room)
    return tasks <= parallelism
      ? `there are no more tasks (the hosts have room for ${room})`
      : `maxParallel is ${suite.maxParallel ?? 0} (the hosts have room for ${room})`;
  if (shared > room)
    return `needs.apart: ${apartText(kinds)} (otherwise there would be room for ${shared})`;
  const [first] = kinds;
  if (kinds.length > 1 || first === undefined)
    return `tasks need different things (${kinds.length} kinds), as many as fit beside each other`;
  const { needs } = first;
  const hosts = hostsOf(needs);
  if (hosts > 1)
    return `each task takes ${hosts} hosts at once${needs.exclusive ? ' to itself' : ''}`;
  if (needs.exclusive)
    return 'tasks are exclusive (the default), one per host; set needs.exclusive: false to let them share one';
  if (room === lockedMost(suite, needs)) return `locks allow no more: ${lockText(suite, needs)}`;
  return `each task takes ${plural(needs.slots, 'slot')}${othersOf(needs)}`;
}

function apartText(kinds: readonly Kind[]): string {
  return kinds.some(({ needs }) => needs.apart?.key !== undefined)
    ? 'no two with the same key share a host'
    : 'the run has a label that its own tasks keep away from';
}

function lockText({ locks: capacities = {} }: SuiteSpec, { locks = {} }: Needs): string {
  return Object.entries(locks)
    .map(([name, count]) => `${count} of ${capacities[name] ?? '?'} ${name} each`)
    .join(', ');
}

interface Idle {
  readonly kinds: readonly Kind[];
  readonly places: readonly Place[];
  readonly offer: Offer;
  readonly numbers: Numbers;
}

function idleWarnings(suite: SuiteSpec, { kinds, places, offer, numbers }: Idle): string[] {
  const { room, shared, parallelism, tasks } = numbers;
  const { needs } = kinds[0] ?? suite;
  const { slots, exclusive } = needs;
  const all = places
    .filter((place) => misfit(place, needs, offer) === null)
    .reduce((sum, place) => sum + place.slots, 0);
  const idle = all - parallelism * slots * hostsOf(needs);
  if (idle <= 0) return [];
  const share = `${idle} of ${plural(all, 'slot')} will idle`;
  if (suite.maxParallel === parallelism && tasks > parallelism)
    return [`${share}: maxParallel is ${suite.maxParallel}`];
  if (tasks <= parallelism)
    return [`${share}: there ${tasks === 1 ? 'is' : 'are'} only ${plural(tasks, 'task')}`];
  if (exclusive)
    return [
      `${share} by design: exclusive tasks are measured in peace; needs.exclusive: false uses them`,
    ];
  if (shared > room) return [`${share}: needs.apart keeps the tasks on different hosts`];
  return [
    `${share}: they do not hold another task (${plural(slots, 'slot')}${othersOf(needs)} each)`,
  ];
}

/** What it takes beside slots: ` and 2 CPUs`, ` and 1 GPU`, `, 2 CPUs and 1 GPU`. */
function othersOf(needs: Needs): string {
  const parts = [
    ...(needs.cpus === 0 ? [] : [plural(needs.cpus, 'CPU')]),
    ...(needs.memoryMiB === undefined ? [] : [`${needs.memoryMiB} MiB`]),
    ...(gpuCountOf(needs) === 0 ? [] : [plural(gpuCountOf(needs), 'GPU')]),
  ];
  const last = parts.pop();
  return last === undefined ? '' : `${parts.map((part) => `, ${part}`).join('')} and ${last}`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
