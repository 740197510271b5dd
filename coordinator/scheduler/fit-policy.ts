/** Whether an agent has what a task needs: ever, and now. What it lacks has a name, for `explain`. Pure. */
import { gpusFor, misfit } from '#protocol/messages/agent/fit.ts';
import { conflict } from '#protocol/messages/attempt/apart.ts';
import { gpuCountOf, type Needs } from '#protocol/messages/attempt/needs.ts';
import { aheadFactor } from './ahead-policy.ts';
import { areGpusLeft, hasGpus } from './gpu-room.ts';
import { lackedLock } from './lock-table.ts';
import {
  usageOf,
  type AgentCapacity,
  type NeedClass,
  type SchedulerState,
} from './scheduler-state.ts';
import { tagInTheWay } from './tags.ts';

/**
 * - `lock`: others hold too much of one.
 * - `apart`: what is on the host must not share it with this.
 * - `alone`: it needs the host to itself, and something runs there.
 * - `taken`: an attempt there has the host to itself.
 * - the others: others hold them; of GPUs, also a fence.
 */
export type Lack = 'lock' | 'apart' | 'alone' | 'taken' | 'slots' | 'cpus' | 'memory' | 'gpus';

/** Which agents could ever run a class, as far as somebody has asked. */
const FITS = new WeakMap<NeedClass, WeakMap<AgentCapacity, boolean>>();

/** Whether it has all at all. */
export function couldRun(agent: AgentCapacity, of: NeedClass): boolean {
  const asked = FITS.get(of) ?? new WeakMap<AgentCapacity, boolean>();
  const known = asked.get(agent);
  if (known !== undefined) return known;
  const { needs, priority, suite, labels } = of;
  const fits = misfit(agent, needs, { priority, suite, labels }) === null;
  FITS.set(of, asked.set(agent, fits));
  return fits;
}

/**
 * What holds a lock, or keeps others away, from the moment it is handed out is not handed out ahead; nor is
 * what waits for several hosts.
 */
function isHandedAhead({ locks, apart, hosts }: Needs): boolean {
  return locks === undefined && apart === undefined && hosts === undefined;
}

/** How many of a class the agent would take, ahead of their start too, had it nothing else. */
export function placesAt(state: SchedulerState, agent: AgentCapacity, of: NeedClass): number {
  const { needs } = of;
  if (!couldRun(agent, of)) return 0;
  const factor = isHandedAhead(needs) ? aheadFactor(usageOf(state, agent.id).paceMs) : 1;
  if (needs.exclusive) return factor;
  const places = (has: number, each: number): number =>
    each === 0 ? Infinity : (has * factor) / each;
  const bySlots = places(agent.slots, needs.slots);
  const byRest = Math.min(
    places(agent.cpus, needs.cpus),
    places(agent.memoryMiB, needs.memoryMiB ?? 0),
  );
  const byGpus = places(gpusFor(agent, needs).all, gpuCountOf(needs));
  return Math.floor(Math.min(bySlots, byRest, byGpus));
}

export interface Room {
  readonly agent: AgentCapacity;
  /** It would wait there for its turn. */
  readonly queued: boolean;
}

/** What keeps it from the agent now; null for nothing. */
export function lackOf(
  state: SchedulerState,
  { agent, queued: mayQueue }: Room,
  { needs, tags }: Pick<NeedClass, 'needs' | 'tags'>,
): Lack | null {
  if (needs.locks !== undefined && lackedLock(state.locks, needs.locks) !== null) return 'lock';
  if (tagInTheWay(state, agent, tags) !== null) return 'apart';
  const mine = usageOf(state, agent.id);
  for (const other of state.agentsOn.get(agent.hostId) ?? []) {
    if (other === agent.id) continue;
    const usage = state.usage.get(other);
    if (usage === undefined || usage.attempts === 0) continue;
    if (needs.exclusive) return 'alone';
    if (usage.exclusive > 0) return 'taken';
  }
  const queued = mayQueue && isHandedAhead(needs);
  const factor = queued ? aheadFactor(mine.paceMs) : 1;
  if (!hasGpus(state, { agent, factor, queued }, needs.gpus)) return 'gpus';
  if (needs.exclusive) {
    if (mine.attempts !== mine.exclusive) return 'alone';
    return mine.exclusive < factor ? null : 'taken';
  }
  if (mine.exclusive > 0) return 'taken';
  if (mine.slots + needs.slots > agent.slots * factor) return 'slots';
  if (mine.cpus + needs.cpus > agent.cpus * factor) return 'cpus';
  const { memoryMiB = 0 } = needs;
  return memoryMiB > 0 && mine.memoryMiB + memoryMiB > agent.memoryMiB * factor ? 'memory' : null;
}

/**
 * A class that waits at this agent, and what for; `behind`: for room that is kept for one before it; `hosts`:
 * for more hosts, with this one reserved.
 */
export interface Blocked {
  readonly of: NeedClass;
  readonly lack: Lack | 'behind' | 'hosts';
}

/**
 * Whether a class may take a place past one that waits there. It may where it takes nothing that the
 * other waits for: of all that both need there is room for both. So what the other waits for is only ever
 * given back, and its turn comes. One that waits for a lock has no use for a place now: the lock is kept for
 * it, and then a place. Nor has one that waits for the end of what it must not be beside; but no more of
 * that comes before it.
 */
export function mayOvertake(
  state: SchedulerState,
  { agent, queued }: Room,
  { blocked, by }: { readonly blocked: Blocked; readonly by: NeedClass },
): boolean {
  if (blocked.lack === 'lock') return true;
  if (conflict(blocked.of.tags, by.tags)) return false;
  if (blocked.lack === 'apart') return true;
  const [first, second] = [blocked.of.needs, by.needs];
  if (first.exclusive || second.exclusive) return false;
  const mine = usageOf(state, agent.id);
  const isAhead = queued && isHandedAhead(first);
  const factor = isAhead ? aheadFactor(mine.paceMs) : 1;
  const isRoom = (held: number, [a = 0, b = 0]: (number | undefined)[], has: number): boolean =>
    a === 0 || b === 0 || held + a + b <= has * factor;
  return (
    isRoom(mine.slots, [first.slots, second.slots], agent.slots) &&
    isRoom(mine.cpus, [first.cpus, second.cpus], agent.cpus) &&
    isRoom(mine.memoryMiB, [first.memoryMiB, second.memoryMiB], agent.memoryMiB) &&
    areGpusLeft(state, { agent, factor }, [first.gpus, second.gpus])
  );
}

/** Nothing that takes a slot gets past it. */
export function blocksAll(state: SchedulerState, { agent, queued }: Room, at: Blocked): boolean {
  if (at.lack === 'lock' || at.lack === 'apart') return false;
  const { needs } = at.of;
  if (needs.exclusive) return true;
  const mine = usageOf(state, agent.id);
  const factor = queued && isHandedAhead(needs) ? aheadFactor(mine.paceMs) : 1;
  return mine.slots + needs.slots + 1 > agent.slots * factor;
}
