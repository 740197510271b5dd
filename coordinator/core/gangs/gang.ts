/**
 * A task on several hosts: started on all or none, let go together, ended together.
 *
 *   placement -> starts --> ready, of all --> barrier opened (stored) -> go, to each --> exits --> settled
 *                  \------- one has not passed -----------------> revoke, to each of the others --/
 *
 * 1. What is stored of some ranks only, because a leader ended in between, the next one completes: the
 *    starts where nothing has failed or been stopped meanwhile; a barrier's go; the revokes. Their ids are the
 *    same, so that an agent takes each once.
 * 2. A revoke is asked for when its rank's start is stored: a mailbox has one order, so no start comes after.
 *    One that is lost may be replaced, and the others go on (replace-rank.ts).
 * 3. Nothing follows before the last rank has said that it has ended (I5); of one whose host is lost, before
 *    the word that ends it is stored (lost-ranks.ts).
 */
import type { GangPeer, GangPlace } from '#protocol/messages/attempt/gang.ts';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { RAMP_STEP } from '#protocol/messages/attempt/ramp.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { gangRulesOf } from '#protocol/suite/gang-form.ts';
import { resumeOf } from '../../runs/run-files.ts';
import { beginAttempt, isPaused, isStopped, keyOf, newestStop } from '../../runs/run-reducer.ts';
import {
  concludeGang,
  gangAt,
  gangOf,
  giveUpUnstarted,
  isFailing,
  isReady,
  lostEnd,
  noteRankAccepted,
  noteRankEnd,
  noteRankStart,
  rankOfAgent,
  type Gang,
} from '../../runs/gang-state.ts';
import { isRankGone, lostRanksOf, peersOf } from '../../runs/lost-rank-state.ts';
import type { RunEntry, TaskEntry } from '../../runs/run-state.ts';
import { addedTo } from '../../scheduler/run-queue.ts';
import { noteStart, type RunStops } from '../../stop/stop-reducer.ts';
import { publish, type Context } from '../core-state.ts';
import { afterStopOf } from './may-replace.ts';

/** From the decision to the common start: the time in which every rank hears of it. */
export const LEAD_MS = 250;
/** As of starts. */
export const TTL_SECONDS = 6 * 24 * 3_600;

/** All that a start of one rank is made of. */
export interface GangStart {
  readonly spec: AttemptSpec;
  readonly peers: readonly GangPeer[];
  readonly stops: RunStops;
}

/** Starts every rank that has no start yet. */
export function startRanks(
  context: Context,
  { run, task }: { readonly run: RunEntry; readonly task: TaskEntry },
  { spec, peers, stops }: GangStart,
): void {
  const { n } = task;
  const gang = gangAt(run, task, { n, hosts: peers.length });
  if (gang === null) return;
  const { epoch } = gang;
  const through = [...gang.opened].flatMap(([id, at]) => (at === null ? [] : [id]));
  const rules = gangRulesOf(run.suite, { task: task.plan, n });
  peers.forEach(({ agent }, rank) => {
    const own = gang.ranks[rank];
    if (own?.start !== 'no' || own.lost !== null) return;
    const isFirst = own.epoch === 0;
    // What came since ends it with the others.
    const afterStop = isFirst ? newestStop(run, task) : afterStopOf(run, task);
    noteRankStart(gang, { rank, peers }, 'asked');
    const attempt = beginAttempt(run, { task: task.id, n, agent, afterStop, sequence: null });
    if (attempt !== null) noteStart(stops, attempt);
    const resume = resumeOf(run, task, rank);
    publish(context, {
      subject: subjects.command(agent, 'start', run.id),
      name: 'command.start',
      data: {
        spec: {
          ...spec,
          ...(resume.length === 0 ? {} : { resume }),
          gang: {
            ...{ rank, peers: [...peers], ...rules },
            ...(epoch === 0 ? {} : { epoch }),
            ...(isFirst ? {} : { since: own.epoch, opened: through }),
          },
        },
        afterStop,
        priority: run.priority + addedTo(run.added, task.index),
      },
      id: rankId(run, task, { rank, what: 'start', epoch: own.epoch }),
      ttl: TTL_SECONDS,
      unordered: true,
    });
  });
}

/** The same whoever sends it; `epoch` of a rank that replaces another. */
export function rankId(
  run: RunEntry,
  { id, n }: Pick<TaskEntry, 'id' | 'n'>,
  { rank, what, epoch = 0 }: { readonly rank: number; what: string; epoch?: number },
): string {
  return `${run.id}_${id}_${n}_${what}${rank}${epoch === 0 ? '' : `e${epoch}`}`;
}

/** An agent has taken a rank. */
export function noteAccepted(
  run: RunEntry,
  task: TaskEntry,
  { agent, n, place }: { readonly agent: string; readonly n: number; readonly place: GangPlace },
): void {
  const gang = gangAt(run, task, { n, hosts: place.hosts });
  if (gang !== null) noteRankAccepted(gang, agent, place);
}

/** A rank waits at a barrier. */
export function noteReady(
  context: Context,
  { run, task }: { readonly run: RunEntry; readonly task: TaskEntry },
  { agent, n, barrier }: { readonly agent: string; readonly n: number; readonly barrier: string },
): void {
  const gang = gangOf(run, task);
  if (gang?.n !== n) return;
  if (!isRankGone(gang, agent)) gang.ranks[rankOfAgent(gang, agent)]?.ready.add(barrier);
  openWhenReady(context, { run, task }, barrier);
}

/** Its ranks begin that step in stages (ramp.ts). */
function isRamped({ suite }: RunEntry, barrier: string): boolean {
  return suite.gang?.ramp !== undefined && barrier === RAMP_STEP;
}

/** With the last rank that is ready the barrier opens. */
function openWhenReady(
  context: Context,
  { run, task }: { readonly run: RunEntry; readonly task: TaskEntry },
  barrier: string,
): void {
  const gang = gangOf(run, task);
  if (!context.state.acting || gang === null || gang.opened.has(barrier)) return;
  if (!isReady(gang, barrier) || isRamped(run, barrier)) return;
  gang.opened.set(barrier, null);
  const startMs = context.now.wallMs + LEAD_MS;
  const data = { n: gang.n, barrier, startMs };
  publish(context, { subject: subjects.task(run.id, task.id), name: 'task.barrier_opened', data });
}

/** It was stored: every rank is told. */
export function onBarrierOpened(
  context: Context,
  { run, task }: { readonly run: RunEntry; readonly task: TaskEntry },
  { barrier, startMs }: { readonly barrier: string; readonly startMs: number },
): void {
  const gang = gangOf(run, task);
  gang?.opened.set(barrier, startMs);
  if (gang === null || !context.state.acting) return;
  gang.ranks.forEach(({ agent, end, lost, epoch }, rank) => {
    if (agent === null || end !== null || lost !== null) return;
    publish(context, {
      subject: subjects.command(agent, 'go', run.id),
      name: 'command.go',
      data: { run: run.id, task: task.id, n: gang.n, barrier, startMs, withinMs: LEAD_MS },
      id: rankId(run, task, { rank, what: `go-${barrier}-`, epoch }),
      ttl: TTL_SECONDS,
      unordered: true,
    });
  });
}

/** After anything of a rank has ended: the others are ended with it, or the attempt is over. */
export function reviewGang(context: Context, run: RunEntry, task: TaskEntry): TaskEntry | null {
  const gang = gangOf(run, task);
  if (gang === null) return null;
  if (context.state.acting && gang.ended.length > 0)
    for (const { rank, lost } of lostRanksOf(gang)) noteRankEnd(gang, rank, lostEnd(lost));
  if (context.state.acting && isFailing(gang)) {
    giveUpUnstarted(gang);
    endRanks(context, { run, task }, gang);
  }
  return concludeGang(run, task);
}

function endRanks(
  context: Context,
  { run, task }: { readonly run: RunEntry; readonly task: TaskEntry },
  gang: Gang,
): void {
  const first = gang.ended.find((place) => gang.ranks[place]?.end?.outcome !== 'passed') ?? 0;
  const { outcome, reason } = gang.ranks[first]?.end ?? { outcome: 'lost', reason: null };
  gang.ranks.forEach((rank, place) => {
    if (rank.end !== null || rank.agent === null) return;
    if (rank.start !== 'stored' || rank.revoke !== 'no') return;
    // It is lost: what ends it is on its way.
    if (run.revokes.has(keyOf(run, task, { n: gang.n, agent: rank.agent }))) return;
    rank.revoke = 'asked';
    const why = `rank ${first} has ended (${outcome})`;
    publish(context, {
      subject: subjects.command(rank.agent, 'revoke', run.id),
      name: 'command.revoke',
      data: {
        run: run.id,
        task: task.id,
        n: gang.n,
        gang: { reason: reason === null ? why : `${why}: ${reason}` },
      },
      id: rankId(run, task, { rank: place, what: 'end', epoch: rank.epoch }),
      ttl: TTL_SECONDS,
    });
  });
}

/** A new leader takes up what the last one left of the run's gangs; `start`: the ranks that have none. */
export function resumeGangs(
  context: Context,
  run: RunEntry,
  start: (task: TaskEntry, peers: readonly GangPeer[]) => void,
): TaskEntry[] {
  if (run.ended === 'stored') return [];
  const over: TaskEntry[] = [];
  for (const id of [...run.gangs.keys()]) {
    const task = run.tasks.get(id);
    const gang = task === undefined ? null : gangOf(run, task);
    if (task?.phase !== 'assigned' || gang === null) continue;
    const isWhole = gang.ranks.every(({ start, lost }) => start === 'stored' || lost !== null);
    const peers = peersOf(gang);
    const mayStart = !isFailing(gang) && !isStopped(run, task) && !isPaused(run, task);
    if (!isWhole && mayStart && peers !== null) start(task, peers);
    else if (!isWhole) giveUpUnstarted(gang);
    for (const [barrier, startMs] of gang.opened)
      if (startMs !== null) onBarrierOpened(context, { run, task }, { barrier, startMs });
    for (const barrier of new Set(gang.ranks.flatMap(({ ready }) => [...ready])))
      openWhenReady(context, { run, task }, barrier);
    const ended = reviewGang(context, run, task);
    if (ended !== null) over.push(ended);
  }
  return over;
}
