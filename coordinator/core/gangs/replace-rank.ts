/**
 * A rank whose host is lost begins anew on another host, and the others go on.
 *
 *   its revoke stored -> rank_lost stored -> a host with room -> rank_replaced stored -> start, to that host
 *                             \-- none in time --> lost: the gang ends                \-> peers, to the others
 *
 * 1. The revoke comes first: no rank has two owners that nobody has fenced (lost.ts). What the old one says
 *    from then on changes nothing, so no agent has a second rank of the same attempt.
 * 2. Start and peers are made from the stored event, again by whoever leads next, under the same ids.
 * 3. A barrier that is open stands in the start; one that is not waits for the new rank. So no rank is replaced
 *    while an opening is on its way, nor while the start of another is: one mailbox has one order.
 * 4. Each counts as a host that was lost with the task (I12). What ends the gang ends the wait.
 */
import type { TaskRankLost, TaskRankReplaced } from '#protocol/messages/attempt/rank-events.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import {
  gangAt,
  gangOf,
  hostsOfTask,
  lostEnd,
  noteRankEnd,
  rankOfAgent,
  type Gang,
} from '../../runs/gang-state.ts';
import {
  isRankGone,
  loseRank,
  lostRanksOf,
  peersOf,
  replaceRank,
} from '../../runs/lost-rank-state.ts';
import { openAttempt, otherRankLives } from '../../runs/run-reducer.ts';
import type { OpenAttempt, RunEntry, TaskEntry } from '../../runs/run-state.ts';
import { hostForRank } from '../../scheduler/replace-policy.ts';
import { occupy } from '../../scheduler/scheduler-reducer.ts';
import type { AgentCapacity } from '../../scheduler/scheduler-state.ts';
import { noteStart } from '../../stop/stop-reducer.ts';
import { settleTask } from '../act.ts';
import { markDirty, publish, type Context } from '../core-state.ts';
import { closeStops, stopsOf } from '../ends/stops.ts';
import { lostReason } from '../hosts/lost-ranks.ts';
import { vacated } from '../starts/places.ts';
import { rankId, reviewGang, TTL_SECONDS } from './gang.ts';
import { registeredPeers, resumeStarts } from './gang-start.ts';
import { agentsOfGang, mayGoOn, mayReplace } from './may-replace.ts';

interface Of {
  readonly run: RunEntry;
  readonly task: TaskEntry;
}

/** Its revoke is stored. False where the gang is to end with it. */
export function giveUpRank(context: Context, { run, task }: Of, open: OpenAttempt): boolean {
  const gang = gangOf(run, task);
  const own = gang?.ranks[rankOfAgent(gang, open.agent)];
  if (isRankGone(gang, open.agent)) return true;
  const rule = run.suite.gang?.onRankLost;
  if (gang === null || own === undefined || rule === undefined) return false;
  if (!mayReplace(run, task, open)) return false;
  own.isGivenUp = true;
  const { agent, n } = open;
  publish(context, {
    subject: subjects.task(run.id, task.id),
    name: 'task.rank_lost',
    data: {
      ...{ n, rank: rankOfAgent(gang, agent), agent },
      ...{ reason: lostReason(agent), withinMs: rule.replaceWithinMs },
    },
  });
  return true;
}

/** It was stored: it holds no place, and waits for another host. */
export function onRankLost(
  context: Context,
  { run, task }: Of,
  { data, timeMs }: { readonly data: TaskRankLost; readonly timeMs: number },
): void {
  const { state, now } = context;
  const { n, rank, agent, reason, withinMs } = data;
  const gang = gangAt(run, task, { n, hosts: hostsOfTask(run, task) });
  if (gang === null || task.phase === 'ended') return;
  // While the streams are replayed this is a time of theirs.
  const dueMs = (state.acting ? now.monotonicMs : timeMs) + withinMs;
  loseRank(gang, { rank, agent, reason, dueMs });
  supersedeRank(context, run, { task, n, agent });
  review(context, { run, task });
  markDirty(state, 'all');
}

/** What it had there holds no place, and holds up no end of its run; a stop still asks for it (I5). */
function supersedeRank(
  context: Context,
  run: RunEntry,
  { task, n, agent }: { readonly task: TaskEntry; readonly n: number; readonly agent: string },
): void {
  const open = openAttempt(run, { task: task.id, n, agent });
  if (open === undefined || open.exited || open.superseded === true) return;
  open.superseded = true;
  noteStart(stopsOf(context.state, run.id), open);
  const survives = open.survives === true || otherRankLives(run, open);
  vacated(context, run, { index: task.index, agent, heldMs: null, survives });
  closeStops(context, run);
}

/** After the replay: from the stream's clock to this leader's. */
export function datesOfLostRanks({ state, now }: Context): void {
  for (const run of state.runs.values())
    for (const gang of run.gangs.values())
      for (const { lost } of lostRanksOf(gang)) lost.dueMs += now.monotonicMs - state.claimMs;
}

/** Ranks that have waited for long enough, or whose gang is ending. */
export function endLostRanks(context: Context): void {
  const { state, now } = context;
  for (const of of waitingGangs(context)) {
    const due = lostRanksOf(of.gang).filter(
      ({ lost }) => !lost.isAsked && lost.dueMs <= now.monotonicMs,
    );
    for (const { rank, lost } of due) {
      const reason = `${lost.reason}, and no other host was found for its rank in time`;
      noteRankEnd(of.gang, rank, lostEnd({ reason }));
    }
    review(context, of);
    markDirty(state, 'all');
  }
}

function review(context: Context, { run, task }: Of): void {
  if (reviewGang(context, run, task) !== null) settleTask(context, run, task);
}

/** Gangs of which a rank waits for a host. */
function waitingGangs({ state }: Context): (Of & { readonly gang: Gang })[] {
  return [...state.runs.values()].flatMap((run) => {
    if (run.suite.gang?.onRankLost === undefined || run.ended !== 'no') return [];
    return [...run.gangs].flatMap(([id, gang]) => {
      const task = run.tasks.get(id);
      if (task?.phase !== 'assigned' || task.n !== gang.n) return [];
      return lostRanksOf(gang).length === 0 ? [] : [{ run, task, gang }];
    });
  });
}

/** Before anything else is handed out: those that wait take the first room there is. */
export function placeLostRanks(context: Context, everyone: () => readonly AgentCapacity[]): void {
  const { scheduler } = context.state;
  const waiting = waitingGangs(context);
  if (waiting.length === 0 && scheduler.kept.length === 0) return;
  const kept = waiting.flatMap(({ run, task, gang }) => {
    const [first] = lostRanksOf(gang);
    if (first === undefined || !mayGoOn(run, task, gang) || isMoving(gang)) return [];
    const { index } = task;
    const found = hostForRank(
      scheduler,
      { run: run.id, index, agents: agentsOfGang(gang) },
      everyone(),
    );
    if (found === null || !found.isReady) return found === null ? [] : [found.kept];
    const [peer] = registeredPeers(context.state, [found.agent]);
    if (peer === undefined) return [];
    first.lost.isAsked = true;
    occupy(scheduler, run.id, { index, agent: found.agent });
    const { n, epoch } = gang;
    const { rank, agent: lost } = first;
    const id = publish(context, {
      subject: subjects.task(run.id, task.id),
      name: 'task.rank_replaced',
      data: { n, rank, epoch: epoch + 1, lost, peer },
    });
    context.state.replacing.set(id, { run: run.id, task: task.id, agent: found.agent });
    return [];
  });
  scheduler.kept = kept;
}

/** Something of it is on its way that the new rank would have to know of (3). */
function isMoving({ ranks, opened }: Gang): boolean {
  if ([...opened.values()].includes(null)) return true;
  return ranks.some(({ start, lost }) => start === 'asked' || lost?.isAsked === true);
}

/** It was stored: the rank begins there, and the others are told. */
export function onRankReplaced(
  context: Context,
  { run, task }: Of,
  { id, data }: { readonly id: string; readonly data: TaskRankReplaced },
): void {
  const { state } = context;
  const isOwn = state.replacing.delete(id);
  const { n, lost, peer } = data;
  const gang = gangAt(run, task, { n, hosts: hostsOfTask(run, task) });
  const isNew = gang !== null && task.phase !== 'ended' && data.epoch > gang.epoch;
  if (isNew) {
    task.used = { ...task.used, lost: (task.used?.lost ?? 0) + 1 };
    task.lostWith = [...new Set([...(task.lostWith ?? []), lost])];
  }
  const isReplaced = isNew && replaceRank(gang, data);
  if (!state.acting) return;
  if (isReplaced && mayGoOn(run, task, gang)) {
    begin(context, { run, task }, gang);
    return;
  }
  // It was being ended meanwhile: nothing begins there.
  if (isReplaced) noteRankEnd(gang, data.rank, lostEnd({ reason: lostReason(lost) }));
  const { index } = task;
  if (isOwn) vacated(context, run, { index, agent: peer.agent, heldMs: null, survives: true });
  if (isReplaced) review(context, { run, task });
}

function begin(context: Context, of: Of, gang: Gang): void {
  const peers = peersOf(gang);
  if (peers === null) return;
  resumeStarts(context, of, { peers, isHeld: true });
  sayPeers(context, of);
}

/** To every rank that runs; one that knows it already takes no notice. */
export function sayPeers(context: Context, { run, task }: Of): void {
  const gang = gangOf(run, task);
  const peers = gang === null ? null : peersOf(gang);
  if (gang === null || peers === null || gang.epoch === 0 || !context.state.acting) return;
  const { n, epoch } = gang;
  gang.ranks.forEach(({ agent, end, lost, epoch: since }, rank) => {
    if (agent === null || end !== null || lost !== null || since === epoch) return;
    publish(context, {
      subject: subjects.command(agent, 'peers', run.id),
      name: 'command.peers',
      data: { run: run.id, task: task.id, n, epoch, peers },
      id: rankId(run, task, { rank, what: `peers${epoch}-` }),
      ttl: TTL_SECONDS,
      unordered: true,
    });
  });
}
