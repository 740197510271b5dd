/** What a run of a suite would be on given hosts, for `benchmesh plan`: a forecast, not a promise. */
import type { Accepts } from '../messages/agent/accepts.ts';
import {
  gpusFor,
  misfit,
  nearestMisfit,
  unplaceableText,
  type HostCapacity,
} from '../messages/agent/fit.ts';
import { countGpus } from '../messages/agent/gpu-counts.ts';
import type { Hardware } from '../messages/agent/hardware.ts';
import type { Labels } from '../messages/agent/labels.ts';
import { hostsOf } from '../messages/attempt/gang.ts';
import { gpuCountOf, type Needs } from '../messages/attempt/needs.ts';
import type { Unplaceable } from '../messages/run/explain.ts';
import type { SuiteSpec } from '../messages/run/suite-spec.ts';
import { countCells, expandTasks, mostCycles } from './expand.ts';
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

interface Place extends HostCapacity {
  readonly id: string;
  readonly hostId: string;
}

interface Kind {
  readonly needs: Needs;
  readonly tasks: number;
}

export function planRun(suite: SuiteSpec, hosts: readonly PlanHost[]): RunPlan {
  const cells = countCells(suite);
  const tasks = cells * suite.repeats;
  const places = hosts.map(placeOf);
  const kinds = kindsOf(suite, tasks);
  // One that cycles has as many as there is room for, or as its cycles allow.
  const cycles = suite.untilBudget === undefined ? 1 : mostCycles(suite, cells);
  const all = tasks * cycles;
  const offer = { priority: suite.priority, suite: suite.name, labels: {} };
  const unplaceable =
    places.length === 0
      ? []
      : kinds.flatMap((kind) => {
          const nearest = nearestMisfit(places, kind.needs, offer);
          return nearest === null ? [] : [{ tasks: kind.tasks, ...nearest }];
        });
  const room = roomFor(suite, { kinds, places, cycles });
  const parallelism = Math.min(room.tasks, suite.maxParallel ?? Infinity, all);
  const base = { tasks, cells, repeats: suite.repeats, parallelism, unplaceable };
  const warned = unplaceable.map(
    (each) => `${unplaceableText(each)}: they wait until one joins that can run them`,
  );
  if (room.tasks === 0) {
    const none = 'no agent is there';
    return places.length === 0
      ? {
          ...base,
          why: `nothing can run: ${none}`,
          warnings: [`${none}: tasks wait until one joins`],
        }
      : { ...base, why: `nothing can run: ${nothing(unplaceable)}`, warnings: warned };
  }
  const lead = `${parallelism} at a time on ${plural(room.hosts, 'host')}`;
  const why = `${lead}: ${reason(suite, kinds, { room: room.tasks, parallelism, tasks: all })}`;
  const idle =
    kinds.length > 1 ? [] : idleWarnings(suite, { kinds, places, parallelism, tasks: all });
  return { ...base, why, warnings: [...warned, ...idle] };
}

function nothing(unplaceable: readonly Unplaceable[]): string {
  const [first] = unplaceable;
  return first === undefined ? 'no agent has room for a task' : unplaceableText(first);
}

function placeOf(host: PlanHost): Place {
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

/** What is free on a host while the forecast fills it. */
interface Free {
  readonly place: Place;
  slots: number;
  cpus: number;
  memoryMiB: number;
  gpus: number;
}

function emptied(place: Place): Free {
  const { slots, cpus, memoryMiB, counts } = place;
  return { place, slots, cpus, memoryMiB, gpus: counts.all };
}

/** Tasks of such needs that its resources hold beside each other, `exclusive` apart. */
export function placesOn(host: PlanHost, needs: Needs): number {
  const place = placeOf(host);
  if (gpuCountOf(needs) > gpusFor(place, needs).most) return 0;
  return fitting(emptied(place), needs);
}

/**
 * One kind after the other, as many of each as find room beside what is there already; of what cycles, of
 * one cycle after the other.
 */
function roomFor(
  suite: SuiteSpec,
  input: {
    readonly kinds: readonly Kind[];
    readonly places: readonly Place[];
    readonly cycles: number;
  },
): { tasks: number; hosts: number } {
  const { kinds, cycles } = input;
  const free = input.places.map(emptied);
  const [used, alone] = [new Set<string>(), new Set<string>()];
  const placed = kinds.map(() => 0);
  // So many more cycles at once each time: few rounds fill any fleet.
  for (let [done, more] = [0, 1]; done < cycles; [done, more] = [done + more, more * 2]) {
    const before = sumOf(placed);
    for (const [at, kind] of kinds.entries()) {
      // One kind alone tells how much room there is at all.
      const tasks = kinds.length === 1 ? Infinity : kind.tasks * Math.min(more, cycles - done);
      const left = Math.min(tasks, lockedMost(suite, kind.needs) - (placed[at] ?? 0));
      const count = fill(suite, { needs: kind.needs, left, free, used, alone });
      placed[at] = (placed[at] ?? 0) + count;
    }
    if (sumOf(placed) === before) break;
  }
  return { tasks: sumOf(placed), hosts: used.size };
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

interface Filling {
  readonly needs: Needs;
  readonly left: number;
  readonly free: readonly Free[];
  /** Host ids that have something, and those that one task has to itself. */
  readonly used: Set<string>;
  readonly alone: Set<string>;
}

/** Puts as many as `left` on the hosts. How many found room. */
function fill(suite: SuiteSpec, { needs, left, free, used, alone }: Filling): number {
  const offer = { priority: suite.priority, suite: suite.name, labels: {} };
  const hosts = hostsOf(needs);
  const mayUse = ({ place }: Free): boolean => {
    if (alone.has(place.hostId) || misfit(place, needs, offer) !== null) return false;
    return !needs.exclusive || !used.has(place.hostId);
  };
  let placed = 0;
  while (hosts > 1 && placed < left) {
    const chosen = emptiest(free.filter(mayUse), needs).slice(0, hosts);
    if (chosen.length < hosts) return placed;
    for (const host of chosen) {
      take(host, needs, 1);
      used.add(host.place.hostId);
      if (needs.exclusive) alone.add(host.place.hostId);
    }
    placed += 1;
  }
  for (const host of hosts > 1 ? [] : free) {
    const { hostId } = host.place;
    if (placed >= left) break;
    if (!mayUse(host)) continue;
    const count = Math.min(left - placed, needs.exclusive ? 1 : fitting(host, needs));
    if (count <= 0) continue;
    if (needs.exclusive) alone.add(hostId);
    take(host, needs, count);
    used.add(hostId);
    placed += count;
  }
  return placed;
}

/** One place of each host that has room for one more, those with the most room first. */
function emptiest(free: readonly Free[], needs: Needs): Free[] {
  const hosts = new Map<string, Free>();
  for (const one of free) {
    const known = hosts.get(one.place.hostId);
    const room = fitting(one, needs);
    if (room > 0 && (known === undefined || room > fitting(known, needs)))
      hosts.set(one.place.hostId, one);
  }
  return [...hosts.values()].sort((a, b) => fitting(b, needs) - fitting(a, needs));
}

function lockedMost({ locks: capacities = {} }: SuiteSpec, { locks = {} }: Needs): number {
  const each = Object.entries(locks).map(([name, count]) =>
    Math.floor((capacities[name] ?? Infinity) / count),
  );
  return Math.min(Infinity, ...each);
}

function fitting({ place, slots, cpus, memoryMiB, gpus }: Free, needs: Needs): number {
  const times = (has: number, wanted: number): number =>
    wanted === 0 ? Infinity : Math.floor(has / wanted);
  const count = gpuCountOf(needs);
  return Math.min(
    times(slots, needs.slots),
    times(cpus, needs.cpus),
    times(memoryMiB, needs.memoryMiB ?? 0),
    times(Math.min(gpus, count === 0 ? 0 : gpusFor(place, needs).all), count),
  );
}

function take(host: Free, needs: Needs, count: number): void {
  host.slots -= count * needs.slots;
  host.cpus -= count * needs.cpus;
  host.memoryMiB -= count * (needs.memoryMiB ?? 0);
  host.gpus -= count * gpuCountOf(needs);
}

interface Numbers {
  readonly room: number;
  readonly parallelism: number;
  readonly tasks: number;
}

function reason(
  suite: SuiteSpec,
  kinds: readonly Kind[],
  { room, parallelism, tasks }: Numbers,
): string {
  if (parallelism < room)
    return tasks <= parallelism
      ? `there are no more tasks (the hosts have room for ${room})`
      : `maxParallel is ${suite.maxParallel ?? 0} (the hosts have room for ${room})`;
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

function lockText({ locks: capacities = {} }: SuiteSpec, { locks = {} }: Needs): string {
  return Object.entries(locks)
    .map(([name, count]) => `${count} of ${capacities[name] ?? '?'} ${name} each`)
    .join(', ');
}

interface Idle {
  readonly kinds: readonly Kind[];
  readonly places: readonly Place[];
  readonly parallelism: number;
  readonly tasks: number;
}

function idleWarnings(suite: SuiteSpec, { kinds, places, parallelism, tasks }: Idle): string[] {
  const { needs } = kinds[0] ?? suite;
  const { slots, exclusive } = needs;
  const offer = { priority: suite.priority, suite: suite.name, labels: {} };
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
