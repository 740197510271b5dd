/** Who is handed what next. */
import { availableAgents } from '../../fleet/fleet-reducer.ts';
import { beginAttempt, newestStop } from '../../runs/run-reducer.ts';
import type { RunEntry, TaskEntry } from '../../runs/run-state.ts';
import { hasGangs, isOverReserved, placeGangs } from '../../scheduler/gang-policy.ts';
import { noteStarting } from '../../scheduler/handed-out.ts';
import { addedTo } from '../../scheduler/run-queue.ts';
import { placeAll, placeTask, type Placement } from '../../scheduler/scheduler-reducer.ts';
import type { AgentCapacity } from '../../scheduler/scheduler-state.ts';
import { noteStart } from '../../stop/stop-reducer.ts';
import { abandonStart } from './abandon-start.ts';
import { markDirty, type Context } from '../core-state.ts';
import { startCycles } from './cycles.ts';
import { giveStarts, type StartFor } from './give-starts.ts';
import { startGang } from '../gangs/gang-start.ts';
import { placeLostRanks } from '../gangs/replace-rank.ts';
import { endPreempted, placePreempting } from './preempt.ts';
import { sayStarted, specOf, startId } from './start.ts';
import { stopsOf } from '../ends/stops.ts';
import { takeBack } from './take-back.ts';

/** Hands waiting tasks to the agents that may have room. */
export function fillAgents(context: Context): void {
  const { state } = context;
  if (!state.acting) return;
  if (isOverReserved(state.scheduler)) markDirty(state, 'all');
  const { dirty } = state;
  if (dirty !== 'all' && dirty.size === 0) return;
  state.dirty = new Set();
  let agents: readonly AgentCapacity[];
  agents = availableAgents(state.fleet, dirty === 'all' ? undefined : dirty);
  if (agents.length === 0) return;
  let all: AgentCapacity[] | null = null;
  const everyone = (): AgentCapacity[] => (all ??= availableAgents(state.fleet));
  placeLostRanks(context, everyone);
  if (hasGangs(state.scheduler)) {
    for (const placement of placeGangs(state.scheduler, everyone())) startGang(context, placement);
    agents = everyone(); // what is reserved may be others than before
  }
  const placed = (queued: boolean): Placement[] =>
    placeAll(state.scheduler, { queued, agents, everyone });
  startTasks(context, placed(false));
  startTasks(context, placePreempting(context));
  startTasks(context, placed(true));
  endPreempted(context);
  takeBack(context, agents);
  startCycles(context);
}

/** In their order; what goes to one agent goes with the first of it. */
function startTasks(context: Context, placements: readonly Placement[]): void {
  const given = placements.flatMap((placement) => begun(context, placement) ?? []);
  giveStarts(context, given);
}

/** Null where it cannot be started. */
function begun(context: Context, { run: id, index, agent }: Placement): StartFor | null {
  const run = context.state.runs.get(id);
  const task = run?.listed[index];
  if (run === undefined || task === undefined) return null;
  sayStarted(context, run);
  const afterStop = newestStop(run, task);
  const { n } = task;
  noteStarting(context.state.scheduler, id, { index, agent });
  const attempt = beginAttempt(run, { task: task.id, n, agent, afterStop, sequence: null });
  if (attempt !== null) noteStart(stopsOf(context.state, id), attempt);
  const spec = specOf(run, task);
  if (typeof spec === 'string') {
    abandonStart(context, { run: id, task: task.id, n, agent }, spec);
    return null;
  }
  const priority = run.priority + addedTo(run.added, index);
  return { agent, run: id, start: { id: startId(id, task.id, n), spec, afterStop, priority } };
}

/** The task, which waits, goes to another agent if one has room now; else it takes its turn. */
export function placeElsewhere(
  context: Context,
  run: RunEntry,
  { task, avoid }: { readonly task: TaskEntry; readonly avoid: string | undefined },
): void {
  const { state } = context;
  if (avoid === undefined || !state.acting) return;
  const others = availableAgents(state.fleet).filter(({ id }) => id !== avoid);
  const placement = placeTask(state.scheduler, { run: run.id, index: task.index }, others);
  if (placement !== null) startTasks(context, [placement]);
}

/** The task, which waits, goes to the agent that it was taken back for; false where it has no turn there now. */
export function placeTakenBack(
  context: Context,
  run: RunEntry,
  { task, to }: { readonly task: TaskEntry; readonly to: string | null },
): boolean {
  const { state } = context;
  if (to === null || !state.acting) return false;
  const agents = availableAgents(state.fleet, [to]);
  const placement = placeTask(state.scheduler, { run: run.id, index: task.index }, agents);
  if (placement !== null) startTasks(context, [placement]);
  return placement !== null;
}
