/**
 * Ranks of a gang that were given up on one agent and begin anew on another, folded from the coordinator's
 * word. The gang's own state is that of those that have a rank now, and never goes back with one (I3); what the
 * others say is kept beside them.
 */
import type { TaskRankLost, TaskRankReplaced } from '../messages/attempt/rank-events.ts';
import type { Message } from '../messages/envelope.ts';
import { createAttemptFold, type AttemptFold } from './attempt-fold.ts';
import { refold } from './gang-fold.ts';
import { attemptOf } from './task-attempts.ts';
import { isLeftBehind, type TaskFold } from './task-fold.ts';

export interface ReplacedRank {
  readonly rank: number;
  readonly agent: string;
  readonly reason: string;
  /** Stream time at which it was given up. */
  readonly lostMs: number;
  /** Who has the rank since; null while a host is waited for, and where none was found. */
  by: string | null;
  /** How many ranks were replaced then, with this one; 0 before. */
  epoch: number;
  /** What is known of it there; null where it was never accepted. */
  fold: AttemptFold | null;
}

/** A rank was given up, or begins anew. Of an attempt that is past it changes nothing. */
export function applyToRanks(
  task: TaskFold,
  message: Extract<Message, { name: 'task.rank_lost' | 'task.rank_replaced' }>,
  timeMs: number,
): void {
  const { n } = message.data;
  if (n !== task.n || task.state === 'ended') return;
  // It is the current one of a task that goes on: it is packed nowhere.
  const attempt = attemptOf(task, n);
  if (message.name === 'task.rank_lost') {
    const { agent } = message.data;
    task.superseded ??= new Map();
    task.superseded.set(n, [...new Set([...(task.superseded.get(n) ?? []), agent])]);
    loseRank(attempt, message.data, timeMs);
  } else replaceRank(attempt, message.data);
  if (attempt !== null) refold(attempt);
}

function loseRank(
  attempt: AttemptFold | null,
  { rank, agent, reason }: TaskRankLost,
  lostMs: number,
): void {
  const gang = attempt?.gang;
  if (gang === undefined || attempt?.state === 'exited') return;
  const replaced = (gang.replaced ??= []);
  if (replaced.some((one) => one.agent === agent)) return;
  const fold = gang.ranks[rank];
  const isIts = fold?.agent === agent;
  replaced.push({ rank, agent, reason, lostMs, by: null, epoch: 0, fold: isIts ? fold : null });
  if (!isIts) return;
  fold.superseded = true;
  gang.ranks[rank] = undefined;
  const at = gang.ended.indexOf(rank);
  if (at >= 0) gang.ended.splice(at, 1);
}

function replaceRank(
  attempt: AttemptFold | null,
  { rank, lost, peer, epoch }: TaskRankReplaced,
): void {
  const known = replacedOf(attempt, lost);
  if (known?.rank !== rank || known.by !== null) return;
  known.by = peer.agent;
  known.epoch = epoch;
}

/** What is accepted there is no rank of the current attempt any more. */
export function isReplacedOn(task: TaskFold, at: { agent: string; n: number }): boolean {
  if (replacedOf(attemptOf(task, at.n), at.agent) !== undefined) return true;
  return at.n === task.n && task.state !== 'ended' && isLeftBehind(task, at);
}

/** It was accepted there after all. */
export function heardOf(
  replaced: ReplacedRank,
  n: number,
  accepted: { readonly host: string; readonly address: string; readonly timeMs: number },
): AttemptFold {
  replaced.fold ??= createAttemptFold(n, replaced.agent, accepted);
  replaced.fold.superseded = true;
  return replaced.fold;
}

/** Of that agent, where it had a rank that was given up there. */
export function replacedOf(attempt: AttemptFold | null, agent: string): ReplacedRank | undefined {
  return attempt?.gang?.replaced?.find((one) => one.agent === agent);
}

/** The first that waits for another host; undefined for none. */
export function waitingRank({ gang }: AttemptFold): ReplacedRank | undefined {
  return gang?.replaced?.find(({ by }) => by === null);
}

/** Of an attempt, or of a part of it, what is said of its ranks. */
export interface Ranked<A> {
  readonly gang?: {
    readonly hosts: number;
    readonly ranks: readonly (A | undefined)[];
    readonly replaced?: readonly LeftRank<A>[];
  };
}

type LeftRank<A> = Pick<ReplacedRank, 'rank' | 'agent' | 'by' | 'epoch'> & {
  readonly fold: A | null;
};

export interface RankAt<A> {
  readonly rank: number;
  readonly since: number;
  readonly fold: A;
}

/** How many ranks were replaced when that agent had one first, with it; 0 where it was among the first. */
export function sinceOf({ gang }: Ranked<unknown>, agent: string): number {
  return gang?.replaced?.find(({ by }) => by === agent)?.epoch ?? 0;
}

/** Every rank that was accepted, those that were given up too; `since` tells those of one place apart. */
export function everyRank<A extends Ranked<A> & { readonly agent: string }>(
  attempt: A,
): RankAt<A>[] {
  const { ranks = [], replaced = [] } = attempt.gang ?? {};
  const at = (fold: A | null | undefined, rank: number): RankAt<A>[] => {
    if (fold === null || fold === undefined) return [];
    return [{ rank, since: sinceOf(attempt, fold.agent), fold }];
  };
  const left = replaced.flatMap(({ rank, fold }) => at(fold, rank));
  return [...left, ...ranks.flatMap(at)].sort((a, b) => a.rank - b.rank || a.since - b.since);
}
