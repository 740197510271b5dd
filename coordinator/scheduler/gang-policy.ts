/**
 * Tasks that take several hosts at once, all or none. Pure.
 *
 * 1. A gang is placed where it has its turn and room now on as many hosts as it needs: it is never handed
 *    out ahead, and holds nothing while it waits. So gangs never wait for each other.
 * 2. The first in turn of those that wait, and that the hosts there are could ever run, has as many hosts
 *    reserved: those that have room for it, then those it had, then the emptiest. Only what leaves room for
 *    it is started there after it; what is before it in turn goes before it there, too: by priority, and
 *    of the same priority where its run has less in hand. All others take what is not reserved.
 * 3. So it begins at the latest when what its reserved hosts had in hand at that moment has ended, and what
 *    is before it in turn. Of the same priority no other gang has a reservation until then.
 * 4. Of runs with as much in hand the one goes first whose last gang was placed longest ago. Where there is room for
 *    one gang at a time each run has nothing in hand when its turn comes: the earlier would have all the turns.
 */
import { hostsOf } from '#protocol/messages/attempt/gang.ts';
import { isBefore } from './class-index.ts';
import { reserve } from './fair-share.ts';
import { couldRun, lackOf } from './fit-policy.ts';
import { hasTurn, type Offer } from './pick.ts';
import { headIndex, takeFirst } from './run-queue.ts';
import { occupy } from './scheduler-reducer.ts';
import {
  usageOf,
  type AgentCapacity,
  type NeedClass,
  type Reservation,
  type ScheduledLane,
  type SchedulerState,
} from './scheduler-state.ts';

export interface GangPlacement {
  readonly run: string;
  readonly index: number;
  /** By rank; on different hosts. */
  readonly agents: readonly string[];
}

/** Whether a gang waits, or has hosts reserved. */
export function hasGangs(state: SchedulerState): boolean {
  if (state.reserved !== null) return true;
  for (const of of state.classes.values())
    if (hostsOf(of.needs) > 1 && of.eligible.length > 0) return true;
  return false;
}

/** Hosts are kept for a gang that does not wait any more. */
export function isOverReserved({ reserved }: SchedulerState): boolean {
  return reserved !== null && reservedLane(reserved) === undefined;
}

function reservedLane({ of, run, index }: Reservation): ScheduledLane | undefined {
  return of.eligible.find(
    ({ lane, run: { queue } }) => queue.run === run && headIndex(lane) === index,
  );
}

/** Whose turn it is of the class (4): what has hosts reserved stays the first, as between classes. */
function firstLane({ reserved }: SchedulerState, of: NeedClass): ScheduledLane | undefined {
  const kept = reserved?.of === of ? reservedLane(reserved) : undefined;
  if (kept !== undefined) return kept;
  let [first] = of.eligible;
  for (const lane of of.eligible) {
    if (first === undefined || lane.run.inHand > first.run.inHand) break;
    if (lane.run.lastGang < first.run.lastGang) first = lane;
  }
  return first;
}

/** Hands out the gangs that have room now, of all agents that take work; what it returns is occupied. */
export function placeGangs(
  state: SchedulerState,
  everyone: readonly AgentCapacity[],
): GangPlacement[] {
  const placements: GangPlacement[] = [];
  let reserved: Reservation | null = null;
  const passed = new Set<NeedClass>();
  for (let of = nextGang(state, passed); of !== null; of = nextGang(state, passed)) {
    const found = hostsFor(state, of, everyone);
    if (found !== null && found.isReady) {
      const lane = firstLane(state, of);
      const index = lane === undefined ? null : takeFirst(lane.lane);
      if (lane === undefined || index === null) break;
      const { run } = lane.run.queue;
      if (isOf(state.reserved, run, index)) reserve(state, null);
      const agents = found.agents.map(({ id }) => id);
      state.gangs += 1;
      lane.run.lastGang = state.gangs;
      for (const agent of agents) occupy(state, run, { index, agent });
      placements.push({ run, index, agents });
      continue;
    }
    passed.add(of);
    // Those after it are looked at with what is kept for it.
    if (found !== null && reserved === null) {
      reserved = reservationOf(state, of, found.agents);
      reserve(state, reserved);
    }
  }
  reserve(state, reserved);
  return placements;
}

function nextGang(state: SchedulerState, passed: ReadonlySet<NeedClass>): NeedClass | null {
  let first: NeedClass | null = null;
  for (const of of state.classes.values()) {
    if (hostsOf(of.needs) === 1 || of.eligible.length === 0 || passed.has(of)) continue;
    if (first === null || isGangBefore(state, of, first)) first = of;
  }
  return first;
}

/** Of the same priority the one that has hosts reserved stays the first, whatever its run has in hand. */
function isGangBefore(state: SchedulerState, a: NeedClass, b: NeedClass): boolean {
  if (a.priority !== b.priority) return isBefore(a, b);
  const { reserved } = state;
  if (reserved?.of === a || reserved?.of === b) return reserved.of === a;
  const [first, other] = [firstLane(state, a)?.run, firstLane(state, b)?.run];
  if (first === undefined || other === undefined) return isBefore(a, b);
  const turn = first.inHand - other.inHand || first.lastGang - other.lastGang;
  return turn === 0 ? isBefore(a, b) : turn < 0;
}

function reservationOf(
  state: SchedulerState,
  of: NeedClass,
  agents: readonly AgentCapacity[],
): Reservation | null {
  const lane = firstLane(state, of);
  if (lane === undefined) return null;
  return {
    of,
    run: lane.run.queue.run,
    index: headIndex(lane.lane) ?? 0,
    agents: new Set(agents.map(({ id }) => id)),
    hosts: new Set(agents.map(({ hostId }) => hostId)),
  };
}

function isOf(reserved: SchedulerState['reserved'], run: string, index: number): boolean {
  return reserved?.run === run && reserved.index === index;
}

interface Candidate {
  readonly agent: AgentCapacity;
  readonly isReady: boolean;
}

/** The hosts it would have, best first; null where there are not as many that could ever run it. */
function hostsFor(
  state: SchedulerState,
  of: NeedClass,
  everyone: readonly AgentCapacity[],
): { readonly agents: AgentCapacity[]; readonly isReady: boolean } | null {
  const hosts = hostsOf(of.needs);
  const chosen = candidatesFor(state, of, everyone);
  if (chosen.length < hosts) return null;
  chosen.length = hosts;
  return {
    agents: chosen.map(({ agent }) => agent),
    isReady: chosen.every(({ isReady }) => isReady),
  };
}

/** One agent of each host that could ever run a rank of it, the best first. */
export function candidatesFor(
  state: SchedulerState,
  of: NeedClass,
  everyone: readonly AgentCapacity[],
): Candidate[] {
  const best = new Map<string, Candidate>();
  const offer: Offer = { queued: false, agents: everyone, everyone: () => everyone };
  const compare = comparison(state, of);
  for (const agent of everyone) {
    if (!couldRun(agent, of)) continue;
    const room = { agent, queued: false };
    const isReady = lackOf(state, room, of) === null && hasTurn(state, room, { of, offer });
    const known = best.get(agent.hostId);
    const one = { agent, isReady };
    if (known === undefined || compare(one, known) < 0) best.set(agent.hostId, one);
  }
  return [...best.values()].sort(compare);
}

/** With room first, then what it had reserved, then the emptiest; always in the same order. */
function comparison(state: SchedulerState, of: NeedClass): (a: Candidate, b: Candidate) => number {
  const kept = state.reserved?.of === of ? state.reserved.agents : null;
  const value = ({ agent, isReady }: Candidate): number[] => {
    const { attempts } = usageOf(state, agent.id);
    return [isReady ? 0 : 1, kept?.has(agent.id) === true ? 0 : 1, attempts / agent.slots];
  };
  return (a, b) => {
    const [mine, its] = [value(a), value(b)];
    const at = mine.findIndex((each, i) => each !== its[i]);
    if (at >= 0) return (mine[at] ?? 0) - (its[at] ?? 0);
    return a.agent.id < b.agent.id ? -1 : 1;
  };
}
