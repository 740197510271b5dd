/** Whether a rank of a gang, which is given up on its agent, may begin anew on another. Pure. */
import { rankOfAgent, gangOf, type Gang } from '../../runs/gang-state.ts';
import { lostRanksOf } from '../../runs/lost-rank-state.ts';
import { mayLoseRank } from '../../runs/lost-policy.ts';
import { isPaused, isStopped, newestStop, openOf } from '../../runs/run-reducer.ts';
import type { OpenAttempt, RunEntry, TaskEntry } from '../../runs/run-state.ts';

/**
 * Never rank 0: the others hold its address where nobody can change it. Nor where the gang is ending, or a rank
 * has done its part already.
 */
export function mayReplace(
  run: RunEntry,
  task: TaskEntry,
  { n, agent }: Pick<OpenAttempt, 'n' | 'agent'>,
): boolean {
  const gang = gangOf(run, task);
  if (run.suite.gang?.onRankLost === undefined || gang?.n !== n) return false;
  if (task.phase !== 'assigned' || rankOfAgent(gang, agent) <= 0) return false;
  const lost = lostRanksOf(gang).length;
  return mayGoOn(run, task, gang) && mayLoseRank(run.suite, task, { agent, lost });
}

/** No rank has ended, and nobody has asked for the end of any. */
export function mayGoOn(run: RunEntry, task: TaskEntry, gang: Gang): boolean {
  if (gang.ended.length > 0 || isStopped(run, task) || isPaused(run, task)) return false;
  return newestStop(run, task) <= afterStopOf(run, task);
}

/** The newest stop that the starts of its ranks knew of: one of a later rank knows of no more. */
export function afterStopOf(run: RunEntry, task: TaskEntry): number {
  const known = openOf(run, { task: task.id, n: task.n }).map(({ afterStop }) => afterStop);
  return Math.max(0, ...known);
}

/** All that have, or had, a rank of it. */
export function agentsOfGang({ ranks, gone }: Gang): Set<string> {
  return new Set([...gone, ...ranks.flatMap(({ agent }) => agent ?? [])]);
}
