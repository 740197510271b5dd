/**
 * What was handed out ahead and is better used elsewhere. Pure.
 *
 * 1. Only what waits in the queue of an agent that has more than it runs at once, and has waited there for
 *    LATE_MS: longer than work ahead is meant to (ahead-policy.ts), and than a round trip.
 * 2. For an agent that has room for it now, when nothing that waits has its turn there; or where it waits, for
 *    what has a higher priority and finds no room behind it.
 * 3. It does not go to and fro: for the agent of (2) it has a free place, where it begins; only what is handed
 *    out ahead can be taken back, and no sooner than LATE_MS after that. For (2), second, only ever what has a
 *    lower priority than what takes its place.
 * 4. A few of each group are looked at, the longest there first: what is not found now is with the next event.
 */
import { hostsOf } from '#protocol/messages/attempt/gang.ts';
import { isBefore } from './class-index.ts';
import { couldRun, lackOf } from './fit-policy.ts';
import { handedOutTo } from './handed-out.ts';
import { hasTurn, type Offer } from './pick.ts';
import { addedTo } from './run-queue.ts';
import { without } from './scheduler-reducer.ts';
import {
  usageOf,
  type AgentCapacity,
  type HandedOut,
  type NeedClass,
  type SchedulerState,
} from './scheduler-state.ts';

export const LATE_MS = 250;
/** Of each group. */
const LOOKED_AT = 16;

export interface Donors {
  readonly nowMs: number;
  readonly everyone: Offer['everyone'];
  /** Null for an agent that is not to be asked, or for no more now. */
  readonly donor: (agent: string) => AgentCapacity | null;
}

export interface Found {
  /** What to take back; null: nothing. */
  readonly one: HandedOut | null;
  /** What has not waited for long enough, and when it will have, monotonic; null: nothing. */
  readonly early: { readonly one: HandedOut; readonly atMs: number } | null;
}

const NONE: Found = { one: null, early: null };

function lateOrEarly(one: HandedOut, nowMs: number): Found {
  const atMs = one.sinceMs + LATE_MS;
  if (atMs <= nowMs) return { one, early: null };
  return atMs === Infinity ? NONE : { one: null, early: { one, atMs } };
}

/** What is found, or else the earlier of two that will be. */
function better(a: Found, b: Found): Found {
  if (a.one !== null || b.one !== null) return a.one === null ? b : a;
  return (a.early?.atMs ?? Infinity) <= (b.early?.atMs ?? Infinity) ? a : b;
}

/** As its start says, unless the priority of its run was changed since. */
export function priorityOf({ lane, index }: HandedOut): number {
  const { priority, added } = lane.run.queue;
  return priority + addedTo(added, index);
}

export function hasFreeSlot(state: SchedulerState, { id, slots }: AgentCapacity): boolean {
  const { exclusive, slots: held } = usageOf(state, id);
  return exclusive === 0 && held < slots;
}

/** For an agent with room, where `awaited` are on their way to already. */
export function findFor(
  state: SchedulerState,
  { target, awaited }: { readonly target: AgentCapacity; readonly awaited: number },
  donors: Donors,
): Found {
  let found = NONE;
  for (const group of state.unbegun.values()) {
    const [first] = group;
    if (first === undefined || !mayTake(state, { target, awaited }, first.lane.of)) continue;
    const room = { agent: target, queued: false };
    const offer = { queued: false, agents: [target], everyone: donors.everyone };
    if (!hasTurn(state, room, { of: first.lane.of, offer })) continue;
    found = better(found, lateOf(state, { group, other: target.id }, donors));
    if (found.one !== null) return { ...found, one: lastOf(state, found.one) };
  }
  return found;
}

function mayTake(
  state: SchedulerState,
  { target, awaited }: { readonly target: AgentCapacity; readonly awaited: number },
  of: NeedClass,
): boolean {
  const { slots, exclusive } = of.needs;
  if (awaited > 0 && exclusive) return false;
  if (usageOf(state, target.id).slots + (awaited + 1) * slots > target.slots) return false;
  return couldRun(target, of) && lackOf(state, { agent: target, queued: false }, of) === null;
}

function lateOf(
  state: SchedulerState,
  { group, other }: { readonly group: ReadonlySet<HandedOut>; readonly other: string },
  { donor, nowMs }: Donors,
): Found {
  let found = NONE;
  for (const one of firstOf(group, LOOKED_AT)) {
    if (found.one !== null) break;
    const capacity = one.agent === other ? null : donor(one.agent);
    if (capacity === null || !hasMoreThanItRuns(state, capacity)) continue;
    found = better(found, lateOrEarly(one, nowMs));
  }
  return found;
}

/** What its agent would begin last of those that need the same. */
function lastOf(state: SchedulerState, late: HandedOut): HandedOut {
  let last = late;
  for (const one of handedOutTo(state, late.agent)) {
    if (one.group !== late.group || one.begunMs !== null || one.isAsked) continue;
    if (one.sinceMs < Infinity && priorityOf(one) <= priorityOf(last)) last = one;
  }
  return last;
}

export function hasMoreThanItRuns(state: SchedulerState, agent: AgentCapacity): boolean {
  const { exclusive, slots, cpus, memoryMiB, gpus } = usageOf(state, agent.id);
  if (exclusive > 0) return exclusive > 1;
  const isOver = slots > agent.slots || cpus > agent.cpus || memoryMiB > agent.memoryMiB;
  return isOver || gpus > agent.counts.usable;
}

/** For the first in turn of those that wait, where it would find room behind what runs. */
export function findBefore(state: SchedulerState, { donor, nowMs }: Donors): Found {
  const first = firstWaiting(state);
  let found = NONE;
  // What may end others is not handed out ahead.
  if (first === null || state.saved.has(first)) return found;
  for (const group of state.unbegun.values()) {
    for (const one of firstOf(group, LOOKED_AT)) {
      const agent = priorityOf(one) < first.priority ? donor(one.agent) : null;
      if (agent === null || !makesRoom(state, { one, agent }, first)) continue;
      found = better(found, lateOrEarly(one, nowMs));
      if (found.one !== null) return { ...found, one: lastOf(state, found.one) };
    }
  }
  return found;
}

/** Whether the class would be handed to the agent without this, and is not with it. */
function makesRoom(
  state: SchedulerState,
  { one, agent }: { readonly one: HandedOut; readonly agent: AgentCapacity },
  of: NeedClass,
): boolean {
  if (!couldRun(agent, of) || !hasMoreThanItRuns(state, agent)) return false;
  const room = { agent, queued: true };
  if (lackOf(state, room, of) === null) return false;
  return without(state, [one], () => lackOf(state, room, of)) === null;
}

function firstWaiting(state: SchedulerState): NeedClass | null {
  let first: NeedClass | null = null;
  for (const of of state.classes.values()) {
    if (of.eligible.length === 0 || hostsOf(of.needs) > 1) continue;
    if (first === null || isBefore(of, first)) first = of;
  }
  return first;
}

/** So many of them at most. */
export function* firstOf<T>(items: Iterable<T>, most: number): Generator<T> {
  let left = most;
  for (const item of items) {
    if (left === 0) return;
    left -= 1;
    yield item;
  }
}
