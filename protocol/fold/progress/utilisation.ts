/**
 * How much of what the run could have used it has used. Pure.
 *
 * A place is room for one task of the run on an agent: by its names, labels, slots, CPUs and GPUs; with `exclusive` a
 * host is one place, and all slots of it are held by one task. Slots that no task of it fits into are
 * not counted, nor is the time in which an agent could be given no work, unless the run held a place
 * there meanwhile. So it is never over 1, whatever a clock said.
 */
import type { Registration } from '../../messages/agent/host.ts';
import { wrongLabel } from '../../messages/agent/label-rules.ts';
import type { Needs } from '../../messages/attempt/needs.ts';
import { matchesGlob } from '../../messages/name-glob.ts';
import { placeOf } from '../../suite/plan.ts';
import { placesOn } from '../../suite/room.ts';
import type { RunFold } from '../run-fold.ts';
import { presences, type AgentPresence, type PresenceFold } from './presence-fold.ts';
import { lengthMs, meet, union, type Span } from './spans.ts';
import { heldPlaces, waitedUntilMs, workedSpans, type Held } from './working-time.ts';

export interface Utilisation {
  /** Busy slot-time over usable slot-time, 0 to 1; null where none was usable. */
  readonly ratio: number | null;
  /** The same while tasks of the run waited: without its tail, in which places run out of work. */
  readonly whileWaiting: number | null;
  readonly busySlotMs: number;
  readonly usableSlotMs: number;
  /** Agents of which it could use some, and those slots. */
  readonly agents: number;
  readonly slots: number;
}

/** What an agent, or with `exclusive` a host, has for the run. */
interface Ground {
  readonly agents: Set<string>;
  readonly open: Span[];
  readonly held: Held[];
  places: number;
  /** Slots that a task holds there. */
  slotsEach: number;
}

interface Measured {
  readonly busyMs: number;
  readonly usableMs: number;
}

export function utilisationOf(fold: RunFold, presence: PresenceFold): Utilisation | null {
  const { submitted } = fold;
  if (submitted === null) return null;
  const worked = workedSpans(fold);
  const grounds = groundsOf(submitted.suite.needs, presences(presence), heldPlaces(fold));
  const all = measure(grounds, worked);
  const waited = measure(grounds, meet(worked, [{ fromMs: 0, toMs: waitedUntilMs(fold) ?? 0 }]));
  const used = grounds.filter((ground) => usableMs(ground, worked) > 0);
  return {
    ratio: ratioOf(all),
    whileWaiting: ratioOf(waited),
    busySlotMs: all.busyMs,
    usableSlotMs: all.usableMs,
    agents: used.reduce((sum, { agents }) => sum + agents.size, 0),
    slots: used.reduce((sum, { places, slotsEach }) => sum + Math.max(1, places) * slotsEach, 0),
  };
}

/** Tasks that could run beside each other where work may be given now; `maxParallel` apart. */
export function placesNow({ submitted }: RunFold, presence: PresenceFold): number {
  if (submitted === null) return 0;
  return groundsOf(submitted.suite.needs, presences(presence), [])
    .filter(({ open }) => open.some(({ toMs }) => toMs === Infinity))
    .reduce((sum, { places }) => sum + places, 0);
}

function groundsOf(
  needs: Needs,
  agents: readonly AgentPresence[],
  held: readonly Held[],
): Ground[] {
  const grounds = new Map<string, Ground>();
  const groundOf = (key: string): Ground => {
    const known = grounds.get(key);
    if (known !== undefined) return known;
    const open: Span[] = [];
    const fresh: Ground = { agents: new Set(), open, held: [], places: 0, slotsEach: needs.slots };
    grounds.set(key, fresh);
    return fresh;
  };
  const keys = new Map<string, string>();
  for (const { agent, registration, open } of agents) {
    const { hostId, slots, cpus, hardware } = registration;
    const key = needs.exclusive ? `host ${hostId}` : agent;
    keys.set(agent, key);
    if (!isFor(needs, agent, registration)) continue;
    const places = placesOn(placeOf({ hostId, slots, cpus, hardware }), needs);
    if (places === 0) continue;
    const ground = groundOf(key);
    ground.agents.add(agent);
    ground.open.push(...open);
    ground.places = needs.exclusive ? 1 : places;
    if (needs.exclusive) ground.slotsEach = Math.max(ground.slotsEach, slots);
  }
  for (const one of held) {
    const ground = groundOf(keys.get(one.agent) ?? one.agent);
    ground.agents.add(one.agent);
    ground.held.push(one);
  }
  // Of an agent that began anew meanwhile the start before is not kept: it was there when it held a place.
  for (const ground of grounds.values()) {
    const first = ground.held.reduce((least, { fromMs }) => Math.min(least, fromMs), Infinity);
    const opened = ground.open.reduce((least, { fromMs }) => Math.min(least, fromMs), Infinity);
    if (first < opened && opened < Infinity) ground.open.push({ fromMs: first, toMs: opened });
  }
  return [...grounds.values()];
}

/** By its names and labels, as far as they are asked of every task. */
function isFor(needs: Needs, agent: string, { hostname, labels = {} }: Registration): boolean {
  const isNamed = (glob: string): boolean =>
    matchesGlob(glob, agent) || matchesGlob(glob, hostname);
  if (needs.host !== undefined && !needs.host.some(isNamed)) return false;
  return needs.labels === undefined || wrongLabel(needs.labels, labels) === null;
}

function measure(grounds: readonly Ground[], within: readonly Span[]): Measured {
  let [busy, usable] = [0, 0];
  for (const ground of grounds) {
    busy += busyMs(ground, within);
    usable += usableMs(ground, within);
  }
  return { busyMs: busy, usableMs: usable };
}

/** In slot-milliseconds, as the next. */
function busyMs({ held, slotsEach }: Ground, within: readonly Span[]): number {
  return held.reduce((sum, span) => sum + lengthMs(meet([span], within)) * slotsEach, 0);
}

function usableMs(ground: Ground, within: readonly Span[]): number {
  const { open, places, slotsEach } = ground;
  const openMs = lengthMs(meet(union(open), within)) * places * slotsEach;
  return Math.max(openMs, busyMs(ground, within));
}

function ratioOf({ busyMs: busy, usableMs: usable }: Measured): number | null {
  return usable === 0 ? null : busy / usable;
}
