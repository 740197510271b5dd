/**
 * An attempt on several hosts, folded from those of its ranks: one state, one phase, one timer (I2).
 *
 *   events of each rank --> its own AttemptFold --> the gang's
 *
 * 1. As far as the rank that is least far; of phases and progress only ranks that report any count. Forward
 *    only, like everything of an attempt (I3).
 * 2. It takes as long as its longest rank, and has ended with the last of them.
 * 3. The rank that decides is the first that has not passed; one that somebody stopped or gave back before
 *    any that failed, and never one that ended because another had (class `gang`).
 *    One that was given up on a lost host is none of them any more (replaced-ranks.ts).
 * 4. What the ranks have measured becomes one value of each metric (across-ranks.ts).
 */
import type { GangPlace } from '../messages/attempt/gang.ts';
import type { AttemptExited } from '../messages/attempt/attempt.ts';
import type { Metric } from '../messages/attempt/outcome.ts';
import { automaticAcross, metricsAcross, reportAcross, type RankFigures } from './across-ranks.ts';
import { attemptRank, createAttemptFold, type AttemptFold } from './attempt-fold.ts';
import { joinedRanks, rampMetrics, type RampFold } from './ramp-fold.ts';
import {
  everyRank,
  replacedOf,
  waitingRank,
  type Ranked,
  type ReplacedRank,
} from './replaced-ranks.ts';

export interface GangFold {
  readonly hosts: number;
  /** By rank; holes have not been heard of. */
  readonly ranks: (AttemptFold | undefined)[];
  /** Ranks in the order of their ends. */
  readonly ended: number[];
  /** Ranks that were given up on an agent, in that order; absent for none. */
  replaced?: ReplacedRank[];
  /** Of one whose ranks begin in steps. */
  ramp?: RampFold;
}

type End = Pick<AttemptExited, 'outcome' | 'class'>;

/** Which of them decides, in the order of their ends; null where all have passed, or none is left to blame. */
export function decidingEnd<E extends End>(ends: readonly E[]): E | null {
  const own = ends.filter(({ outcome, class: kind }) => outcome !== 'passed' && kind !== 'gang');
  const isMeant = ({ outcome, class: kind }: E): boolean =>
    outcome === 'stopped' || kind === 'drained' || kind === 'paused';
  return own.find(isMeant) ?? own[0] ?? null;
}

/** Every attempt that has an agent of its own: the ranks of a gang, or itself. */
export function membersOf<A extends Ranked<A>>(attempt: A): A[] {
  if (attempt.gang === undefined) return [attempt];
  return attempt.gang.ranks.filter((rank) => rank !== undefined);
}

/** The same with ranks that were given up on their agents, and begin anew elsewhere. */
export function everyoneOf<A extends Ranked<A>>(attempt: A): A[] {
  const left = attempt.gang?.replaced?.flatMap(({ fold }) => fold ?? []) ?? [];
  return [...membersOf(attempt), ...left];
}

/** Of an attempt on several hosts, by rank; nothing for any other. */
export function agentsOf(attempt: AttemptFold | null): { readonly agents?: readonly string[] } {
  if (attempt?.gang === undefined) return {};
  return { agents: membersOf(attempt).map(({ agent }) => agent) };
}

/** One of its agents is not heard, and its part of it has not ended. */
export function isOutOfReach(
  { unreachable }: { readonly unreachable: ReadonlySet<string> },
  attempt: AttemptFold,
): boolean {
  return membersOf(attempt).some(
    ({ state, agent }) => state !== 'exited' && unreachable.has(agent),
  );
}

/** A rank was accepted; returns the gang as it is with it. */
export function withRank(
  gang: AttemptFold | undefined,
  rank: AttemptFold,
  { rank: place, hosts }: GangPlace,
): AttemptFold {
  const known = gang?.gang;
  const ranks = known?.ranks ?? [];
  ranks[place] ??= rank;
  const { n, agent, host, address, acceptedMs } = ranks[0] ?? gang ?? rank;
  const fresh = createAttemptFold(n, agent, { host, address, timeMs: acceptedMs });
  const { gang: _, agent: __, host: ___, address: ____, ...rest } = gang ?? fresh;
  return { ...fresh, ...rest, agent, host, address, gang: known ?? { hosts, ranks, ended: [] } };
}

export function rankOf(attempt: AttemptFold, agent: string): AttemptFold | undefined {
  const replaced = replacedOf(attempt, agent);
  if (replaced !== undefined) return replaced.fold ?? undefined;
  return attempt.gang?.ranks.find((rank) => rank?.agent === agent);
}

/** After each event of a rank. */
export function refold(attempt: AttemptFold): void {
  const { gang } = attempt;
  if (gang === undefined) return;
  const ranks = gang.ranks.filter((rank) => rank !== undefined);
  if (ranks.length === 0) return;
  ranks.forEach((rank) => {
    const place = gang.ranks.indexOf(rank);
    if (rank.exited !== null && !gang.ended.includes(place)) gang.ended.push(place);
  });
  const isWhole = ranks.length === gang.hosts;
  const joined = ranks.slice(0, Math.max(1, joinedRanks(gang)));
  const least = (gang.ended.length === gang.hosts ? ranks : joined).reduce((a, b) =>
    attemptRank(b.state) < attemptRank(a.state) ? b : a,
  );
  const state = isWhole ? least.state : 'accepted';
  if (attemptRank(state) > attemptRank(attempt.state)) attempt.state = state;
  attempt.startedMs ??= ranks.find(({ startedMs }) => startedMs !== null)?.startedMs ?? null;
  attempt.elapsedMs = Math.max(attempt.elapsedMs, ...ranks.map(({ elapsedMs }) => elapsedMs));
  const phases = ranks.filter(({ phaseIndex }) => phaseIndex >= 0);
  const phase = phases.toSorted((a, b) => a.phaseIndex - b.phaseIndex)[0];
  if (phase !== undefined && phase.phaseIndex > attempt.phaseIndex) {
    attempt.phase = phase.phase;
    attempt.phaseIndex = phase.phaseIndex;
  }
  const reports = ranks.flatMap(({ progress }) => (progress === null ? [] : [progress]));
  if (reports.length > 0) attempt.progress = Math.max(attempt.progress ?? 0, Math.min(...reports));
  attempt.adoptions = everyoneOf(attempt).reduce((sum, { adoptions }) => sum + adoptions, 0);
  attempt.stopping ??= ranks.find(({ stopping }) => stopping !== null)?.stopping ?? null;
  attempt.waiting = waitingOf(attempt, gang, ranks);
  attempt.resources = ranks[0]?.resources ?? null;
  if (isWhole && gang.ended.length === gang.hosts) end(attempt, gang);
}

/** Nothing any more, where the task goes on without it; and no other host, where it is being ended. */
function waitingOf(
  attempt: AttemptFold,
  gang: GangFold,
  ranks: readonly AttemptFold[],
): string | null {
  if (attempt.superseded) return null;
  const lost = attempt.stopping === null ? waitingRank(attempt) : undefined;
  if (lost !== undefined) return `another host for rank ${lost.rank}: agent ${lost.agent} is lost`;
  const barrier = gang.ramp === undefined ? awaited(gang) : null;
  return ranks.find((rank) => rank.waiting !== null)?.waiting ?? barrier;
}

/** `rank 1 of 3, to begin run`: those that the ranks at the barrier wait for; null where none is at one. */
function awaited({ ranks, hosts }: GangFold): string | null {
  const barrier = ranks.find((rank) => typeof rank?.barrier === 'string')?.barrier ?? null;
  if (barrier === null) return null;
  const places = Array.from({ length: hosts }, (_, place) => place);
  const missing = places.filter((place) => ranks[place]?.barrier !== barrier);
  const who = missing.length === 0 ? 'their common start' : ranksText(missing, hosts);
  return `${who}, to begin ${barrier}`;
}

function ranksText(places: readonly number[], hosts: number): string {
  const last = places.at(-1) ?? 0;
  if (places.length === 1) return `rank ${last} of ${hosts}`;
  return `ranks ${places.slice(0, -1).join(', ')} and ${last} of ${hosts}`;
}

function end(attempt: AttemptFold, gang: GangFold): void {
  if (attempt.exited !== null) return;
  const { ranks, ended } = gang;
  const exits = ended.flatMap((place) => {
    const exited = ranks[place]?.exited;
    return exited === null || exited === undefined ? [] : [{ ...exited, place }];
  });
  const deciding = decidingEnd(exits) ?? exits.find(({ outcome }) => outcome !== 'passed');
  const [first] = exits.toSorted((a, b) => a.place - b.place);
  if (first === undefined) return;
  // What was measured of a host, and left there, is seen with its rank.
  const { place, telemetry: _, report: __, automatic: ___, ...exited } = deciding ?? first;
  const byRank = ranks.flatMap((rank) => rank?.exited ?? []);
  const report = reportAcross(byRank.flatMap((one) => one.report ?? []));
  const automatic = automaticAcross(byRank.map((one) => one.automatic ?? []));
  const stage = stageReached(gang);
  const said = exited.reason === null ? null : `rank ${place}: ${exited.reason}`;
  attempt.exited = {
    ...exited,
    reason: said,
    elapsedMs: attempt.elapsedMs,
    metrics: withStage(gang, metricsAcross(byRank.map(figuresOf))),
    ...(report === null ? {} : { report }),
    ...(automatic.length + stage.length === 0 ? {} : { automatic: [...automatic, ...stage] }),
    logBytes: exits.reduce((sum, { logBytes }) => sum + logBytes, 0),
    logGaps: [],
    proven: exits.every(({ proven }) => proven),
    survivors: exits.flatMap(({ survivors }) => survivors),
  };
  attempt.state = 'exited';
  attempt.exitedMs = Math.max(...ranks.map((rank) => rank?.exitedMs ?? 0));
}

function figuresOf({ metrics, report }: AttemptExited): RankFigures {
  return { metrics, requests: report?.requests ?? null };
}

/** What its last stage has measured stands for the whole of a ramp. */
function withStage(gang: GangFold, metrics: readonly Metric[]): Metric[] {
  const measured = rampMetrics(gang);
  const names = new Set(measured.map(({ name }) => name));
  return [...measured, ...metrics.filter(({ name }) => !names.has(name))];
}

/** How far a ramp came. */
function stageReached({ ramp }: GangFold): Metric[] {
  const last = ramp?.stages.at(-1);
  if (last === undefined) return [];
  const counted = { unit: '', direction: 'none' } as const;
  return [
    { name: 'ramp.stage', value: last.stage, ...counted },
    { name: 'ramp.ranks', value: last.ranks, ...counted },
  ];
}

type Placed<A> = Ranked<A> & Pick<AttemptFold, 'agent'>;

/** Of that rank, in their order: of one attempt also those that were given up on lost hosts. */
export function rankIn<A extends Placed<A>>(
  attempts: readonly (A | undefined)[],
  rank: number,
): A[] {
  return attempts.flatMap((attempt) =>
    attempt === undefined
      ? []
      : everyRank(attempt).flatMap((one) => (one.rank === rank ? [one.fold] : [])),
  );
}

/** The attempts of a task, of a gang those of each rank. */
export function ranksIn<A extends Placed<A>>(
  attempts: readonly (A | undefined)[],
): (readonly (A | undefined)[])[] {
  const hosts = Math.max(1, ...attempts.map((one) => one?.gang?.hosts ?? 1));
  if (hosts === 1) return [attempts];
  return Array.from({ length: hosts }, (_, rank) => rankIn(attempts, rank));
}
