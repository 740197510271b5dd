/** Tasks that no agent which has joined could ever run, whatever else runs there. Pure. */
import { misfit, nearestMisfit } from '#protocol/messages/agent/fit.ts';
import { mergedUnplaceable } from '#protocol/messages/agent/unplaceable.ts';
import type { Offer } from '#protocol/messages/agent/accepts.ts';
import type { Misfit, Unplaceable } from '#protocol/messages/run/explain.ts';
import { capacityOf, joinedAgents } from '../../fleet/fleet-reducer.ts';
import type { Raises } from '#protocol/messages/run/raise.ts';
import { raisedWithin, type RaisedTo } from '#protocol/suite/raised-needs.ts';
import type { RunEntry, TaskEntry } from '../../runs/run-state.ts';
import { addedTo, headIndex } from '../../scheduler/run-queue.ts';
import type { AgentCapacity, ScheduledRun } from '../../scheduler/scheduler-state.ts';
import { laneAt } from '../../scheduler/scheduler-reducer.ts';
import type { CoreState } from '../core-state.ts';

/** Needs of so many kinds are looked at when a run is submitted. */
const MOST = 1_000;

/** What decides of a task whether an agent accepts it. */
function offerOf(run: RunEntry, { suite, labels }: ScheduledRun, index: number): Offer {
  return { priority: run.priority + addedTo(run.added, index), suite, labels };
}

/** Why the agent can never run the task; null: it can. */
export function misfitAt(
  state: CoreState,
  agent: AgentCapacity,
  { run, index }: { readonly run: RunEntry; readonly index: number },
): Misfit | null {
  const scheduled = state.scheduler.runs.get(run.id);
  if (scheduled === undefined) return null;
  const { needs } = laneAt(scheduled, index).lane;
  return misfit(agent, needs, offerOf(run, scheduled, index));
}

/** Null where an agent that has joined could run it. */
export function misfitOfTask(
  state: CoreState,
  run: RunEntry,
  index: number,
): Omit<Unplaceable, 'tasks'> | null {
  const scheduled = state.scheduler.runs.get(run.id);
  if (scheduled === undefined) return null;
  const { needs } = laneAt(scheduled, index).lane;
  return nearestMisfit(capacities(state), needs, offerOf(run, scheduled, index));
}

/** Of a run just submitted, by why; empty where no agent has joined at all. */
export function unplaceableOf(state: CoreState, run: RunEntry): Unplaceable[] {
  const scheduled = state.scheduler.runs.get(run.id);
  const agents = capacities(state);
  if (scheduled === undefined || agents.length === 0) return [];
  const found = scheduled.lanes.slice(0, MOST).flatMap(({ lane }) => {
    const index = headIndex(lane);
    if (index === null) return [];
    const nearest = nearestMisfit(agents, lane.needs, offerOf(run, scheduled, index));
    return nearest === null ? [] : [{ tasks: lane.waiting.count, ...nearest }];
  });
  return mergedUnplaceable(found);
}

/** What it needs when it is tried again with more: as much of that as an agent that has joined could give. */
export function raisedFor(
  state: CoreState,
  run: RunEntry,
  { task, raises }: { readonly task: TaskEntry; readonly raises: Raises },
): RaisedTo {
  const scheduled = state.scheduler.runs.get(run.id);
  if (scheduled === undefined) return { kind: 'same' };
  const { needs } = laneAt(scheduled, task.index).lane;
  const offer = offerOf(run, scheduled, task.index);
  return raisedWithin(capacities(state), { needs, raises, offer });
}

function capacities(state: CoreState): AgentCapacity[] {
  return joinedAgents(state.fleet).flatMap((agent) => capacityOf(agent) ?? []);
}
