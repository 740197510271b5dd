/**
 * Ranks of a gang that are given up on one agent and begin anew on another. Pure, as gang-state.ts.
 *
 *   its own -> lost (waits for a host) -> its own again, on another agent
 *
 * Both steps are stored events; each is taken once, in whatever order starts are read beside them.
 */
import type { GangPeer } from '#protocol/messages/attempt/gang.ts';
import type { TaskRankReplaced } from '#protocol/messages/attempt/rank-events.ts';
import type { Gang, GangRank, LostRank } from './gang-state.ts';

interface Lost extends Pick<LostRank, 'reason' | 'dueMs'> {
  readonly rank: number;
  readonly agent: string;
}

/** `task.rank_lost` was stored. What its agent has said of its end since is none of the rank's. */
export function loseRank(gang: Gang, { rank, agent, reason, dueMs }: Lost): void {
  const own = gang.ranks[rank];
  gang.gone.add(agent);
  if (own === undefined || own.lost !== null) return;
  if (own.agent !== null && own.agent !== agent) return; // it is replaced already
  vacate(gang, own, rank);
  own.agent = agent;
  own.lost = { reason, dueMs, isAsked: false };
}

/** `task.rank_replaced` was stored. False where nothing follows: the rank is over. */
export function replaceRank(
  gang: Gang,
  { rank, epoch, lost, peer }: Omit<TaskRankReplaced, 'n'>,
): boolean {
  const own = gang.ranks[rank];
  gang.gone.add(lost);
  gang.epoch = epoch;
  if (own === undefined || own.end !== null) return false;
  vacate(gang, own, rank);
  Object.assign(own, { agent: peer.agent, peer, epoch, lost: null });
  return true;
}

/** Nobody has it. */
function vacate(gang: Gang, own: GangRank, rank: number): void {
  own.start = 'no';
  own.revoke = 'no';
  own.isGivenUp = false;
  own.ready.clear();
  own.end = null;
  const at = gang.ended.indexOf(rank);
  if (at >= 0) gang.ended.splice(at, 1);
}

/** Its end is not the rank's: another one has it, or will. */
export function isRankGone(gang: Gang | null, agent: string): boolean {
  if (gang === null) return false;
  return gang.gone.has(agent) || gang.ranks.some((own) => own.agent === agent && own.isGivenUp);
}

/** Where all of them are now; null before any start was read or sent. */
export function peersOf({ peers, ranks }: Gang): GangPeer[] | null {
  return peers?.map((peer, rank) => ranks[rank]?.peer ?? peer) ?? null;
}

/** Ranks that wait for a host. */
export function lostRanksOf({ ranks }: Gang): { rank: number; lost: LostRank; agent: string }[] {
  return ranks.flatMap(({ lost, agent, end }, rank) =>
    lost === null || agent === null || end !== null ? [] : [{ rank, lost, agent }],
  );
}
