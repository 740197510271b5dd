/**
 * Which lanes stand in which class of need: lanes of all runs whose next task has the same priority and the
 * same needs are looked at as one. After each change of a lane its class is reviewed. Pure.
 */
import { tagsOf } from '#protocol/messages/attempt/apart.ts';
import { needsKey } from '#protocol/suite/task-needs.ts';
import { insertInTurn, turnOf } from './fair-share.ts';
import { couldRun } from './fit-policy.ts';
import { headPriority, headRank, isOpen, type Lane } from './run-queue.ts';
import type {
  AgentCapacity,
  NeedClass,
  ScheduledLane,
  ScheduledRun,
  SchedulerState,
} from './scheduler-state.ts';

/** Puts a lane of the run into its class; it stands among the run's lanes from now on. */
export function addLane(state: SchedulerState, run: ScheduledRun, lane: Lane): void {
  const { queue, labels } = run;
  const key = keyOf(state, run, lane);
  const tags = tagsOf(queue.run, lane.needs, labels);
  const of = join(state, { lane, run, key, tags }, headPriority(lane));
  run.lanes.push({ lane, run, key, tags, of });
}

/** All that placing goes by but the priority. */
function keyOf(state: SchedulerState, { suite, labels, queue }: ScheduledRun, lane: Lane): string {
  const parts = [needsKey(lane.needs)];
  if (lane.needs.apart?.key !== undefined) parts.push(queue.run);
  if (Object.keys(labels).length > 0) parts.push(JSON.stringify(labels));
  if (state.isSelective) parts.push(suite);
  return parts.join('\n');
}

function join(
  { classes }: SchedulerState,
  { lane, run, key, tags }: Omit<ScheduledLane, 'of'>,
  priority: number,
): NeedClass {
  const full = `${priority}\n${key}`;
  const of: NeedClass = classes.get(full) ?? {
    ...{ key: full, priority, needs: lane.needs, tags, suite: run.suite, labels: run.labels },
    ...{ eligible: [], lanes: 0 },
  };
  of.lanes += 1;
  classes.set(full, of);
  return of;
}

export function leave({ classes }: SchedulerState, lane: ScheduledLane): void {
  const { of } = lane;
  const at = of.eligible.indexOf(lane);
  if (at >= 0) of.eligible.splice(at, 1);
  of.lanes -= 1;
  if (of.lanes === 0) classes.delete(of.key);
}

/** After a change of what the run may do at all. */
export function reviewRun(state: SchedulerState, run: ScheduledRun): void {
  run.isOpen = isOpen(run.queue);
  for (const lane of run.lanes) review(state, lane);
}

/** After each change of a lane: its class, and whether it stands among those that wait there. */
export function review(state: SchedulerState, lane: ScheduledLane): void {
  const { run } = lane;
  if (isOpen(run.queue) !== run.isOpen) {
    reviewRun(state, run);
    return;
  }
  const isWaiting = lane.lane.waiting.count > 0;
  const priority = isWaiting ? headPriority(lane.lane) : lane.of.priority;
  if (priority !== lane.of.priority) {
    leave(state, lane);
    lane.of = join(state, lane, priority);
  }
  const { eligible } = lane.of;
  const at = eligible.indexOf(lane);
  if ((isWaiting && run.isOpen) === at >= 0) return;
  if (at >= 0) {
    eligible.splice(at, 1);
    return;
  }
  insertInTurn(eligible, lane);
}

/** An agent says for the first time what it accepts: suites are told apart from now on. */
export function beSelective(state: SchedulerState): void {
  if (state.isSelective) return;
  state.isSelective = true;
  for (const run of state.runs.values())
    for (const lane of run.lanes) {
      leave(state, lane);
      lane.key = keyOf(state, run, lane.lane);
      lane.of = join(state, lane, lane.of.priority);
      review(state, lane);
    }
}

/** Whose next task is served first. */
export function isBefore(a: NeedClass, b: NeedClass): boolean {
  if (a.priority !== b.priority) return a.priority > b.priority;
  const [first, other] = [a.eligible[0], b.eligible[0]];
  if (first === undefined || other === undefined) return first !== undefined;
  const turn = turnOf(first.run, other.run);
  if (turn !== 0) return turn < 0;
  const [rank, otherRank] = [headRank(first.lane), headRank(other.lane)];
  return rank === otherRank ? a.key < b.key : rank < otherRank;
}

/** The first after `after` (null: of all) of those that the agent could ever run and that want a place. */
export function nextFor(
  state: SchedulerState,
  agent: AgentCapacity,
  after: NeedClass | null,
): NeedClass | null {
  let best: NeedClass | null = null;
  for (const of of state.classes.values()) {
    if (of.eligible.length === 0 || !couldRun(agent, of)) continue;
    if (after !== null && !isBefore(after, of)) continue;
    if (best === null || isBefore(of, best)) best = of;
  }
  return best;
}
