/** How many tasks of a suite the hosts hold beside each other, for the forecast of `plan`. Pure. */
import type { Offer } from '../messages/agent/accepts.ts';
import { gpusFor, misfit, type HostCapacity } from '../messages/agent/fit.ts';
import { conflict, tagsOf, type Tags } from '../messages/attempt/apart.ts';
import { hostsOf } from '../messages/attempt/gang.ts';
import { gpuCountOf, type Needs } from '../messages/attempt/needs.ts';
import type { SuiteSpec } from '../messages/run/suite-spec.ts';

export interface Place extends HostCapacity {
  readonly id: string;
  readonly hostId: string;
}

/** Tasks with the same needs. */
export interface Kind {
  readonly needs: Needs;
  readonly tasks: number;
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

/** Tasks of such needs that its resources hold beside each other, `exclusive` and `apart` aside. */
export function placesOn(place: Place, needs: Needs): number {
  if (gpuCountOf(needs) > gpusFor(place, needs).most) return 0;
  return fitting(emptied(place), needs);
}

export interface Demand {
  readonly kinds: readonly Kind[];
  readonly places: readonly Place[];
  /** What the hosts are asked to take. */
  readonly offer: Offer;
  /** How often the tasks of each kind may be there at once. */
  readonly cycles: number;
}

export interface Room {
  readonly tasks: number;
  readonly hosts: number;
}

/** As it would be if tasks with the same `apart` could share a host. */
export function roomIfNotApart(suite: SuiteSpec, demand: Demand): Room {
  const kinds = demand.kinds.map(({ needs: { apart: _, ...needs }, tasks }) => ({ needs, tasks }));
  return roomFor(suite, { ...demand, kinds });
}

/**
 * One kind after the other, as many of each as find room beside what is there already; of what cycles, of
 * one cycle after the other.
 */
export function roomFor(suite: SuiteSpec, { kinds, places, offer, cycles }: Demand): Room {
  const free = places.map(emptied);
  const hosts: Hosts = { used: new Set(), alone: new Set(), has: new Set(), avoids: new Set() };
  const placed = kinds.map(() => 0);
  // So many more cycles at once each time: few rounds fill any fleet.
  for (let [done, more] = [0, 1]; done < cycles; [done, more] = [done + more, more * 2]) {
    const before = sumOf(placed);
    for (const [at, kind] of kinds.entries()) {
      // One kind alone tells how much room there is at all.
      const tasks = kinds.length === 1 ? Infinity : kind.tasks * Math.min(more, cycles - done);
      const left = Math.min(tasks, lockedMost(suite, kind.needs) - (placed[at] ?? 0));
      const count = fill({ needs: kind.needs, left, free, hosts, offer });
      placed[at] = (placed[at] ?? 0) + count;
    }
    if (sumOf(placed) === before) break;
  }
  return { tasks: sumOf(placed), hosts: hosts.used.size };
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

interface Filling {
  readonly needs: Needs;
  readonly left: number;
  readonly free: readonly Free[];
  readonly hosts: Hosts;
  readonly offer: Offer;
}

/** What stands on hosts, by their ids: agents of one host share it. */
interface Hosts {
  readonly used: Set<string>;
  /** Those that one task has to itself. */
  readonly alone: Set<string>;
  /** With each tag of what stands there, and with each that it avoids. */
  readonly has: Set<string>;
  readonly avoids: Set<string>;
}

/** A kind, and which others it does not share a host with. */
interface Guest {
  readonly needs: Needs;
  readonly tags: Tags | null;
}

function mayUse({ used, alone, has, avoids }: Hosts, hostId: string, guest: Guest): boolean {
  const { needs, tags } = guest;
  if (alone.has(hostId) || (needs.exclusive && used.has(hostId))) return false;
  if (tags === null) return true;
  return !(
    tags.avoids.some((tag) => has.has(`${hostId} ${tag}`)) ||
    tags.has.some((tag) => avoids.has(`${hostId} ${tag}`))
  );
}

function occupy({ used, alone, has, avoids }: Hosts, hostId: string, guest: Guest): void {
  const { needs, tags } = guest;
  used.add(hostId);
  if (needs.exclusive) alone.add(hostId);
  for (const tag of tags?.has ?? []) has.add(`${hostId} ${tag}`);
  for (const tag of tags?.avoids ?? []) avoids.add(`${hostId} ${tag}`);
}

/** Puts as many as `left` on the hosts. How many found room. */
function fill({ needs, left, free, hosts, offer }: Filling): number {
  const guest = { needs, tags: tagsOf('', needs, offer.labels) };
  const size = hostsOf(needs);
  const isOpen = ({ place }: Free): boolean =>
    mayUse(hosts, place.hostId, guest) && misfit(place, needs, offer) === null;
  let placed = 0;
  while (size > 1 && placed < left) {
    const chosen = emptiest(free.filter(isOpen), needs).slice(0, size);
    if (chosen.length < size) return placed;
    for (const host of chosen) {
      take(host, needs, 1);
      occupy(hosts, host.place.hostId, guest);
    }
    placed += 1;
  }
  const isOnePerHost = needs.exclusive || conflict(guest.tags, guest.tags);
  for (const host of size > 1 ? [] : free) {
    if (placed >= left) break;
    if (!isOpen(host)) continue;
    const room = fitting(host, needs);
    const count = Math.min(left - placed, isOnePerHost ? Math.min(1, room) : room);
    if (count <= 0) continue;
    take(host, needs, count);
    occupy(hosts, host.place.hostId, guest);
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

export function lockedMost({ locks: capacities = {} }: SuiteSpec, { locks = {} }: Needs): number {
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
