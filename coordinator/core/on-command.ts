/** Commands as stored in BM_COMMANDS: own starts and those of leaders before, and everybody's stops. */
import type { EventRecord } from '#protocol/fold/record.ts';
import type { GivenStart, StopCommand } from '#protocol/messages/run/command.ts';
import { startsIn } from '#protocol/messages/run/starts.ts';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { parseSubject } from '#protocol/messages/subjects.ts';
import { beginAttempt, openAttempt } from '../runs/run-reducer.ts';
import { gangAt, gangOf, noteRankStart, rankOfAgent } from '../runs/gang-state.ts';
import type { RunEntry } from '../runs/run-state.ts';
import { withdraw } from '../scheduler/scheduler-reducer.ts';
import { noteStart, readStop } from '../stop/stop-reducer.ts';
import { settleTask } from './act.ts';
import { reviewGang } from './gangs/gang.ts';
import { hold } from './starts/places.ts';
import { announceStop, closeStops, stopsOf } from './ends/stops.ts';
import { onRevoke } from './hosts/lost.ts';
import { noteStoredStart } from './ends/old-starts.ts';
import { holdBack } from './ends/pause.ts';
import { noteRequeue } from './starts/requeue.ts';
import { onHandedOut } from './starts/take-back.ts';
import type { Context, OwnStarts } from './core-state.ts';

export function onCommand(context: Context, record: EventRecord): void {
  const subject = parseSubject(record.subject);
  const { message, sequence } = record;
  context.state.commandSequence = Math.max(context.state.commandSequence, sequence);
  const starts = startsIn(message);
  if (subject?.kind === 'command' && starts.length > 0) {
    onStarts(context, { agent: subject.agent, run: subject.run, sequence }, starts);
  } else if (message.name === 'command.revoke') {
    onRevoke(context, record, message.data);
  } else if (subject?.kind === 'stop' && message.name === 'command.stop') {
    onStop(context, { command: message.id, sequence, data: message.data });
  }
}

interface CommandAt {
  readonly agent: string;
  readonly run: string;
  /** In BM_COMMANDS. */
  readonly sequence: number;
}

/** All of one command, before anything follows from any. */
function onStarts(context: Context, at: CommandAt, starts: readonly GivenStart[]): void {
  const run = context.state.runs.get(at.run);
  if (run === undefined) return; // archived and purged, but for this
  for (const start of starts) onStart(context, { run, at }, start);
  closeStops(context, run);
}

function onStart(
  context: Context,
  { run, at: { agent, sequence } }: { readonly run: RunEntry; readonly at: CommandAt },
  { spec, afterStop }: GivenStart,
): void {
  const { state } = context;
  noteStoredStart(run, sequence);
  const { task, n } = spec;
  noteGangStart(run, spec);
  const begin = { task, n, agent, afterStop, sequence };
  if (beginAttempt(run, begin) !== null) hold(context, run, { task, agent });
  const attempt = openAttempt(run, { task, n, agent });
  if (attempt === undefined) return;
  onHandedOut(context, run, attempt);
  if ((state.fleet.agents.get(agent)?.forgotten ?? null) !== null) attempt.gone = true;
  noteStart(stopsOf(state, run.id), attempt);
}

/** Before it begins: which rank of which it is. */
function noteGangStart(
  run: RunEntry,
  { task: id, n, gang }: Pick<AttemptSpec, 'task' | 'n' | 'gang'>,
): void {
  const task = run.tasks.get(id);
  if (task === undefined || gang === undefined) return;
  const known = gangAt(run, task, { n, hosts: gang.peers.length });
  if (known !== null) noteRankStart(known, gang, 'stored');
}

/** What was sent is known; what is new is where it stands in the stream. */
export function onOwnStarts(context: Context, { agent, sequence, starts }: OwnStarts): void {
  const { state } = context;
  state.commandSequence = Math.max(state.commandSequence, sequence);
  for (const { run: id, task, n } of starts) {
    const run = state.runs.get(id);
    if (run === undefined) continue;
    noteStoredStart(run, sequence);
    const attempt = openAttempt(run, { task, n, agent });
    if (attempt === undefined) continue;
    attempt.sequence ??= sequence;
    onHandedOut(context, run, attempt);
    if ((state.fleet.agents.get(agent)?.forgotten ?? null) !== null) attempt.gone = true;
    noteStart(stopsOf(state, id), attempt);
    onRankStored(context, run, { task, n, agent });
  }
  for (const id of new Set(starts.map((start) => start.run))) {
    const run = state.runs.get(id);
    if (run !== undefined) closeStops(context, run);
  }
}

/** From now on it can be ended with the others. */
function onRankStored(
  context: Context,
  run: RunEntry,
  at: { readonly task: string; readonly n: number; readonly agent: string },
): void {
  const task = run.tasks.get(at.task);
  const gang = task === undefined ? null : gangOf(run, task);
  if (task === undefined || gang === null || gang.n !== at.n) return;
  const rank = gang.ranks[rankOfAgent(gang, at.agent)];
  if (rank !== undefined) rank.start = 'stored';
  if (reviewGang(context, run, task) !== null) settleTask(context, run, task);
}

function onStop(
  context: Context,
  stop: { command: string; sequence: number; data: StopCommand },
): void {
  const { state, now } = context;
  const run = state.runs.get(stop.data.run);
  // What is said on the subject of a run that is being purged is never read: it is over, as others.
  if (run !== undefined && !run.purging) applyStop(context, run, stop);
  else state.strayStops.push({ ...stop, sinceMs: now.monotonicMs });
}

/** From here on nothing of the target starts; of a paused one until it is resumed. */
export function applyStop(
  context: Context,
  run: RunEntry,
  stop: { command: string; sequence: number; data: StopCommand },
): void {
  const { state } = context;
  const entry = readStop(stopsOf(state, run.id), stop, run.open.values());
  if (entry === null) {
    // Given again in doubt: the close of the first deletes only that one's message.
    state.strayStops.push({ ...stop, sinceMs: context.now.monotonicMs });
    return;
  }
  if (entry.closed === 'stored') {
    // All that it did stands in the log; given again in doubt, it is no newer one.
    if (state.acting) context.effects.push({ kind: 'delete_stop', sequence: stop.sequence });
    return;
  }
  const task = stop.data.task === null ? null : run.tasks.get(stop.data.task);
  if (stop.data.requeue === true) {
    noteRequeue(context, run, { task: stop.data.task, stopSequence: stop.sequence });
  } else if (stop.data.pause === true) {
    holdBack(context, run, stop.data.task, stop.sequence);
  } else if (task === null) {
    run.stopSequence = Math.max(run.stopSequence, stop.sequence);
    for (const listed of run.listed) {
      if (listed.phase === 'pending') withdraw(state.scheduler, run.id, listed.index);
    }
  } else if (task !== undefined) {
    task.stopSequence = Math.max(task.stopSequence, stop.sequence);
    withdraw(state.scheduler, run.id, task.index);
  }
  announceStop(context, run, entry);
  closeStops(context, run);
}
