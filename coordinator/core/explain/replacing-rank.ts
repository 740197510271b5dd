/** Why a rank whose host is lost has no other one yet: agent by agent, as it is looked for. Pure. */
import type { AgentReason, TaskExplanation, TaskReason } from '#protocol/messages/run/explain.ts';
import { capacityOf, joinedAgents, type AgentEntry } from '../../fleet/fleet-reducer.ts';
import { gangOf } from '../../runs/gang-state.ts';
import { lostRanksOf } from '../../runs/lost-rank-state.ts';
import { openOf } from '../../runs/run-reducer.ts';
import type { RunEntry, TaskEntry } from '../../runs/run-state.ts';
import { rankLack } from '../../scheduler/replace-policy.ts';
import { laneAt } from '../../scheduler/scheduler-reducer.ts';
import type { CoreState } from '../core-state.ts';
import { agentsOfGang } from '../gangs/may-replace.ts';
import { closedReason, lackReason } from './agent-reason.ts';
import { misfitAt } from './unplaceable.ts';

type Replacing = Extract<TaskReason, { kind: 'replacing_rank' }>;

/** Of the rank that waits first; null where none does. */
export function replacingReason(
  { nowMs }: Pick<CoreState, 'nowMs'>,
  run: RunEntry,
  task: TaskEntry,
): Replacing | null {
  const gang = gangOf(run, task);
  const [first] = gang === null ? [] : lostRanksOf(gang);
  if (first === undefined) return null;
  const { rank, agent, lost } = first;
  const leftMs = Math.max(0, Math.round(lost.dueMs - nowMs));
  const agents = agentsOf(run, task);
  return { kind: 'replacing_rank', n: task.n, rank, lost: agent, leftMs, agents };
}

/** That it is with. */
export function agentsOf(run: RunEntry, { id: task, n }: TaskEntry): string[] {
  const open = openOf(run, { task, n }).filter(({ superseded }) => superseded !== true);
  return open.map(({ agent }) => agent).sort();
}

/** Of each agent; those on hosts that have, or had, a rank of it are none for this one. */
export function rankReasons(
  state: CoreState,
  run: RunEntry,
  task: TaskEntry,
): TaskExplanation['agents'] {
  const gang = gangOf(run, task);
  const { hostOf } = state.scheduler;
  const own = gang === null ? [] : [...agentsOfGang(gang)];
  const hosts = new Set(own.map((id) => hostOf.get(id)));
  return joinedAgents(state.fleet).map((agent) => {
    const { id } = agent;
    const isOwn = own.includes(id) || (hostOf.has(id) && hosts.has(hostOf.get(id)));
    return { agent: id, reason: rankReason(state, agent, { run, task, isOwn }) };
  });
}

function rankReason(
  state: CoreState,
  agent: AgentEntry,
  {
    run,
    task: { index, id },
    isOwn,
  }: { readonly run: RunEntry; readonly task: TaskEntry; readonly isOwn: boolean },
): AgentReason {
  const closed = closedReason(agent);
  const capacity = capacityOf(agent);
  const scheduled = state.scheduler.runs.get(run.id);
  if (closed !== null || capacity === null || scheduled === undefined)
    return closed ?? { kind: 'not_heard' };
  const never = misfitAt(state, capacity, { run, index });
  if (never !== null) return never;
  if (isOwn) return { kind: 'has_rank' };
  const kept = state.scheduler.kept.find((one) => one.agent === agent.id);
  if (kept !== undefined && (kept.run !== run.id || kept.index !== index)) {
    const task = state.runs.get(kept.run)?.listed[kept.index]?.id ?? id;
    return { kind: 'reserved', run: kept.run, task };
  }
  const lane = laneAt(scheduled, index);
  const room = { agent: capacity, queued: false };
  const lack = rankLack(state.scheduler, capacity, lane.of);
  return lack === null ? { kind: 'next' } : lackReason(state, agent, { room, lane, lack });
}
