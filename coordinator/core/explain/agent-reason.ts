/** Why an agent does not take a task that waits, by the policies that place. Pure, and changes nothing. */
import { gpusFor } from '#protocol/messages/agent/fit.ts';
import { shortGpuName } from '#protocol/messages/agent/gpu-names.ts';
import { attemptKey } from '#protocol/messages/ids.ts';
import { hostsOf } from '#protocol/messages/attempt/gang.ts';
import { gpuCountOf, type Needs } from '#protocol/messages/attempt/needs.ts';
import type { AgentReason, Resource } from '#protocol/messages/run/explain.ts';
import {
  availableAgents,
  capacityOf,
  isAvailable,
  type AgentEntry,
} from '../../fleet/fleet-reducer.ts';
import type { RunEntry } from '../../runs/run-state.ts';
import { isBefore, nextFor } from '../../scheduler/class-index.ts';
import {
  lackOf,
  mayOvertake,
  type Blocked,
  type Lack,
  type Room,
} from '../../scheduler/fit-policy.ts';
import { capacityOfLock, lackedLock } from '../../scheduler/lock-table.ts';
import { keptHere, keptLock, waitingHere } from '../../scheduler/pick.ts';
import { headIndex, waitingBefore } from '../../scheduler/run-queue.ts';
import { laneAt } from '../../scheduler/scheduler-reducer.ts';
import {
  usageOf,
  type AgentCapacity,
  type NeedClass,
  type ScheduledLane,
  type SchedulerState,
} from '../../scheduler/scheduler-state.ts';
import { tagInTheWay } from '../../scheduler/tags.ts';
import type { CoreState } from '../core-state.ts';
import { misfitAt } from './unplaceable.ts';

type ListedBefore = Extract<AgentReason, { kind: 'listed_before' }>;

/** Why it takes nothing at all; null where it may. */
export function closedReason(agent: AgentEntry): AgentReason | null {
  if (isAvailable(agent)) return null;
  if (agent.ended) return { kind: 'draining', ended: true };
  if (agent.unreachable) return { kind: 'unreachable' };
  const { cordon } = agent;
  if (cordon !== null) return { kind: 'cordoned', ...cordon };
  return agent.stopping ? { kind: 'draining' } : { kind: 'not_heard' };
}

/** A task, or with no index any task of a lane of the run. */
export type Asked =
  | { readonly run: RunEntry; readonly index: number }
  | { readonly run: RunEntry; readonly index: null; readonly lane: ScheduledLane };

export function agentReason(state: CoreState, agent: AgentEntry, asked: Asked): AgentReason {
  const closed = closedReason(agent);
  const capacity = capacityOf(agent);
  const { run } = asked;
  const scheduled = state.scheduler.runs.get(run.id);
  if (closed !== null || capacity === null || scheduled === undefined)
    return closed ?? { kind: 'not_heard' };
  const lane = asked.index === null ? asked.lane : laneAt(scheduled, asked.index);
  const index = asked.index ?? headIndex(lane.lane) ?? 0;
  const never = misfitAt(state, capacity, { run, index });
  if (never !== null) return never;
  const room = { agent: capacity, queued: true };
  const before = waitingBefore(scheduled.queue, index);
  const first = firstBefore(state, { room, lane });
  const kept = keptFor(state, { room, of: lane.of });
  if (kept !== null && (first === null || first.of.priority <= kept.of.priority))
    return { kind: 'reserved', run: kept.run, task: kept.task };
  if (first !== null && first.lane.queue.run !== run.id) return behind(first, lane);
  const listed: AgentReason = { kind: 'listed_before', count: before, ...orderOf(run) };
  if (first !== null && before > 0) return listed;
  const lack = lackOf(state.scheduler, room, lane.of);
  if (lack !== null) return lackReason(state, agent, { room, lane, lack });
  const lock = keptLock(state.scheduler, lane.of, () => availableAgents(state.fleet));
  if (lock !== null) return { kind: 'lock_kept', lock: lock.lock, run: runOf(lock.by) };
  if (asked.index !== null && before > 0) return listed;
  return { kind: hostsOf(lane.of.needs) === 1 ? 'next' : 'has_room' };
}

/** The task on several hosts that has this one reserved, where it has its turn before `of`, which must not overtake it. */
function keptFor(
  { scheduler, runs }: CoreState,
  { room, of }: { readonly room: Room; readonly of: NeedClass },
): { readonly of: NeedClass; readonly run: string; readonly task: string } | null {
  const lost = keptHere(scheduler, room).find(
    (blocked) => blocked.of !== of && !mayOvertake(scheduler, room, { blocked, by: of }),
  );
  const kept = scheduler.kept.find((one) => one.of === lost?.of);
  if (lost !== undefined && kept !== undefined)
    return { of: lost.of, run: kept.run, task: runs.get(kept.run)?.listed[kept.index]?.id ?? '' };
  const { reserved } = scheduler;
  if (reserved === null || !isBefore(reserved.of, of)) return null;
  const blocked = waitingHere(scheduler, room, reserved.of);
  if (blocked === null || mayOvertake(scheduler, room, { blocked, by: of })) return null;
  const { run, index } = reserved;
  return { of: reserved.of, run, task: runs.get(run)?.listed[index]?.id ?? '' };
}

function behind({ run, of: { priority } }: ScheduledLane, own: ScheduledLane): AgentReason {
  const isSame = priority === own.of.priority && run.inHand !== own.run.inHand;
  const inHand = isSame ? { inHand: { it: run.inHand, own: own.run.inHand } } : {};
  return { kind: 'behind', run: run.queue.run, priority, ...inHand };
}

/** Who is handed out there before it, or for whom room is kept; null: nobody. */
function firstBefore(
  { scheduler }: CoreState,
  { room, lane }: { readonly room: Room; readonly lane: ScheduledLane },
): ScheduledLane | null {
  const { of } = lane;
  const head = of.eligible[0];
  for (let at = nextFor(scheduler, room.agent, null); at !== null && isBefore(at, of);) {
    const lack = lackOf(scheduler, room, at);
    const blocked: Blocked = { of: at, lack: lack ?? 'behind' };
    const isAhead = lack === null || !mayOvertake(scheduler, room, { blocked, by: of });
    // What takes several hosts takes none by itself: where it has one reserved, keptFor says so.
    if (isAhead && hostsOf(at.needs) === 1) return at.eligible[0] ?? null;
    at = nextFor(scheduler, room.agent, at);
  }
  return head === undefined || head === lane ? null : head;
}

function runOf({ eligible }: NeedClass): string {
  return eligible[0]?.lane.queue.run ?? '';
}

function orderOf({ suite, basis }: RunEntry): Pick<ListedBefore, 'order'> {
  if (suite.order === undefined) return {};
  const gone = basis?.state === 'gone';
  return { order: { by: suite.order.by, basis: basis?.run ?? null, gone } };
}

interface Lacking {
  readonly room: Room;
  readonly lane: ScheduledLane;
  readonly lack: Lack;
}

/** What it lacks now, with who holds it. */
export function lackReason(
  state: CoreState,
  agent: AgentEntry,
  { room, lane, lack }: Lacking,
): AgentReason {
  const { scheduler } = state;
  const { needs } = lane.lane;
  switch (lack) {
    case 'alone':
    case 'taken':
      return { kind: lack };
    case 'apart':
      return { kind: 'apart', from: apartFrom(scheduler, room.agent, lane) };
    case 'lock':
      return lockReason(state, needs);
    default:
      return fullReason(state, agent, { room, needs, of: lack });
  }
}

/** `label team=db`; of tasks of its own run the text that they share. */
function apartFrom(scheduler: SchedulerState, agent: AgentCapacity, lane: ScheduledLane): string {
  const tag = tagInTheWay(scheduler, agent, lane.tags) ?? '';
  const own = `${lane.lane.queue.run} `;
  return tag.startsWith(own) ? tag.slice(own.length) : tag;
}

function lockReason(state: CoreState, { locks: wanted = {} }: Needs): AgentReason {
  const { locks } = state.scheduler;
  const lock = lackedLock(locks, wanted) ?? '';
  const { capacity, by } = capacityOfLock(locks, lock);
  const held = locks.get(lock)?.held ?? 0;
  const survivors = survivorsWith(state, lock);
  return {
    ...{ kind: 'lock', lock, needs: wanted[lock] ?? 0, held, has: capacity, by: by ?? '' },
    ...(survivors.length === 0 ? {} : { survivors }),
  };
}

/** Attempts that have ended, of which processes are left that hold some of the lock. */
function survivorsWith(
  { runs, scheduler }: CoreState,
  lock: string,
): { attempt: string; agent: string }[] {
  const found: { attempt: string; agent: string }[] = [];
  for (const run of runs.values()) {
    const scheduled = scheduler.runs.get(run.id);
    for (const { task, n, agent, survives } of run.open.values()) {
      const index = run.tasks.get(task)?.index;
      if (survives !== true || scheduled === undefined || index === undefined) continue;
      if (laneAt(scheduled, index).lane.needs.locks?.[lock] === undefined) continue;
      found.push({ attempt: attemptKey({ run: run.id, task, n }), agent });
    }
  }
  return found;
}

function fullReason(
  { scheduler }: CoreState,
  { registration }: AgentEntry,
  input: { readonly room: Room; readonly needs: Needs; readonly of: Resource },
): AgentReason {
  const { room, needs, of } = input;
  const { agent } = room;
  const { usable } = gpusFor(agent, needs);
  const gpus = registration?.hardware?.gpus ?? [];
  const fences = gpus.flatMap((gpu) =>
    gpu.fence === undefined ? [] : [`${shortGpuName(gpu, gpus)}: ${gpu.fence.reason}`],
  );
  if (of === 'gpus' && fences.length > 0 && gpuCountOf(needs) > usable)
    return { kind: 'fenced', needs: gpuCountOf(needs), usable, fences };
  const { slots, cpus, memoryMiB, gpus: gpusHeld } = usageOf(scheduler, agent.id);
  switch (of) {
    case 'slots':
      return { kind: 'full', of, needs: needs.slots, held: slots, has: agent.slots };
    case 'cpus':
      return { kind: 'full', of, needs: needs.cpus, held: cpus, has: agent.cpus };
    case 'memory': {
      const { memoryMiB: wanted = 0 } = needs;
      return { kind: 'full', of, needs: wanted, held: memoryMiB, has: agent.memoryMiB };
    }
    case 'gpus':
      return { kind: 'full', of, needs: gpuCountOf(needs), held: gpusHeld, has: usable };
  }
}
