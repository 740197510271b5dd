/**
 * The current attempt of a task on several hosts: its ranks as the coordinator decides on them. Pure;
 * changed by what is stored, and by a start on its way.
 *
 * 1. Every start names all ranks, so that any one of them tells a new leader of the others.
 * 2. It is over with the last of its ranks: ended, or given up by who knows that it will never end here.
 * 3. One that ended and has not passed makes it fail: the others are to be ended (core/gang.ts).
 * 4. A rank that is replaced has another agent from then on (lost-rank-state.ts); what the one before says
 *    changes nothing.
 */
import { decidingEnd } from '#protocol/fold/gang-fold.ts';
import { hostsOf, type GangPeer, type GangPlace } from '#protocol/messages/attempt/gang.ts';
import type { AttemptEnd } from './retry-policy.ts';
import type { Progress, RunEntry, TaskEntry } from './run-state.ts';

/** A rank that was given up on its agent, and waits for another host. */
export interface LostRank {
  readonly reason: string;
  /** Then the gang ends: monotonic, and of the stream's clock while the streams are replayed. */
  dueMs: number;
  /** Where it begins anew is on its way. */
  isAsked: boolean;
}

export interface GangRank {
  agent: string | null;
  /** How many ranks were replaced when it was, with it; 0: it is the first. */
  epoch: number;
  /** Where it is since it was replaced. */
  peer: GangPeer | null;
  lost: LostRank | null;
  /** That it is lost is on its way. */
  isGivenUp: boolean;
  /** Its start; `stored` also where its agent has accepted it. */
  start: Progress;
  readonly ready: Set<string>;
  end: AttemptEnd | null;
  /** The command that ends it with the others. */
  revoke: Progress;
}

export interface Gang {
  readonly n: number;
  readonly ranks: readonly GangRank[];
  /** Null before a start was read or sent. */
  peers: readonly GangPeer[] | null;
  /** Ranks in the order of their ends. */
  readonly ended: number[];
  /** So many of its ranks were replaced. */
  epoch: number;
  /** Agents that had a rank of it which was given up there. */
  readonly gone: Set<string>;
  /** By barrier: when it opens; null while that is on its way. */
  readonly opened: Map<string, number | null>;
}

/** How many hosts a task takes at once. */
export function hostsOfTask(
  { needs: { classes, of } }: Pick<RunEntry, 'needs'>,
  { index }: Pick<TaskEntry, 'index'>,
): number {
  return hostsOf(classes[of?.[index % of.length] ?? 0] ?? {});
}

/** Of the task's current attempt. */
export function gangOf(run: RunEntry, task: TaskEntry): Gang | null {
  const gang = run.gangs.get(task.id);
  return gang?.n === task.n ? gang : null;
}

/** Of that attempt, known from now on; null where it is past. */
export function gangAt(
  run: RunEntry,
  task: TaskEntry,
  { n, hosts }: { readonly n: number; readonly hosts: number },
): Gang | null {
  const known = run.gangs.get(task.id);
  if (known !== undefined && known.n >= n) return known.n === n ? known : null;
  if (n < task.n) return null;
  const ranks = Array.from({ length: hosts }, (): GangRank => ({
    agent: null,
    epoch: 0,
    peer: null,
    lost: null,
    isGivenUp: false,
    start: 'no',
    ready: new Set(),
    end: null,
    revoke: 'no',
  }));
  const gang: Gang = {
    ...{ n, ranks, peers: null, ended: [], opened: new Map() },
    ...{ epoch: 0, gone: new Set<string>() },
  };
  run.gangs.set(task.id, gang);
  return gang;
}

/** A start was sent, or read: who all the ranks are. */
export function noteRankStart(
  gang: Gang,
  { rank, peers }: { readonly rank: number; readonly peers: readonly GangPeer[] },
  start: Progress,
): void {
  gang.peers ??= peers;
  peers.forEach(({ agent }, place) => {
    const one = gang.ranks[place];
    if (one !== undefined && !gang.gone.has(agent)) one.agent ??= agent;
  });
  const own = gang.ranks[rank];
  // Of the agent before it was replaced.
  if (own === undefined || own.lost !== null || own.agent !== peers[rank]?.agent) return;
  if (own.start !== 'stored') own.start = start;
}

/** Its agent has it. */
export function noteRankAccepted(gang: Gang, agent: string, { rank }: GangPlace): void {
  const own = gang.ranks[rank];
  if (own === undefined || gang.gone.has(agent)) return;
  own.agent ??= agent;
  if (own.agent === agent) own.start = 'stored';
}

export function rankOfAgent(gang: Gang, agent: string): number {
  return gang.ranks.findIndex((rank) => rank.agent === agent);
}

/** The first end of a rank is its end. */
export function noteRankEnd(gang: Gang, rank: number, end: AttemptEnd): void {
  const own = gang.ranks[rank];
  if (own === undefined || own.end !== null) return;
  own.end = end;
  gang.ended.push(rank);
}

/** Its start may be read after its end. */
export function hasRankEnded(gang: Gang | null, agent: string): boolean {
  const end = gang?.ranks.find((rank) => rank.agent === agent)?.end ?? null;
  return end !== null;
}

/** A rank has ended and has not passed: nothing of it goes on. */
export function isFailing({ ranks }: Gang): boolean {
  return ranks.some(({ end }) => end !== null && end.outcome !== 'passed');
}

const NEVER_STARTED: AttemptEnd = {
  outcome: 'stopped',
  stage: null,
  class: 'gang',
  reason: 'it was never started',
};

/** Ranks that nobody will start: of one that fails, or is not to be begun any more. */
export function giveUpUnstarted(gang: Gang): void {
  gang.ranks.forEach(({ start, lost }, place) => {
    if (start === 'no') noteRankEnd(gang, place, lost === null ? NEVER_STARTED : lostEnd(lost));
  });
}

/** Of a rank whose host is lost. */
export function lostEnd({ reason }: Pick<LostRank, 'reason'>): AttemptEnd {
  return { outcome: 'lost', stage: null, class: 'lost', reason };
}

/** How it ended; null while a rank has not. */
export function gangEnd({ ranks, ended }: Gang): AttemptEnd | null {
  const ends = ended.flatMap((place) => {
    const end = ranks[place]?.end;
    return end === null || end === undefined ? [] : [{ ...end, place }];
  });
  if (ends.length < ranks.length) return null;
  const deciding = decidingEnd(ends);
  if (deciding !== null) {
    const { place, outcome, stage, class: failure, reason } = deciding;
    return { outcome, stage, class: failure, reason: said(place, reason) };
  }
  const left = ends.find(({ outcome }) => outcome !== 'passed');
  if (left === undefined) return { outcome: 'passed', stage: null, class: null, reason: null };
  return { outcome: 'lost', stage: null, class: 'lost', reason: said(left.place, left.reason) };
}

function said(place: number, reason: string | null): string | null {
  return reason === null ? null : `rank ${place}: ${reason}`;
}

/** Ranks that wait there, all of them: it may open. */
export function isReady({ ranks }: Gang, barrier: string): boolean {
  return ranks.every(({ ready, end }) => end === null && ready.has(barrier));
}

/** All are over: what follows is to be decided. */
export function concludeGang(run: RunEntry, task: TaskEntry): TaskEntry | null {
  const gang = gangOf(run, task);
  if (gang === null || task.phase === 'ended' || task.phase === 'deciding') return null;
  const end = gangEnd(gang);
  if (end === null) return null;
  task.phase = 'deciding';
  run.undecided.set(task.id, end);
  return task;
}
