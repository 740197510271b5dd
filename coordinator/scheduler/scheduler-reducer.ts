/**
 * The scheduler: which waiting task goes to which agent. Pure: its state changes only by the calls
 * below, and the same calls give the same placements.
 *
 *   waiting tasks --(by run and needs)--> lanes --(by priority and needs)--> classes
 *   attempts in flight --(by agent)--> usage --(by host id)--> who shares a machine
 *
 * 1. Higher priority first (of a run, that of its next task), then the run that has least in hand (fair
 *    share: slots, or GPUs where those are more), then runs as submitted, then the run's own order: the
 *    turn of a class is that of its first task. pick.ts says what an agent takes.
 * 2. One look at the head of each class decides, so a placement costs O(classes).
 * 3. Capacity, in attempts handed out and not ended: an exclusive one has the host (all agents of
 *    its host id) to itself, with more queued behind it on the same agent; others take its slots,
 *    CPUs and memory. Agents start what fits and queue the rest, so that a slot never waits for a round
 *    trip (ahead-policy.ts says how much); slots that are free now are filled on all agents first.
 * 4. GPUs that may be used now are counted as slots are. An agent whose GPUs are fenced is handed one
 *    attempt that needs them, after all others: it waits there, and its agent says what for.
 * 5. A lock, and a host that others must keep away from, is held from the moment an attempt is handed
 *    out: what needs one is not handed out before it can begin.
 */
import type { Labels } from '#protocol/messages/agent/labels.ts';
import { hostsOf } from '#protocol/messages/attempt/gang.ts';
import { gpuCountOf, type Needs } from '#protocol/messages/attempt/needs.ts';
import { isChoosy } from '#protocol/messages/agent/gpu-match.ts';
import type { Sequence } from '#protocol/suite/task-order.ts';
import { paceAfter } from './ahead-policy.ts';
import { addLane, beSelective, leave, review, reviewRun } from './class-index.ts';
import { resize, takeInHand } from './fair-share.ts';
import { dropHandedOut, noteHandedOut } from './handed-out.ts';
import { addCapacities, dropCapacities, hold } from './lock-table.ts';
import { pick, type Offer } from './pick.ts';
import {
  appendTasks,
  createRunQueue,
  headIndex,
  isOpen,
  laneNumber,
  moveTask,
  putBack,
  setSequence,
  takeFirst,
  takeOut,
  waitingIn,
  type QueueInput,
} from './run-queue.ts';
import {
  usageOf,
  type AgentCapacity,
  type HandedOut,
  type ScheduledLane,
  type ScheduledRun,
  type SchedulerState,
  type Usage,
} from './scheduler-state.ts';
import { countTags } from './tags.ts';

export interface Placement {
  readonly run: string;
  /** Position of the task in the expanded matrix. */
  readonly index: number;
  readonly agent: string;
}

export interface RunInput extends Omit<QueueInput, 'added'> {
  /** By index: what the priority of a task has over the run's. */
  readonly added?: Float64Array | null;
  /** How many there are of locks, as its suite says. */
  readonly locks?: NonNullable<Needs['locks']>;
  readonly suite?: string;
  readonly labels?: Labels;
  readonly isPreemptible?: boolean;
}

export function addRun(state: SchedulerState, input: RunInput): void {
  const queue = createRunQueue({ ...input, added: input.added ?? null });
  const { suite = '', labels = {}, locks, isPreemptible = false } = input;
  const run: ScheduledRun = {
    ...{ queue, suite, labels, isPreemptible, lanes: [], isOpen: isOpen(queue), ranks: new Map() },
    ...{ inHand: 0, lastGang: 0, hasReserved: false, alone: new Map(), heldLocks: new Map() },
  };
  state.runs.set(input.run, run);
  if (locks !== undefined) addCapacities(state.locks, input.run, locks);
  for (const lane of queue.lanes) addLane(state, run, lane);
  reviewRun(state, run);
}

/** Nothing of the run is served before `orderRun`. */
export function holdRun(state: SchedulerState, run: string): void {
  const scheduled = state.runs.get(run);
  if (scheduled === undefined) return;
  scheduled.queue.held = true;
  reviewRun(state, scheduled);
}

/** Its tasks are served in this order; null: as listed. */
export function orderRun(state: SchedulerState, run: string, sequence: Sequence | null): void {
  const scheduled = state.runs.get(run);
  if (scheduled === undefined) return;
  if (sequence !== null) setSequence(scheduled.queue, sequence);
  scheduled.queue.held = false;
  reviewRun(state, scheduled);
}

/** Further tasks of the run wait, behind all that there are: a cycle. */
export function addTasks(state: SchedulerState, run: string, sequence: Sequence): void {
  const scheduled = state.runs.get(run);
  if (scheduled === undefined) return;
  appendTasks(scheduled.queue, sequence);
  reviewRun(state, scheduled);
}

/** From now on it is served with this priority, and so many of its attempts at once at most. */
export function changeRun(
  state: SchedulerState,
  run: string,
  to: { readonly priority: number; readonly maxParallel: number | null },
): void {
  const scheduled = state.runs.get(run);
  if (scheduled === undefined) return;
  scheduled.queue.priority = to.priority;
  scheduled.queue.maxParallel = to.maxParallel ?? Number.MAX_SAFE_INTEGER;
  reviewRun(state, scheduled);
}

/** Forgets a run that has ended. True if others may have use for what it held of locks. */
export function dropRun(state: SchedulerState, run: string): boolean {
  const scheduled = state.runs.get(run);
  if (scheduled === undefined) return false;
  state.runs.delete(run);
  for (const lane of scheduled.lanes) leave(state, lane);
  hold(state.locks, Object.fromEntries(scheduled.heldLocks), -1);
  return dropCapacities(state.locks, run);
}

/** The task waits no longer: it was handed out, or has ended. */
export function withdraw(state: SchedulerState, run: string, index: number): void {
  const scheduled = state.runs.get(run);
  if (scheduled !== undefined && takeOut(scheduled.queue, index))
    review(state, laneAt(scheduled, index));
}

/** The task waits (again). */
export function enqueue(state: SchedulerState, run: string, index: number): void {
  const scheduled = state.runs.get(run);
  if (scheduled === undefined) return;
  putBack(scheduled.queue, index);
  review(state, laneAt(scheduled, index));
}

/** It needs that from now on. It has no attempt in hand, and waits only when it is put back. */
export function raiseTask(
  state: SchedulerState,
  run: string,
  { index, needs }: { readonly index: number; readonly needs: Needs },
): void {
  const scheduled = state.runs.get(run);
  if (scheduled === undefined) return;
  withdraw(state, run, index);
  const { lane, isNew } = moveTask(scheduled.queue, index, needs);
  if (isNew) addLane(state, scheduled, lane);
}

/** An attempt of a task of the run. */
export interface AttemptAt {
  readonly index: number;
  readonly agent: string;
}

/** It is with the agent. */
export function occupy(state: SchedulerState, run: string, at: AttemptAt): void {
  const scheduled = state.runs.get(run);
  if (scheduled === undefined) return;
  const lane = laneAt(scheduled, at.index);
  count(state, lane, { agent: at.agent, sign: 1 });
  takeInHand(state, lane, { agent: at.agent, sign: 1 });
  noteHandedOut(state, lane, at);
  if (countRank(scheduled, lane, { index: at.index, sign: 1 }) > 1) return;
  const { locks } = lane.lane.needs;
  if (locks !== undefined) holdLocks(state, scheduled, { locks, sign: 1 });
  scheduled.queue.inFlight += 1;
  lane.lane.inFlight += 1;
  review(state, lane);
}

/**
 * It has ended; `heldMs` says how long it had its slots, null where it never had any. With `survives`
 * something of it lives, and its locks are held until `giveLocksBack`, or the end of its run. True if others may have use for them.
 */
export function vacate(
  state: SchedulerState,
  run: string,
  at: AttemptAt & { readonly heldMs: number | null; readonly survives?: boolean },
): boolean {
  const scheduled = state.runs.get(run);
  if (scheduled === undefined) return false;
  const lane = laneAt(scheduled, at.index);
  const usage = count(state, lane, { agent: at.agent, sign: -1 });
  dropHandedOut(state, run, at);
  takeInHand(state, lane, { agent: at.agent, sign: -1 });
  if (at.heldMs !== null) usage.paceMs = paceAfter(usage.paceMs, at.heldMs);
  if (countRank(scheduled, lane, { index: at.index, sign: -1 }) > 0) return false;
  scheduled.queue.inFlight -= 1;
  lane.lane.inFlight -= 1;
  review(state, lane);
  return at.survives !== true && giveLocksBack(state, run, at.index);
}

/** Nothing of an attempt of the task, which has ended, uses its locks any more. True if it had any. */
export function giveLocksBack(state: SchedulerState, run: string, index: number): boolean {
  const scheduled = state.runs.get(run);
  if (scheduled === undefined) return false;
  const { locks } = laneAt(scheduled, index).lane.needs;
  if (locks === undefined) return false;
  holdLocks(state, scheduled, { locks, sign: -1 });
  return true;
}

/** How many attempts of the task are in hand, with this one or without; as many as it has hosts. */
function countRank(
  { ranks }: ScheduledRun,
  { lane: { needs } }: ScheduledLane,
  { index, sign }: { readonly index: number; readonly sign: 1 | -1 },
): number {
  if (hostsOf(needs) === 1) return sign === 1 ? 1 : 0;
  const left = (ranks.get(index) ?? 0) + sign;
  if (left <= 0) ranks.delete(index);
  else ranks.set(index, left);
  return left;
}

function holdLocks(
  state: SchedulerState,
  { heldLocks }: ScheduledRun,
  { locks, sign }: { readonly locks: NonNullable<Needs['locks']>; readonly sign: 1 | -1 },
): void {
  hold(state.locks, locks, sign);
  for (const [name, many] of Object.entries(locks))
    heldLocks.set(name, (heldLocks.get(name) ?? 0) + sign * many);
}

/**
 * Hands out what the offered agents have room for. What it returns is occupied and withdrawn. `everyone`:
 * all agents that take work, not only those that may have room; asked only where locks are waited for.
 */
export function place(
  state: SchedulerState,
  agents: readonly AgentCapacity[],
  everyone: () => readonly AgentCapacity[] = () => agents,
): Placement[] {
  const free = placeAll(state, { queued: false, agents, everyone });
  return [...free, ...placeAll(state, { queued: true, agents, everyone })];
}

/** As `place`; of what is queued, and of what begins now, one alone. */
export function placeAll(state: SchedulerState, offer: Offer): Placement[] {
  const placements: Placement[] = [];
  if (!hasWork(state)) return placements;
  let open = offer.agents.toSorted((a, b) => loadOf(state, a) - loadOf(state, b));
  while (open.length > 0) {
    open = open.filter((one) => {
      const picked = pick(state, one, offer);
      const index = picked === null ? null : takeFirst(picked.lane.lane);
      if (picked === null || index === null) return false;
      const { run } = picked.lane.run.queue;
      const agent = picked.agent.id;
      occupy(state, run, { index, agent });
      placements.push({ run, index, agent });
      return true;
    });
  }
  return placements;
}

/**
 * Hands out one task, if it is the next of its run with such needs and has its turn on one of the agents, which
 * must have room for it now: queued behind what runs there it could wait longer than in its turn. Null: nothing
 * is changed.
 */
export function placeTask(
  state: SchedulerState,
  { run, index }: { readonly run: string; readonly index: number },
  agents: readonly AgentCapacity[],
): Placement | null {
  const sorted = agents.toSorted((a, b) => loadOf(state, a) - loadOf(state, b));
  const offer: Offer = { queued: false, agents: sorted, everyone: () => agents };
  for (const one of sorted) {
    const picked = pick(state, one, offer);
    const lane = picked?.lane.lane;
    if (picked === null || lane?.queue.run !== run || headIndex(lane) !== index) continue;
    takeFirst(lane);
    const agent = picked.agent.id;
    occupy(state, run, { index, agent });
    return { run, index, agent };
  }
  return null;
}

/** What `look` sees where the agents of these would not have them. */
export function without<T>(state: SchedulerState, ones: readonly HandedOut[], look: () => T): T {
  for (const { lane, agent } of ones) count(state, lane, { agent, sign: -1 });
  const seen = look();
  for (const { lane, agent } of ones) count(state, lane, { agent, sign: 1 });
  return seen;
}

/** Other agents of the same host: what one gives up, they may use. */
export function neighbours(state: SchedulerState, agent: string): Iterable<string> {
  const host = state.hostOf.get(agent);
  return (host === undefined ? undefined : state.agentsOn.get(host)) ?? [agent];
}

export function waitingTasks(state: SchedulerState): number {
  let tasks = 0;
  for (const { queue } of state.runs.values()) tasks += waitingIn(queue);
  return tasks;
}

export function inFlight(state: SchedulerState): number {
  let attempts = 0;
  for (const usage of state.usage.values()) attempts += usage.attempts;
  return attempts;
}

function hasWork(state: SchedulerState): boolean {
  for (const of of state.classes.values()) if (of.eligible.length > 0) return true;
  return false;
}

/** The agent lives on this host: call it at each registration, before the agent is offered. */
export function seat(
  state: SchedulerState,
  agent: Pick<AgentCapacity, 'id' | 'hostId' | 'slots'> & Partial<Pick<AgentCapacity, 'accepts'>>,
): void {
  resize(state, agent);
  if (agent.accepts !== undefined && agent.accepts !== null) beSelective(state);
  const before = state.hostOf.get(agent.id);
  if (before === agent.hostId) return;
  if (before !== undefined) state.agentsOn.get(before)?.delete(agent.id);
  state.hostOf.set(agent.id, agent.hostId);
  const there = state.agentsOn.get(agent.hostId) ?? new Set();
  state.agentsOn.set(agent.hostId, there.add(agent.id));
}

export function laneAt({ queue, lanes }: ScheduledRun, index: number): ScheduledLane {
  const lane = lanes[laneNumber(queue, index)];
  if (lane === undefined) throw new Error(`run ${queue.run} has no lane for its task ${index}`);
  return lane;
}

function loadOf(state: SchedulerState, agent: AgentCapacity): number {
  return (state.usage.get(agent.id)?.slots ?? 0) / agent.slots;
}

function count(
  state: SchedulerState,
  { lane: { needs }, tags }: ScheduledLane,
  { agent, sign }: { readonly agent: string; readonly sign: 1 | -1 },
): Usage {
  const usage = usageOf(state, agent);
  usage.slots += sign * needs.slots;
  usage.cpus += sign * needs.cpus;
  usage.memoryMiB += sign * (needs.memoryMiB ?? 0);
  usage.gpus += sign * gpuCountOf(needs);
  usage.attempts += sign;
  if (needs.exclusive) usage.exclusive += sign;
  if (needs.gpus !== undefined && isChoosy(needs.gpus)) countWish(usage, needs.gpus, sign);
  if (tags !== null) countTags(usage, tags, sign);
  return usage;
}

function countWish({ wishes }: Usage, needs: NonNullable<Needs['gpus']>, sign: 1 | -1): void {
  const { count: many, ...wish } = needs;
  const key = JSON.stringify(wish);
  const known = wishes.get(key) ?? { needs, count: 0 };
  known.count += sign * many;
  if (known.count === 0) wishes.delete(key);
  else wishes.set(key, known);
}
