/**
 * Ranks whose hosts are lost, of tasks on several hosts. With the word that ends such a rank stored, it counts
 * as ended: the other ranks are ended with it, verified, as by any rank that fails, and what follows is decided
 * when the last of these has said so.
 *
 * 1. Where a rank was lost, others may have failed before anybody knew: they had lost their peer. So it decides,
 *    but for what somebody stopped, paused or drained.
 *    A rank that is replaced (gangs/replace-rank.ts) ends nothing.
 * 2. The word for what follows names every agent whose rank has told no end: a stop asks for these (I5).
 */
import type { AttemptEnd } from '../../runs/retry-policy.ts';
import { gangOf, lostEnd, noteRankEnd, rankOfAgent, type Gang } from '../../runs/gang-state.ts';
import { mayReplace } from '../gangs/may-replace.ts';
import { isStopped, keyOf, openOf } from '../../runs/run-reducer.ts';
import type { OpenAttempt, RunEntry, TaskEntry } from '../../runs/run-state.ts';

export const lostReason = (agent: string): string => `agent ${agent} was not heard any more`;

/** Under a stop that nobody answers for it. */
export function forgottenEnd(agent: string): AttemptEnd & { readonly outcome: 'stopped' } {
  const reason = `agent ${agent} was forgotten: whether it is dead was not verified`;
  return { outcome: 'stopped', stage: null, class: null, reason };
}

/** Its revoke is stored. Where it is being stopped the stop asks for it, unless nobody can answer. */
export function noteLostRank(run: RunEntry, task: TaskEntry, open: OpenAttempt): void {
  const gang = gangOf(run, task);
  const stopped = isStopped(run, task);
  if (gang?.n !== open.n || (stopped && open.gone !== true)) return;
  const { agent } = open;
  const lost = lostEnd({ reason: lostReason(agent) });
  noteRankEnd(gang, rankOfAgent(gang, agent), stopped ? forgottenEnd(agent) : lost);
}

/** After the replay, before anything of a gang is gone on with: what is lost and not to be replaced fails it. */
export function noteLostRanks(run: RunEntry): void {
  for (const [key, { sequence }] of run.revokes) {
    const open = run.open.get(key);
    const task = open === undefined ? undefined : run.tasks.get(open.task);
    if (open === undefined || task?.phase !== 'assigned' || sequence === null) continue;
    if (open.superseded !== true && !mayReplace(run, task, open)) noteLostRank(run, task, open);
  }
}

/**
 * The agent whose loss decides for the current attempt, which has ended as given; null: none does. Also where
 * that agent was back, and had read its revoke, before this leader knew.
 */
export function lostAgentOf(run: RunEntry, task: TaskEntry, end: AttemptEnd): string | null {
  const gang = gangOf(run, task);
  if (gang !== null) return lostOfGang(run, task, { gang, end });
  const revoked = run.revokes.get(keyOf(run, task, { n: task.n, agent: '' }));
  return end.outcome === 'lost' ? (revoked?.agent ?? null) : null;
}

function lostOfGang(
  run: RunEntry,
  task: TaskEntry,
  { gang, end }: { readonly gang: Gang; readonly end: AttemptEnd },
): string | null {
  if (!['lost', 'failed', 'timed_out'].includes(end.outcome) || end.class === 'drained')
    return null;
  const given = gang.ended.flatMap((place) => {
    const { agent = null, end: own = null } = gang.ranks[place] ?? {};
    if (agent === null || !run.revokes.has(keyOf(run, task, { n: gang.n, agent }))) return [];
    return [{ agent, isLost: own?.outcome === 'lost' }];
  });
  const lost = given.find(({ isLost }) => isLost) ?? (end.outcome === 'lost' ? given[0] : null);
  return lost?.agent ?? null;
}

/** Of a gang that is over: agents whose ranks have told no end; nothing for a task on one host. */
export function unheardRanks(run: RunEntry, task: TaskEntry): { without?: string[] } {
  if (gangOf(run, task) === null) return {};
  const left = openOf(run, { task: task.id, n: task.n }).filter(({ exited }) => !exited);
  return left.length === 0 ? {} : { without: left.map(({ agent }) => agent).sort() };
}
