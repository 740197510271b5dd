/**
 * Runs that measure their cells until their budget ends.
 *
 *   fewer tasks of some need wait than agents take -> run.cycle_started -> the tasks of the cycle wait behind the rest
 *   the end of the run -> run.tasks_withdrawn: what of later cycles never began is none of its tasks
 *
 * 1. A cycle never waits for the stragglers of the one before: it begins while tasks still wait, so that no
 *    slot runs dry for the time of a round trip.
 *    What no agent can run, and what waits for others, holds up nothing but those of a higher priority.
 * 2. One is on its way at a time, of as many cycles as fill the agents; the run does not end before it is
 *    read.
 * 3. What is kept of a task that has ended is what is kept of every run's: its fold, and here its entry.
 *    MAX_TASKS bounds both.
 */
import { cycleTasks } from '#protocol/suite/expand.ts';
import { cycleSequence } from '#protocol/suite/task-order.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { availableAgents } from '../../fleet/fleet-reducer.ts';
import { isPaused, isStopped, mayCycle } from '../../runs/run-reducer.ts';
import { taskEntry, type RunEntry, type TaskEntry } from '../../runs/run-state.ts';
import { couldRun, placesAt } from '../../scheduler/fit-policy.ts';
import { sequenceAt, type Lane } from '../../scheduler/run-queue.ts';
import { addTasks, withdraw } from '../../scheduler/scheduler-reducer.ts';
import type { AgentCapacity, ScheduledLane } from '../../scheduler/scheduler-state.ts';
import { markDirty, publish, type Context } from '../core-state.ts';

const TASKS_PER_EVENT = 500;

/** After what waits was handed out. */
export function startCycles(context: Context): void {
  for (const run of context.state.runs.values())
    if (run.fold.cycles !== null && mayCycle(run)) startCycle(context, run);
}

function startCycle(context: Context, run: RunEntry): void {
  const { state } = context;
  const { cycles } = run.fold;
  const scheduled = state.scheduler.runs.get(run.id);
  if (cycles === null || scheduled === undefined || scheduled.queue.held) return;
  if (run.cycleAsked > cycles.begun || run.pauseSequence > run.resumedSequence) return;
  // As many wait as are handed out: the agents are looked at only when that is not so.
  const dry = scheduled.lanes.filter(({ lane }) => lane.raised === null && isDry(lane));
  if (dry.length === 0) return;
  const agents = availableAgents(state.fleet);
  const cycle = Math.max(
    ...dry.map((lane) => {
      if (isBeforeOthers(lane, agents)) return cycles.begun;
      const { waiting, size, queue } = lane.lane;
      const places = agents.reduce(
        (sum, agent) => sum + placesAt(state.scheduler, agent, lane.of),
        0,
      );
      const wanted = Math.min(places, queue.maxParallel);
      const cells = (size * cycles.cells.length) / queue.size;
      return cycleAfter({ begun: cycles.begun, cells, waiting: waiting.count, wanted });
    }),
  );
  run.cycleAsked = Math.min(cycle, cycles.most);
  if (run.cycleAsked <= cycles.begun) return;
  const data = { cycle: run.cycleAsked };
  publish(context, { subject: subjects.run(run.id), name: 'run.cycle_started', data });
}

/** Agents may take more of it than wait. */
function isDry({ waiting, inFlight }: Lane): boolean {
  return waiting.count === 0 || waiting.count < inFlight;
}

/**
 * Others of the run wait that some agent could run as well, and have a lower priority: more of this
 * would be served before them, cycle after cycle, and they never.
 */
function isBeforeOthers({ of, run }: ScheduledLane, agents: readonly AgentCapacity[]): boolean {
  return run.lanes.some(
    (other) =>
      other.of.priority < of.priority &&
      other.lane.waiting.count > 0 &&
      agents.some((agent) => couldRun(agent, of) && couldRun(agent, other.of)),
  );
}

/** The cycle with which at least as many tasks wait as are wanted, and one at least. Pure. */
export function cycleAfter(now: {
  readonly begun: number;
  readonly cells: number;
  readonly waiting: number;
  readonly wanted: number;
}): number {
  const lacking = Math.max(now.wanted, 1) - now.waiting;
  return now.begun + Math.max(0, Math.ceil(lacking / now.cells));
}

/** `run.cycle_started` was stored: what it adds waits, unless the run is paused. Its new tasks. */
export function applyCycle(context: Context, run: RunEntry): readonly TaskEntry[] {
  const { scheduler } = context.state;
  const { cycles } = run.fold;
  if (cycles === null) return [];
  const { cells, begun } = cycles;
  const from = run.listed.length;
  for (let cycle = from / cells.length + 1; cycle <= begun; cycle += 1) {
    const queue = run.basis?.state === 'read' ? scheduler.runs.get(run.id)?.queue : undefined;
    const first = queue === undefined ? null : sequenceAt(queue, cells.length);
    for (const plan of cycleTasks(cells, cycle)) addTask(run, taskEntry(plan));
    addTasks(scheduler, run.id, cycleSequence(run.suite, cells, { cycle, first }));
  }
  const fresh = run.listed.slice(from);
  for (const task of fresh)
    if (task.phase !== 'pending' || isStopped(run, task) || isPaused(run, task))
      withdraw(scheduler, run.id, task.index);
  markDirty(context.state, 'all');
  return fresh;
}

function addTask(run: RunEntry, task: TaskEntry): void {
  run.listed.push(task);
  if (!run.tasks.has(task.id)) {
    run.tasks.set(task.id, task);
    return;
  }
  task.phase = 'ended'; // two ids in 2^60 that are the same
  run.endedTasks += 1;
}

/** Nobody will ever hear of it: it belongs to a later cycle, and no agent was given it. */
export function isWithdrawable(run: RunEntry, { plan, n }: TaskEntry): boolean {
  return run.fold.cycles !== null && plan.repeat > 1 && n === 1;
}

export function publishWithdrawn(context: Context, run: string, ids: readonly string[]): void {
  for (let at = 0; at < ids.length; at += TASKS_PER_EVENT) {
    const data = { tasks: ids.slice(at, at + TASKS_PER_EVENT) };
    publish(context, { subject: subjects.run(run), name: 'run.tasks_withdrawn', data });
  }
}

/** `run.tasks_withdrawn` was stored. */
export function applyWithdrawn(context: Context, run: RunEntry, ids: readonly string[]): void {
  for (const id of ids) {
    const task = run.tasks.get(id);
    if (task === undefined || task.phase === 'ended') continue;
    task.phase = 'ended';
    run.endedTasks += 1;
    run.tasks.delete(id);
    withdraw(context.state.scheduler, run.id, task.index);
  }
}
