/**
 * The scheduler: which waiting task goes to which agent. Pure: its state changes only by the calls
 * below, and the same calls give the same placements.
 *
 *   waiting tasks --(by run)--> queues --(by priority and needs)--> classes
 *   attempts in flight --(by agent)--> usage --(by host id)--> who shares a machine
 *
 * 1. Higher priority first (of a run, that of its next task), then runs as submitted, then the run's
 *    own order. An agent takes from the first class that could ever fit it; if there is no room for that
 *    now, nothing overtakes it.
 * 2. One look at the head of each class decides, so a placement costs O(classes).
 * 3. Capacity, in attempts handed out and not ended: an exclusive one has the host (all agents of
 *    its host id) to itself, with more queued behind it on the same agent; others take its slots
 *    and CPUs. Agents start what fits and queue the rest, so that a slot never waits for a round
 *    trip (ahead-policy.ts says how much); slots that are free now are filled on all agents first.
 * 4. GPUs that may be used now are counted as slots are. An agent whose GPUs are fenced is handed one
 *    attempt that needs them, after all others: it waits there, and its agent says what for.
 */
import { gpuCountOf, type Needs } from '#protocol/messages/attempt/attempt-spec.ts';
import type { Sequence } from '#protocol/suite/task-order.ts';
import { paceAfter } from './ahead-policy.ts';
import { lackOf, misfit } from './fit-policy.ts';
import {
  createRunQueue,
  headPriority,
  isEligible,
  isFirst,
  putBack,
  setSequence,
  takeFirst,
  takeOut,
} from './run-queue.ts';
import {
  usageOf,
  type AgentCapacity,
  type NeedClass,
  type ScheduledRun,
  type SchedulerState,
  type Usage,
} from './scheduler-state.ts';

export interface Placement {
  readonly run: string;
  /** Position of the task in the expanded matrix. */
  readonly index: number;
  readonly agent: string;
}

export function addRun(
  state: SchedulerState,
  input: {
    run: string;
    order: number;
    tasks: number;
    maxParallel: number | null;
    priority: number;
    /** By index: what the priority of a task has over the run's. */
    added?: Float64Array | null;
    needs: Needs;
  },
): void {
  const queue = createRunQueue({ ...input, added: input.added ?? null });
  const scheduled = { queue, of: join(state, headPriority(queue), input.needs) };
  state.runs.set(input.run, scheduled);
  review(state, scheduled);
}

/** One more run is of the class. */
function join({ classes }: SchedulerState, priority: number, needs: Needs): NeedClass {
  const { slots, cpus, exclusive } = needs;
  const key = `${priority}/${slots}/${cpus}/${exclusive}/${gpuCountOf(needs)}`;
  const of = classes.get(key) ?? { key, priority, needs, eligible: [], runs: 0 };
  of.runs += 1;
  classes.set(key, of);
  return of;
}

function leave({ classes }: SchedulerState, { of, queue }: ScheduledRun): void {
  const at = of.eligible.indexOf(queue);
  if (at >= 0) of.eligible.splice(at, 1);
  of.runs -= 1;
  if (of.runs === 0) classes.delete(of.key);
}

/** Nothing of the run is served before `orderRun`. */
export function holdRun(state: SchedulerState, run: string): void {
  const scheduled = state.runs.get(run);
  if (scheduled === undefined) return;
  scheduled.queue.held = true;
  review(state, scheduled);
}

/** Its tasks are served in this order; null: as listed. */
export function orderRun(state: SchedulerState, run: string, sequence: Sequence | null): void {
  const scheduled = state.runs.get(run);
  if (scheduled === undefined) return;
  if (sequence !== null) setSequence(scheduled.queue, sequence);
  scheduled.queue.held = false;
  review(state, scheduled);
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
  review(state, scheduled);
}

/** Forgets a run that has ended. */
export function dropRun(state: SchedulerState, run: string): void {
  const scheduled = state.runs.get(run);
  if (scheduled === undefined) return;
  state.runs.delete(run);
  leave(state, scheduled);
}

/** The task waits no longer: it was handed out, or has ended. */
export function withdraw(state: SchedulerState, run: string, index: number): void {
  const scheduled = state.runs.get(run);
  if (scheduled !== undefined && takeOut(scheduled.queue, index)) review(state, scheduled);
}

/** The task waits (again). */
export function enqueue(state: SchedulerState, run: string, index: number): void {
  const scheduled = state.runs.get(run);
  if (scheduled === undefined) return;
  putBack(scheduled.queue, index);
  review(state, scheduled);
}

/** An attempt of the run is with the agent. */
export function occupy(state: SchedulerState, run: string, agent: string): void {
  const scheduled = state.runs.get(run);
  if (scheduled === undefined) return;
  add(usageOf(state, agent), scheduled.of.needs, 1);
  scheduled.queue.inFlight += 1;
  review(state, scheduled);
}

/** That attempt has ended; `heldMs` says how long it had its slots, null where it never had any. */
export function vacate(
  state: SchedulerState,
  run: string,
  at: { readonly agent: string; readonly heldMs: number | null },
): void {
  const scheduled = state.runs.get(run);
  if (scheduled === undefined) return;
  const usage = usageOf(state, at.agent);
  add(usage, scheduled.of.needs, -1);
  if (at.heldMs !== null) usage.paceMs = paceAfter(usage.paceMs, at.heldMs);
  scheduled.queue.inFlight -= 1;
  review(state, scheduled);
}

/** Hands out what the offered agents have room for. What it returns is occupied and withdrawn. */
export function place(state: SchedulerState, agents: readonly AgentCapacity[]): Placement[] {
  const placements: Placement[] = [];
  if (!hasWork(state)) return placements;
  for (const queued of [false, true]) {
    let open = agents.toSorted((a, b) => loadOf(state, a) - loadOf(state, b));
    while (open.length > 0) {
      open = open.filter((agent) => {
        const scheduled = pick(state, agent, queued);
        if (scheduled === null) return false;
        const index = takeFirst(scheduled.queue);
        if (index === null) return false;
        occupy(state, scheduled.queue.run, agent.id);
        placements.push({ run: scheduled.queue.run, index, agent: agent.id });
        return true;
      });
    }
  }
  return placements;
}

/** Hands out one task, if it is the next of its run and that has its turn on one of the agents; null: nothing is changed. */
export function placeTask(
  state: SchedulerState,
  { run, index }: { readonly run: string; readonly index: number },
  agents: readonly AgentCapacity[],
): Placement | null {
  const sorted = agents.toSorted((a, b) => loadOf(state, a) - loadOf(state, b));
  for (const queued of [false, true]) {
    for (const agent of sorted) {
      const queue = pick(state, agent, queued)?.queue;
      if (queue?.run !== run || !isFirst(queue, index)) continue;
      takeOut(queue, index);
      occupy(state, run, agent.id);
      return { run, index, agent: agent.id };
    }
  }
  return null;
}

/** Other agents of the same host: what one gives up, they may use. */
export function neighbours(state: SchedulerState, agent: string): Iterable<string> {
  const host = state.hostOf.get(agent);
  return (host === undefined ? undefined : state.agentsOn.get(host)) ?? [agent];
}

export function waitingTasks(state: SchedulerState): number {
  let count = 0;
  for (const { queue } of state.runs.values()) count += queue.waiting.count;
  return count;
}

export function inFlight(state: SchedulerState): number {
  let count = 0;
  for (const usage of state.usage.values()) count += usage.attempts;
  return count;
}

function hasWork(state: SchedulerState): boolean {
  for (const of of state.classes.values()) if (of.eligible.length > 0) return true;
  return false;
}

/** Who goes first on an agent, of those that it could ever run (1); null where nobody waits for it. */
export function firstFor(state: SchedulerState, agent: AgentCapacity): NeedClass | null {
  let best: NeedClass | null = null;
  for (const of of state.classes.values()) {
    if (
      misfit(agent, of.needs) === null &&
      of.eligible.length > 0 &&
      (best === null || isBefore(of, best))
    )
      best = of;
  }
  return best;
}

function pick(state: SchedulerState, agent: AgentCapacity, queued: boolean): ScheduledRun | null {
  const best = firstFor(state, agent);
  if (best === null || lackOf(state, { agent, needs: best.needs, queued }) !== null) return null;
  const head = best.eligible[0];
  return head === undefined ? null : { queue: head, of: best };
}

function isBefore(a: NeedClass, b: NeedClass): boolean {
  if (a.priority !== b.priority) return a.priority > b.priority;
  return (a.eligible[0]?.order ?? Infinity) < (b.eligible[0]?.order ?? Infinity);
}

/** The agent lives on this host: call it at each registration, before the agent is offered. */
export function seat(state: SchedulerState, agent: Pick<AgentCapacity, 'id' | 'hostId'>): void {
  const before = state.hostOf.get(agent.id);
  if (before === agent.hostId) return;
  if (before !== undefined) state.agentsOn.get(before)?.delete(agent.id);
  state.hostOf.set(agent.id, agent.hostId);
  const there = state.agentsOn.get(agent.hostId) ?? new Set();
  state.agentsOn.set(agent.hostId, there.add(agent.id));
}

/** After each change of a queue: its class, and whether it stands among those that wait there. */
function review(state: SchedulerState, scheduled: ScheduledRun): void {
  const { queue, of } = scheduled;
  const priority = headPriority(queue);
  if (priority !== of.priority && queue.waiting.count > 0) {
    leave(state, scheduled);
    scheduled.of = join(state, priority, of.needs);
  }
  const { eligible } = scheduled.of;
  const at = eligible.indexOf(scheduled.queue);
  if (isEligible(scheduled.queue) === at >= 0) return;
  if (at >= 0) {
    eligible.splice(at, 1);
    return;
  }
  const before = eligible.findIndex((other) => other.order > scheduled.queue.order);
  eligible.splice(before === -1 ? eligible.length : before, 0, scheduled.queue);
}

function loadOf(state: SchedulerState, agent: AgentCapacity): number {
  return (state.usage.get(agent.id)?.slots ?? 0) / agent.slots;
}

function add(usage: Usage, needs: Needs, sign: 1 | -1): void {
  usage.slots += sign * needs.slots;
  usage.cpus += sign * needs.cpus;
  usage.gpus += sign * gpuCountOf(needs);
  usage.attempts += sign;
  if (needs.exclusive) usage.exclusive += sign;
}
