/**
 * Why a task does not run, and why an agent has room while work waits: what the scheduler would say now,
 * by the same policies that place. Pure, and changes nothing.
 */
import { taskView } from '#protocol/fold/task-view.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import type {
  AgentExplanation,
  ExplainReply,
  ExplainRequest,
  RunExplanation,
  TaskExplanation,
  TaskReason,
} from '#protocol/messages/run/explain.ts';
import { raisedText } from '#protocol/suite/raised-needs.ts';
import { taskNeeds } from '#protocol/suite/task-needs.ts';
import type { Preemptor } from '#protocol/messages/run/command.ts';
import { capacityOf, joinedAgents } from '../../fleet/fleet-reducer.ts';
import type { RunEntry, TaskEntry } from '../../runs/run-state.ts';
import { headIndex, isOpen, waitingIn } from '../../scheduler/run-queue.ts';
import { laneAt } from '../../scheduler/scheduler-reducer.ts';
import { usageOf, type ScheduledLane } from '../../scheduler/scheduler-state.ts';
import { agentReason, closedReason } from './agent-reason.ts';
import { failingReason } from '../hosts/failing-hosts.ts';
import { gangWait } from '../gangs/gang-wait.ts';
import { agentsOf, rankReasons, replacingReason } from './replacing-rank.ts';
import type { CoreState } from '../core-state.ts';
import { heldBackOf, heldReason } from './held-back.ts';
import { misfitOfTask } from './unplaceable.ts';

/** Throws `not_found` for what is not there. */
export function explain(state: CoreState, request: ExplainRequest): ExplainReply {
  if ('agent' in request) return explainAgent(state, request.agent);
  const run = state.runs.get(request.run);
  if (run === undefined) throw new MeshError('not_found', `run ${request.run} is not live`);
  return 'task' in request ? explainTask(state, run, request.task) : explainRun(state, run);
}

function explainTask(state: CoreState, run: RunEntry, id: string): TaskExplanation {
  const task = run.tasks.get(id);
  if (task === undefined) throw new MeshError('not_found', `there is no task ${run.id}/${id}`);
  const { needs, plan } = task;
  const raised = needs === null ? {} : { raised: raisedText(taskNeeds(run.suite, plan), needs) };
  return { run: run.id, task: id, ...whyOf(state, run, task), ...raised };
}

const WAITING: ReadonlySet<string> = new Set(['waiting', 'unplaceable', 'few_hosts']);
/** Only for one rank: hosts that have, or had, another are none for it. */
const REPLACING = 'replacing_rank';

function whyOf(
  state: CoreState,
  run: RunEntry,
  task: TaskEntry,
): Pick<TaskExplanation, 'reason' | 'agents'> {
  const reason = taskReason(state, run, task);
  const isWaiting = WAITING.has(reason.kind);
  const agents = isWaiting ? joinedAgents(state.fleet) : [];
  const of = { run, index: task.index };
  if (reason.kind === REPLACING) return { reason, agents: rankReasons(state, run, task) };
  return {
    reason,
    agents: agents.map((agent) => ({ agent: agent.id, reason: agentReason(state, agent, of) })),
  };
}

function taskReason(state: CoreState, run: RunEntry, task: TaskEntry): TaskReason {
  const fold = run.fold.tasks.get(task.id);
  const view = fold === undefined ? null : taskView(run.fold, fold);
  const { n } = task;
  const outcome = view?.outcome ?? null;
  if (task.phase === 'ended' && outcome !== null)
    return { kind: 'ended', outcome, reason: view?.message ?? null };
  if (task.phase === 'deciding') return { kind: 'deciding', n };
  if (task.phase === 'assigned') {
    const agents = agentsOf(run, task);
    const lost = replacingReason(state, run, task);
    if (lost !== null) return lost;
    const agent = agents[0] ?? view?.agent ?? 'unknown';
    const silent = agents.find((id) => state.fleet.agents.get(id)?.unreachable === true);
    if (silent !== undefined) return { kind: 'unknown', agent: silent, n };
    const waiting = view?.waiting ?? null;
    const at = { agent, n, ...(agents.length > 1 ? { agents } : {}) };
    if (view?.state === 'running')
      return { kind: 'running', ...at, ...(waiting === null ? {} : { waiting }) };
    const preempts = preemptedFor(state, { run: run.id, task: task.id });
    const { preemptedBy } = view ?? {};
    return {
      ...{ kind: 'handed_out', ...at, waiting },
      ...(preempts.length > 0 && { preempts }),
      ...(preemptedBy && { preemptedBy }),
    };
  }
  const held = heldReason(state, run, task);
  if (held !== null) return held;
  if (run.basis?.state === 'unread') return { kind: 'ordering', basis: run.basis.run };
  const { maxParallel } = run;
  const queue = state.scheduler.runs.get(run.id)?.queue;
  if (maxParallel !== null && queue !== undefined && queue.inFlight >= maxParallel)
    return { kind: 'max_parallel', limit: maxParallel };
  const placed = placeReason(state, run, task);
  const preemptedBy = view?.preemptedBy;
  return placed.kind === 'waiting' && preemptedBy !== undefined
    ? { ...placed, preemptedBy }
    : placed;
}

/** What is being ended to make room for the task. */
function preemptedFor({ stops }: CoreState, by: Preemptor): Preemptor[] {
  const found: Preemptor[] = [];
  for (const of of stops.values())
    for (const { data, closed } of of.stops.values()) {
      const { run, task, preemptedBy } = data;
      if (closed !== 'no' || preemptedBy === undefined || task === null) continue;
      if (preemptedBy.run === by.run && preemptedBy.task === by.task) found.push({ run, task });
    }
  return found;
}

function placeReason(state: CoreState, run: RunEntry, task: TaskEntry): TaskReason {
  const nearest = misfitOfTask(state, run, task.index);
  if (nearest === null) {
    const scheduled = state.scheduler.runs.get(run.id);
    const of = scheduled === undefined ? null : laneAt(scheduled, task.index).of;
    const mayPreempt = of !== null && state.scheduler.saved.has(of);
    const gang = gangWait(state, run, task);
    return { kind: 'waiting', ...gang, ...(mayPreempt && { mayPreempt: true }) };
  }
  const { reason, agent, hosts } = nearest;
  if (hosts !== undefined) return { kind: 'few_hosts', ...hosts };
  if (reason === null || agent === null) return { kind: 'no_agent' };
  return { kind: 'unplaceable', agent, nearest: reason };
}

/** Of one on several hosts by their ids. */

/** Counted among those that are with agents. */
const WITH_AGENTS: ReadonlySet<string> = new Set(['unknown', 'replacing_rank']);

/** Needs of so many kinds are explained one by one. */
const MOST_GROUPS = 20;

function explainRun(state: CoreState, run: RunEntry): RunExplanation {
  const scheduled = state.scheduler.runs.get(run.id);
  const waiting = (scheduled?.lanes ?? []).filter(({ lane }) => lane.waiting.count > 0);
  const groups = new Map<string, RunExplanation['groups'][number]>();
  for (const { lane } of waiting.slice(0, MOST_GROUPS)) {
    const task = run.listed[headIndex(lane) ?? 0];
    if (task === undefined) continue;
    const why = whyOf(state, run, task);
    const key = JSON.stringify(why);
    const { tasks = 0, example = task.id } = groups.get(key) ?? {};
    groups.set(key, { tasks: tasks + lane.waiting.count, example, ...why });
  }
  const queued = scheduled === undefined ? 0 : waitingIn(scheduled.queue);
  const told = [...groups.values()].reduce((sum, { tasks }) => sum + tasks, 0);
  const handedOut = scheduled?.queue.inFlight ?? 0;
  const { endedTasks: ended, listed } = run;
  const rest = Math.max(0, listed.length - ended - handedOut - queued);
  const heldBack = heldBackOf(state, run, rest);
  const held = heldBack.filter(({ reason }) => !WITH_AGENTS.has(reason.kind));
  return {
    ...{ run: run.id, tasks: listed.length, ended, handedOut },
    groups: [...groups.values()],
    more: queued - told,
    heldBack,
    other: Math.max(0, rest - held.reduce((sum, { tasks }) => sum + tasks, 0)),
  };
}

function explainAgent(state: CoreState, id: string): AgentExplanation {
  const agent = state.fleet.agents.get(id);
  const capacity = agent === undefined ? null : capacityOf(agent);
  if (agent === undefined || capacity === null)
    throw new MeshError('not_found', `no agent ${id} has joined: benchmesh agents lists them`);
  const waiting = [...state.scheduler.runs.values()]
    .flatMap(({ lanes }) => lanes.filter(({ lane }) => lane.waiting.count > 0))
    .sort((a, b) => b.of.priority - a.of.priority || a.run.queue.order - b.run.queue.order);
  const runs = new Map<string, AgentExplanation['runs'][number]>();
  for (const scheduled of waiting.filter(({ lane }) => isOpen(lane.queue))) {
    const { run: of, count, priority } = rowOf(scheduled);
    const run = state.runs.get(of);
    if (run === undefined) continue;
    const reason = agentReason(state, agent, { run, index: null, lane: scheduled });
    const key = `${of} ${priority} ${JSON.stringify(reason)}`;
    const before = runs.get(key)?.waiting ?? 0;
    runs.set(key, { run: of, priority, waiting: before + count, reason });
  }
  return {
    agent: id,
    slots: capacity.slots,
    handedOut: usageOf(state.scheduler, id).attempts,
    runs: [...runs.values()],
    heldBack: [...state.scheduler.runs.values()]
      .filter(({ queue }) => !isOpen(queue) && !queue.held && waitingIn(queue) > 0)
      .map(({ queue }) => ({
        run: queue.run,
        limit: queue.maxParallel,
        waiting: waitingIn(queue),
      })),
    closed: closedReason(agent),
    ...failingReason(state, agent),
  };
}

function rowOf({ lane, of }: ScheduledLane): { run: string; count: number; priority: number } {
  return { run: lane.queue.run, count: lane.waiting.count, priority: of.priority };
}
