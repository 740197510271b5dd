/**
 * Lost hosts: an agent that has been unreachable for as long as the suite waits is given up, attempt by
 * attempt.
 *
 *   unreachable --(requeueAfter)--> revoke stored, for that agent alone --> task.retrying, n + 1
 *                                        \--(the agent is back)--> what runs is ended --> answered --> deleted
 *
 * Of a gang each rank that is lost is given up so; the others are ended first (lost-ranks.ts), or go on with one
 * that replaces it (gangs/replace-rank.ts).
 *
 * 1. The next attempt follows only when the revoke of the last was read back stored: whenever its host comes
 *    back, it ends what was superseded, and what it says of that changes the task no more (I4).
 *    An end that comes before waits for it.
 * 2. A leader that finds a revoke of a current attempt goes on with it, whether its agent is back or not.
 * 3. Silence counts from the stored observation, and only where this leader has not heard the agent either:
 *    a term begins with nobody heard.
 * 4. What was superseded holds no place: its host counts what still lives there. It holds up no end of its
 *    run; a stop still asks for it (I5).
 * 5. The revoke outlives the start it takes back, and goes when it was answered; of a run that is over it
 *    waits, with the release, until the agent has taken both (I12).
 * 6. Survivors of an attempt that has ended there give their locks up with it: nobody may ever hear of them.
 * 7. So many at a time: a switch that takes a thousand hosts along must not keep others waiting.
 */
import { parseSubject, subjects } from '#protocol/messages/subjects.ts';
import { everyoneOf } from '#protocol/fold/gang-fold.ts';
import { attemptOf } from '#protocol/fold/task-attempts.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import type { MessageData } from '#protocol/messages/catalog.ts';
import { isUnreachableFor } from '../../fleet/fleet-reducer.ts';
import { decideLost, requeueAfterMs } from '../../runs/lost-policy.ts';
import type { AttemptEnd, Decision } from '../../runs/retry-policy.ts';
import { gangOf, hasRankEnded, rankOfAgent } from '../../runs/gang-state.ts';
import { isStopped, keyOf, openOf } from '../../runs/run-reducer.ts';
import type { OpenAttempt, RunEntry, TaskEntry } from '../../runs/run-state.ts';
import { noteStart } from '../../stop/stop-reducer.ts';
import { settleTask } from '../act.ts';
import { publish, type Context } from '../core-state.ts';
import { reviewGang } from '../gangs/gang.ts';
import { giveUpRank } from '../gangs/replace-rank.ts';
import { forgottenEnd, lostAgentOf, lostReason, noteLostRank } from './lost-ranks.ts';
import { survivorsGone, vacated } from '../starts/places.ts';
import { closeStops, stopsOf } from '../ends/stops.ts';
import { onAnswered, onAskedFor } from '../starts/take-back.ts';

/** As a release: starts live for days less. */
const REVOKE_TTL_SECONDS = 30 * 24 * 3_600;
/** Asked for with one tick. */
const MOST_AT_A_TIME = 1_000;

/** The id of the only revoke of an attempt, or of a rank: what another leader repeats is recognised by it. */
function revokeId(run: RunEntry, { task: id, n, agent }: OpenAttempt): string {
  const task = run.tasks.get(id);
  const gang = task === undefined ? null : gangOf(run, task);
  const whole = `revoke_${run.id}_${id}_${n}`;
  if (gang === null) return whole;
  const rank = rankOfAgent(gang, agent);
  const { epoch = 0 } = gang.ranks[rank] ?? {};
  return `${whole}_rank${rank}${epoch === 0 ? '' : `e${epoch}`}`;
}

/** Command ids of all revokes of the run: their acknowledgements go with it. */
export function revokesOf({ revokes, answered }: RunEntry): string[] {
  return [...new Set([...answered, ...Array.from(revokes.values(), ({ id }) => id)])];
}

/** Agents that have one still to read, or to obey. */
export function unansweredBy({ revokes, answered }: RunEntry): string[] {
  const open = [...revokes.values()].filter(({ id }) => !answered.has(id));
  return [...new Set(open.map(({ agent }) => agent))];
}

/** Asks for the revokes that are due. */
export function giveUpLost(context: Context): void {
  const { state, now } = context;
  const { agents } = state.fleet;
  const isAnyLost = [...agents.values()].some((one) => one.unreachable || one.forgotten !== null);
  if (!isAnyLost) return;
  const isLost = (id: string, afterMs: number): boolean => {
    const agent = agents.get(id);
    if (agent === undefined) return false;
    const { agentLeaseMs: leaseMs } = state.timing;
    return isUnreachableFor(state.fleet, agent, { nowMs: now.monotonicMs, afterMs, leaseMs });
  };
  let left = MOST_AT_A_TIME;
  for (const run of state.runs.values()) {
    const afterMs = requeueAfterMs(run.suite);
    if (run.ended !== 'no') continue;
    for (const open of run.open.values()) {
      if (left === 0) return;
      if (open.gone !== true && (afterMs === null || !isLost(open.agent, afterMs))) continue;
      survivorsGone(context, run, open);
      // A stop held up what follows its revoke, and nobody answers for it any more.
      if (open.gone === true) goOnAfter(context, run, open.key);
      if (!mayGiveUp(run, open)) continue;
      revoke(context, run, open);
      left -= 1;
    }
  }
}

function mayGiveUp(run: RunEntry, open: OpenAttempt): boolean {
  const task = run.tasks.get(open.task);
  if (task?.n !== open.n || task.phase !== 'assigned' || open.exited) return false;
  if (hasRankEnded(gangOf(run, task), open.agent)) return false; // it was requeued
  // A start that is on its way still would come after its revoke.
  if (open.sequence === null && !wasAccepted(run, open)) return false;
  if (isStopped(run, task) && open.gone !== true) return false;
  return !run.revokes.has(open.key);
}

function wasAccepted(run: RunEntry, { task, n, agent }: OpenAttempt): boolean {
  const fold = run.fold.tasks.get(task);
  const attempt = fold === undefined ? null : attemptOf(fold, n);
  return attempt !== null && everyoneOf(attempt).some((one) => one.agent === agent);
}

function revoke(context: Context, run: RunEntry, open: OpenAttempt): void {
  const { task, n, agent } = open;
  const id = revokeId(run, open);
  run.revokes.set(open.key, { id, agent, sequence: null });
  publish(context, {
    subject: subjects.command(agent, 'revoke', run.id),
    name: 'command.revoke',
    data: { run: run.id, task, n, superseded: true },
    id,
    ttl: REVOKE_TTL_SECONDS,
    unordered: true,
  });
}

/** A revoke was read from BM_COMMANDS. */
export function onRevoke(
  context: Context,
  record: EventRecord,
  data: MessageData<'command.revoke'>,
): void {
  const { state, effects } = context;
  const { sequence, message } = record;
  const subject = parseSubject(record.subject);
  const run = state.runs.get(data.run);
  // Of a run that is over it stays until its agent has read it: the sweep takes it then.
  if (subject?.kind !== 'command' || run === undefined) return;
  if (data.superseded !== true) {
    if (data.gang === undefined) onAskedFor(context, run, { ...data, sequence });
    return;
  }
  const task = run.tasks.get(data.task);
  if (task === undefined) return;
  const key = keyOf(run, task, { n: data.n, agent: subject.agent });
  const known = run.revokes.get(key);
  if (known !== undefined && known.sequence !== null && known.sequence !== sequence) {
    // Stored twice in doubt: the agent knows it by its id.
    if (state.acting) effects.push({ kind: 'delete_stop', sequence });
    return;
  }
  const end = run.undecided.get(task.id);
  const wasAwaited = end !== undefined && awaitsRevoke(run, task, end);
  run.revokes.set(key, { id: message.id, agent: subject.agent, sequence });
  if (!state.acting) return;
  if (wasAwaited) settleTask(context, run, task);
  if (run.answered.has(message.id)) effects.push({ kind: 'delete_stop', sequence });
  goOnAfter(context, run, key);
}

/** After the replay: what the leaders before had asked for goes on (2). */
export function resumeRevokes(context: Context, run: RunEntry): void {
  for (const [key, { id, sequence }] of run.revokes) {
    if (sequence !== null && run.answered.has(id))
      context.effects.push({ kind: 'delete_stop', sequence });
    goOnAfter(context, run, key);
  }
}

/** What follows a stored revoke of a task's current attempt (1). */
function goOnAfter(context: Context, run: RunEntry, key: string): void {
  const revoked = run.revokes.get(key);
  const open = run.open.get(key);
  const task = open === undefined ? undefined : run.tasks.get(open.task);
  if (revoked === undefined || revoked.sequence === null) return;
  if (open === undefined || task === undefined) return;
  if (run.ended === 'stored' || task.n !== open.n || task.phase !== 'assigned') return;
  const stopped = isStopped(run, task);
  if (stopped && open.gone !== true) return; // the stop asks for it
  if (gangOf(run, task) !== null) {
    if (giveUpRank(context, { run, task }, open)) return;
    noteLostRank(run, task, open);
    if (reviewGang(context, run, task) !== null) settleTask(context, run, task);
    return;
  }
  task.phase = 'deciding';
  const decision = stopped ? forgottenDecision(open) : lostDecision(run, task, revoked.agent);
  say(context, run, { task, decision });
}

/** Under a stop that nobody answers for it. */
function forgottenDecision({ n, agent }: OpenAttempt): Decision {
  return { kind: 'end', data: { n, ...forgottenEnd(agent), without: [agent] } };
}

function lostDecision(run: RunEntry, task: TaskEntry, agent: string): Decision {
  const rank = gangOf(run, task)?.ranks.find((one) => one.agent === agent);
  const said = rank?.lost === null ? null : (rank?.end?.reason ?? null);
  return decideLost(run.suite, task, { agent, reason: said ?? lostReason(agent) });
}

/**
 * The end of a current attempt that was told so by its agent, which had read the revoke before this leader
 * went on with it: as if it had not come back. Null for any other end.
 */
export function decideSuperseded(run: RunEntry, task: TaskEntry, end: AttemptEnd): Decision | null {
  if (isStopped(run, task)) return null;
  const agent = lostAgentOf(run, task, end);
  return agent === null ? null : lostDecision(run, task, agent);
}

/**
 * Whether the end of a current attempt will be that of a superseded one, and is not yet: its revoke is on its
 * way (1).
 */
export function awaitsRevoke(run: RunEntry, task: TaskEntry, end: AttemptEnd): boolean {
  const agent = isStopped(run, task) ? null : lostAgentOf(run, task, end);
  if (agent === null) return false;
  return run.revokes.get(keyOf(run, task, { n: task.n, agent }))?.sequence === null;
}

function say(
  context: Context,
  run: RunEntry,
  { task, decision }: { readonly task: TaskEntry; readonly decision: Decision },
): void {
  const subject = subjects.task(run.id, task.id);
  if (decision.kind === 'retry')
    publish(context, { subject, name: 'task.retrying', data: decision.data });
  else publish(context, { subject, name: 'task.ended', data: decision.data });
}

/** The task has gone on, or has ended, without the end of this attempt, or of these ranks of it (4). */
export function supersede(context: Context, run: RunEntry, at: { task: string; n: number }): void {
  const task = run.tasks.get(at.task);
  if (task === undefined) return;
  const open = openOf(run, at);
  const left = open.filter(({ exited, superseded }) => !exited && superseded !== true);
  const survives = open.some((one) => one.survives === true);
  const { index } = task;
  if (left.length > 0) onAnswered(context, run, at);
  for (const one of left) {
    one.superseded = true;
    noteStart(stopsOf(context.state, run.id), one);
    vacated(context, run, { index, agent: one.agent, heldMs: null, survives });
  }
  if (left.length > 0) closeStops(context, run);
}

/** The agent has answered: nothing of the attempt is left there, or its end tells what is. */
export function onRevokeAnswered(
  context: Context,
  { agent, command }: { readonly agent: string; readonly command: string },
  data: MessageData<'command.revoke_answered'>,
): void {
  const { state, effects } = context;
  const run = state.runs.get(data.run);
  if (run === undefined) return;
  run.answered.add(command);
  const task = run.tasks.get(data.task);
  if (task === undefined) return;
  const key = keyOf(run, task, { n: data.n, agent });
  const revoked = run.revokes.get(key);
  if (state.acting && revoked?.id === command && revoked.sequence !== null)
    effects.push({ kind: 'delete_stop', sequence: revoked.sequence });
  const open = run.open.get(key);
  if (data.answer === 'unknown' && open?.superseded === true && open.agent === agent)
    run.open.delete(key);
}
