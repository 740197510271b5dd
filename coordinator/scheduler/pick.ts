/**
 * What an agent takes next. Pure.
 *
 * 1. In their turn, of those that it could ever run, the first for which it has room now. One that has
 *    no room is overtaken only by what takes nothing that it waits for (fit-policy.ts, mayOvertake), so
 *    nothing is overtaken for ever; and by no more than MOST classes of others.
 * 2. What is free of a lock is kept for the first in turn that needs it and could run somewhere: a lock
 *    goes round in turn, too.
 * 3. What takes several hosts at once takes none here; where the host is reserved for it (gang-policy.ts)
 *    it is one that waits there.
 * 4. What wants to be packed goes to the fullest agent that would take it now.
 */
import { couldRun, lackOf, mayOvertake, blocksAll, type Blocked, type Room } from './fit-policy.ts';
import { hostsOf } from '#protocol/messages/attempt/gang.ts';
import { isBefore, nextFor } from './class-index.ts';
import { capacityOfLock, freeOf } from './lock-table.ts';
import {
  usageOf,
  type AgentCapacity,
  type NeedClass,
  type ScheduledLane,
  type SchedulerState,
} from './scheduler-state.ts';

const MOST = 16;

export interface Offer {
  readonly queued: boolean;
  /** Agents that may have room. */
  readonly agents: readonly AgentCapacity[];
  /** All that take work. */
  readonly everyone: () => readonly AgentCapacity[];
}

export interface Picked {
  readonly lane: ScheduledLane;
  readonly agent: AgentCapacity;
}

/** For this agent, or for a fuller one (4); null where nothing has room here. */
export function pick(state: SchedulerState, agent: AgentCapacity, offer: Offer): Picked | null {
  const of = firstFitting(state, { agent, queued: offer.queued }, offer.everyone);
  const lane = of?.eligible[0];
  if (of === null || lane === undefined) return null;
  return { lane, agent: of.needs.place === 'pack' ? fullest(state, { of, agent }, offer) : agent };
}

/** The class whose turn it is at the agent, with room for it; null where there is none. */
function firstFitting(
  state: SchedulerState,
  room: Room,
  everyone: Offer['everyone'],
): NeedClass | null {
  const blocked = keptHere(state, room);
  if (blocked.some((at) => blocksAll(state, room, at))) return null;
  for (let of = nextFor(state, room.agent, null); of !== null;) {
    const isGang = hostsOf(of.needs) > 1;
    const at = isGang
      ? waitingHere(state, room, of)
      : blockOf(state, { room, everyone, before: blocked }, of);
    if (at === null && !isGang) return of;
    if (at !== null) {
      blocked.push(at);
      if (blocked.length > MOST || blocksAll(state, room, at)) return null;
    }
    of = nextFor(state, room.agent, of);
  }
  return null;
}

/** Ranks that this host is kept for: they go before everything (replace-policy.ts). */
export function keptHere({ kept }: SchedulerState, { agent }: Room): Blocked[] {
  return kept.flatMap(({ of, agent: id, host }) => {
    const isHere = of.needs.exclusive ? host === agent.hostId : id === agent.id;
    return isHere ? [{ of, lack: 'hosts' as const }] : [];
  });
}

/** A gang that this host is reserved for. */
export function waitingHere(state: SchedulerState, { agent }: Room, of: NeedClass): Blocked | null {
  const { reserved } = state;
  if (reserved?.of !== of) return null;
  const isHere = of.needs.exclusive
    ? reserved.hosts.has(agent.hostId)
    : reserved.agents.has(agent.id);
  return isHere ? { of, lack: 'hosts' } : null;
}

/** Whether nothing that is before it in turn would take the room it needs there. */
export function hasTurn(
  state: SchedulerState,
  room: Room,
  { of, offer }: { readonly of: NeedClass; readonly offer: Offer },
): boolean {
  const blocked = keptHere(state, room);
  const { everyone } = offer;
  for (let next = nextFor(state, room.agent, null); next !== null && next !== of;) {
    const isGang = hostsOf(next.needs) > 1;
    const at = isGang
      ? waitingHere(state, room, next)
      : blockOf(state, { room, everyone, before: blocked }, next);
    if (at === null && !isGang) return false;
    if (at !== null) blocked.push(at);
    if (blocked.length > MOST) return false;
    next = nextFor(state, room.agent, next);
  }
  return blockOf(state, { room, everyone, before: blocked }, of) === null;
}

interface Turn {
  readonly room: Room;
  readonly everyone: Offer['everyone'];
  readonly before: readonly Blocked[];
}

/** Null where nothing keeps it from the agent. */
function blockOf(
  state: SchedulerState,
  { room, everyone, before }: Turn,
  of: NeedClass,
): Blocked | null {
  const lack = lackOf(state, room, of);
  if (lack !== null) return { of, lack };
  if (room.queued && state.saved.has(of)) return { of, lack: 'behind' };
  if (keptLock(state, of, everyone) !== null) return { of, lack: 'lock' };
  const isFree = before.every((blocked) => mayOvertake(state, room, { blocked, by: of }));
  return isFree ? null : { of, lack: 'behind' };
}

/** A lock of which what is free is kept for another, and for whom; null: none. */
export function keptLock(
  state: SchedulerState,
  of: NeedClass,
  everyone: Offer['everyone'],
): { readonly lock: string; readonly by: NeedClass } | null {
  for (const [lock, count] of Object.entries(of.needs.locks ?? {})) {
    const by = firstForLock(state, lock, everyone);
    if (by === null || by === of) continue;
    if (isBefore(by, of) && count + (by.needs.locks?.[lock] ?? 0) > freeOf(state.locks, lock))
      return { lock, by };
  }
  return null;
}

/** One that needs more than there is, while a run says so, waits for that run. */
function firstForLock(
  state: SchedulerState,
  lock: string,
  everyone: Offer['everyone'],
): NeedClass | null {
  const { capacity } = capacityOfLock(state.locks, lock);
  let first: NeedClass | null = null;
  for (const of of state.classes.values()) {
    const count = of.needs.locks?.[lock];
    if (count === undefined || count > capacity || of.eligible.length === 0) continue;
    if (first !== null && !isBefore(of, first)) continue;
    if (everyone().some((agent) => couldRun(agent, of))) first = of;
  }
  return first;
}

/** Of the agents that would take the class now, the one that has the most in hand already. */
function fullest(
  state: SchedulerState,
  { of, agent }: { readonly of: NeedClass; readonly agent: AgentCapacity },
  { agents, queued, everyone }: Offer,
): AgentCapacity {
  const others = agents
    .map((one) => ({ one, fullness: fullnessOf(state, one) }))
    .filter(({ one, fullness }) => fullness > fullnessOf(state, agent) && couldRun(one, of))
    .sort((a, b) => b.fullness - a.fullness);
  const found = others.find(({ one }) => {
    const room = { agent: one, queued };
    return lackOf(state, room, of) === null && firstFitting(state, room, everyone) === of;
  });
  return found?.one ?? agent;
}

/** Of what it has most of in hand, the share. */
function fullnessOf(state: SchedulerState, agent: AgentCapacity): number {
  const { slots, cpus, memoryMiB, gpus } = usageOf(state, agent.id);
  const share = (held: number, has: number): number => (held === 0 ? 0 : held / has);
  return Math.max(
    share(slots, agent.slots),
    share(cpus, agent.cpus),
    share(memoryMiB, agent.memoryMiB),
    share(gpus, agent.counts.usable),
  );
}
