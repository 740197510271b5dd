/**
 * Why a task does not run, and why an agent has room while work waits: what the scheduler would say now,
 * by the same policies that place. Pure, and changes nothing.
 */
import { gpuCountOf, type Needs } from '#protocol/messages/attempt/attempt-spec.ts';
import { taskView } from '#protocol/fold/task-view.ts';
import { shortGpuName } from '#protocol/messages/agent/gpu-names.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import type {
  AgentExplanation,
  AgentReason,
  ExplainReply,
  ExplainRequest,
  TaskExplanation,
  TaskReason,
} from '#protocol/messages/run/explain.ts';
import { capacityOf, isAvailable, type AgentEntry } from '../fleet/fleet-reducer.ts';
import { isPaused, isStopped } from '../runs/run-reducer.ts';
import type { RunEntry, TaskEntry } from '../runs/run-state.ts';
import { lackOf, misfit } from '../scheduler/fit-policy.ts';
import { isEligible, waitingBefore } from '../scheduler/run-queue.ts';
import { firstFor } from '../scheduler/scheduler-reducer.ts';
import { usageOf, type AgentCapacity } from '../scheduler/scheduler-state.ts';
import type { CoreState } from './core-state.ts';

type ListedBefore = Extract<AgentReason, { kind: 'listed_before' }>;

/** Throws `not_found` for what is not there. */
export function explain(state: CoreState, request: ExplainRequest): ExplainReply {
  return 'agent' in request
    ? explainAgent(state, request.agent)
    : explainTask(state, request.run, request.task);
}

function explainTask(state: CoreState, id: string, taskId: string): TaskExplanation {
  const run = state.runs.get(id);
  if (run === undefined) throw new MeshError('not_found', `run ${id} is not live`);
  const task = run.tasks.get(taskId);
  if (task === undefined) throw new MeshError('not_found', `there is no task ${id}/${taskId}`);
  const reason = taskReason(state, run, task);
  const agents = reason.kind === 'waiting' ? [...joined(state)] : [];
  return {
    run: id,
    task: taskId,
    reason,
    agents: agents.map((agent) => ({
      agent: agent.id,
      reason: agentReason(state, agent, { run, index: task.index }),
    })),
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
    const agent = agentOf(run, task) ?? view?.agent ?? 'unknown';
    if (state.fleet.agents.get(agent)?.unreachable === true) return { kind: 'unknown', agent, n };
    if (view?.state === 'running') return { kind: 'running', agent, n };
    return { kind: 'handed_out', agent, n, waiting: view?.waiting ?? null };
  }
  if (isStopped(run, task)) return { kind: 'stopping' };
  if (isPaused(run, task)) return { kind: 'paused', by: view?.paused?.by ?? 'unknown' };
  if (run.basis?.state === 'unread') return { kind: 'ordering', basis: run.basis.run };
  const { maxParallel } = run;
  const queue = state.scheduler.runs.get(run.id)?.queue;
  if (maxParallel !== null && queue !== undefined && queue.inFlight >= maxParallel)
    return { kind: 'max_parallel', limit: maxParallel };
  return joined(state).next().done === true ? { kind: 'no_agent' } : { kind: 'waiting' };
}

function agentOf(run: RunEntry, { id, n }: TaskEntry): string | null {
  for (const open of run.open.values()) if (open.task === id && open.n === n) return open.agent;
  return null;
}

function explainAgent(state: CoreState, id: string): AgentExplanation {
  const agent = state.fleet.agents.get(id);
  const capacity = agent === undefined ? null : capacityOf(agent);
  if (agent === undefined || capacity === null)
    throw new MeshError('not_found', `no agent ${id} has joined: benchmesh agents lists them`);
  const waiting = [...state.scheduler.runs.values()]
    .filter(({ queue }) => queue.waiting.count > 0)
    .sort((a, b) => b.of.priority - a.of.priority || a.queue.order - b.queue.order);
  const ready = waiting.filter(({ queue }) => isEligible(queue));
  return {
    agent: id,
    slots: capacity.slots,
    handedOut: usageOf(state.scheduler, id).attempts,
    runs: ready.flatMap(({ queue, of }) => {
      const run = state.runs.get(queue.run);
      if (run === undefined) return [];
      const reason = agentReason(state, agent, { run, index: null });
      return [{ run: queue.run, priority: of.priority, waiting: queue.waiting.count, reason }];
    }),
    heldBack: waiting
      .filter(({ queue }) => !isEligible(queue) && !queue.held)
      .map(({ queue }) => ({
        run: queue.run,
        limit: queue.maxParallel,
        waiting: queue.waiting.count,
      })),
    closed: closedReason(agent),
  };
}

function* joined({ fleet }: CoreState): Generator<AgentEntry> {
  for (const agent of fleet.agents.values()) if (agent.registration !== null) yield agent;
}

function closedReason(agent: AgentEntry): AgentReason | null {
  if (isAvailable(agent)) return null;
  if (agent.ended) return { kind: 'draining', ended: true };
  if (agent.unreachable) return { kind: 'unreachable' };
  const { cordon } = agent;
  if (cordon !== null) return { kind: 'cordoned', ...cordon };
  return agent.stopping ? { kind: 'draining' } : { kind: 'not_heard' };
}

/** Why the agent does not take the task; with no index: any task of the run. */
function agentReason(
  state: CoreState,
  agent: AgentEntry,
  { run, index }: { readonly run: RunEntry; readonly index: number | null },
): AgentReason {
  const closed = closedReason(agent);
  const capacity = capacityOf(agent);
  if (closed !== null || capacity === null) return closed ?? { kind: 'not_heard' };
  const { needs } = run.suite;
  const never = misfit(capacity, needs);
  if (never !== null)
    return { kind: 'never', of: never, needs: needed(needs, never), has: had(capacity, never) };
  const best = firstFor(state.scheduler, capacity);
  const first = best?.eligible[0];
  if (best !== null && first !== undefined && first.run !== run.id)
    return { kind: 'behind', run: first.run, priority: best.priority };
  const lack = lackOf(state.scheduler, { agent: capacity, needs, queued: true });
  if (lack === 'alone' || lack === 'taken') return { kind: lack };
  if (lack !== null) return fullReason(state, agent, { capacity, needs, of: lack });
  const queue = state.scheduler.runs.get(run.id)?.queue;
  const before = index === null || queue === undefined ? 0 : waitingBefore(queue, index);
  return before > 0 ? { kind: 'listed_before', count: before, ...orderOf(run) } : { kind: 'next' };
}

function orderOf({ suite, basis }: RunEntry): Pick<ListedBefore, 'order'> {
  if (suite.order === undefined) return {};
  const gone = basis?.state === 'gone';
  return { order: { by: suite.order.by, basis: basis?.run ?? null, gone } };
}

function fullReason(
  { scheduler }: CoreState,
  { registration }: AgentEntry,
  input: {
    readonly capacity: AgentCapacity;
    readonly needs: Needs;
    readonly of: 'slots' | 'cpus' | 'gpus';
  },
): AgentReason {
  const { capacity, needs, of } = input;
  const { usable } = capacity.gpus;
  const gpus = registration?.hardware?.gpus ?? [];
  const fences = gpus.flatMap((gpu) =>
    gpu.fence === undefined ? [] : [`${shortGpuName(gpu, gpus)}: ${gpu.fence.reason}`],
  );
  if (of === 'gpus' && fences.length > 0 && needed(needs, of) > usable)
    return { kind: 'fenced', needs: needed(needs, of), usable, fences };
  const held = usageOf(scheduler, capacity.id)[of];
  const has = of === 'gpus' ? usable : had(capacity, of);
  return { kind: 'full', of, needs: needed(needs, of), held, has };
}

function needed(needs: Needs, of: 'slots' | 'cpus' | 'gpus'): number {
  return of === 'gpus' ? gpuCountOf(needs) : needs[of];
}

function had(capacity: AgentCapacity, of: 'slots' | 'cpus' | 'gpus'): number {
  return of === 'gpus' ? capacity.gpus.most : capacity[of];
}
