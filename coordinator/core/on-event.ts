/** Events as stored in BM_EVENTS: who they concern, and what follows. */
import { acceptanceIn } from '#protocol/fold/attempt-fold.ts';
import { applyToRun } from '#protocol/fold/run-fold.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import type { MessageName } from '#protocol/messages/catalog.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import { parseSubject, type ParsedSubject } from '#protocol/messages/subjects.ts';
import {
  onAgentStarted,
  onAgentStopping,
  onAgentUndrained,
  onCordoned,
  onHeard,
  onHostSaid,
  onObserved,
  onStored,
} from '../fleet/fleet-reducer.ts';
import {
  beginAttempt,
  endAttempt,
  endTask,
  isPaused,
  isStopped,
  retryTask,
} from '../runs/run-reducer.ts';
import { createRun, openKey, type RunEntry } from '../runs/run-state.ts';
import {
  addRun,
  dropRun,
  enqueue,
  neighbours,
  vacate,
  withdraw,
} from '../scheduler/scheduler-reducer.ts';
import { noteAck, noteAnnounced, noteClosed, noteEvent, noteStart } from '../stop/stop-reducer.ts';
import {
  closeStops,
  endWaiting,
  finishRun,
  hold,
  placeElsewhere,
  schedulePurge,
  settleTask,
  stopsOf,
} from './act.ts';
import { log, markDirty, type ApiReply, type Context } from './core-state.ts';
import { applyChange } from './change.ts';
import { noteCheckpoint } from './old-checkpoints.ts';
import { applyStop } from './on-command.ts';
import { beginOrder } from './order.ts';
import { holdBack, letGo } from './pause.ts';
import { goOnWithout, noteRequeue } from './requeue.ts';
import { answerSubmit } from './on-submit.ts';
import { noteAfterEnd, noteLateAck, noteLateAttempt, sweepSoon } from './sweep.ts';

export function onEvent(context: Context, record: EventRecord): void {
  const subject = parseSubject(record.subject);
  if (subject === null) return;
  switch (subject.kind) {
    case 'run':
      onRunEvent(context, subject.run, record);
      return;
    case 'task': {
      const run = context.state.runs.get(subject.run);
      if (run !== undefined) onTaskEvent(context, run, { task: subject.task, record });
      return;
    }
    case 'event_epoch':
      if (record.sequence === context.state.claimSequence) context.state.claimMs = record.timeMs;
      return;
    case 'attempt': {
      onStored(context.state.fleet, subject.agent, record.timeMs);
      const run = context.state.runs.get(subject.ref.run);
      if (run === undefined || run.purging) noteLateAttempt(context, subject, record);
      if (run?.fold.state === 'ended') noteAfterEnd(run, subject.agent, record);
      if (run !== undefined) onAttemptEvent(context, run, { subject, record });
      return;
    }
    case 'ack':
      onAck(context, subject.command, record);
      return;
    case 'host':
      onHostEvent(context, subject.agent, record);
      return;
    case 'fleet':
      onFleetEvent(context, subject.agent, record);
      return;
    default:
      return;
  }
}

/** Who waits for just this message to be stored hears so; `applied`: what only whoever applied it knows. */
function answerStored(
  { state, effects }: Context,
  id: string,
  applied: ApiReply | null = null,
): void {
  const owed = state.owed.get(id);
  const reply = owed?.reply ?? applied;
  if (owed === undefined || reply === null) return;
  state.owed.delete(id);
  effects.push({ kind: 'reply', token: owed.token, reply: { kind: 'ok', reply } });
}

function onSubmitted(context: Context, id: string, record: EventRecord): RunEntry | null {
  const { state } = context;
  const { message, sequence } = record;
  if (message.name !== 'run.submitted') return null;
  let run: RunEntry;
  try {
    run = createRun(id, message.data, sequence);
  } catch (error) {
    if (!(error instanceof MeshError)) throw error;
    log(context, 'error', { run: id, err: error.message }, 'a stored run cannot be expanded');
    return null;
  }
  state.runs.set(id, run);
  const { priority, needs, maxParallel } = run.suite;
  addRun(state.scheduler, {
    run: id,
    order: sequence,
    tasks: run.listed.length,
    maxParallel,
    priority,
    added: run.added,
    needs,
  });
  beginOrder(context, run);
  for (const agent of state.fleet.agents.values())
    if (agent.unreachable) run.fold.unreachable.add(agent.id);
  return run;
}

function onRunEvent(context: Context, id: string, record: EventRecord): void {
  const { state } = context;
  const { message } = record;
  answerStored(context, message.id);
  const known = state.runs.get(id);
  const run = known ?? onSubmitted(context, id, record);
  if (run === null) return;
  applyToRun(run.fold, record);
  const stops = stopsOf(state, id);
  switch (message.name) {
    case 'run.submitted': {
      if (known !== undefined) return;
      answerSubmit(context, run, message.data.behind);
      const strays = state.strayStops;
      state.strayStops = strays.filter(({ data }) => data.run !== id);
      for (const stop of strays) if (stop.data.run === id) applyStop(context, run, stop);
      markDirty(state, 'all');
      return;
    }
    case 'run.started':
      run.started = 'stored';
      if (state.acting) run.startedMs = context.now.monotonicMs;
      return;
    case 'run.stopping':
      run.stopSequence = Math.max(run.stopSequence, message.data.stopSequence);
      noteAnnounced(stops, message.data.command, { ...message.data, task: null });
      endWaiting(context, run, run.listed);
      closeStops(context, run);
      return;
    case 'run.task_stopping': {
      const task = run.tasks.get(message.data.task);
      if (task !== undefined) {
        task.stopSequence = Math.max(task.stopSequence, message.data.stopSequence);
      }
      noteAnnounced(stops, message.data.command, message.data);
      endWaiting(context, run, task === undefined ? [] : [task]);
      closeStops(context, run);
      return;
    }
    case 'run.paused':
      holdBack(context, run, message.data.task, message.data.stopSequence);
      noteAnnounced(stops, message.data.command, { ...message.data, pause: true });
      closeStops(context, run);
      return;
    case 'run.task_requeued':
      noteRequeue(context, run, message.data);
      noteAnnounced(stops, message.data.command, { ...message.data, pause: true });
      closeStops(context, run);
      return;
    case 'run.resumed':
      letGo(context, run, message.data);
      return;
    case 'run.changed':
      answerStored(context, message.id, applyChange(context, run, message.data));
      return;
    case 'run.tasks_ended':
      for (const task of message.data.tasks)
        endOf(context, run, { task, outcome: message.data.outcome });
      finishRun(context, run);
      return;
    case 'run.stop_closed': {
      const stop = noteClosed(stops, message.data.command);
      if (stop !== null && state.acting)
        context.effects.push({ kind: 'delete_stop', sequence: stop.sequence });
      finishRun(context, run);
      return;
    }
    case 'run.ended':
      run.ended = 'stored';
      dropRun(state.scheduler, id);
      finishRun(context, run);
      return;
    case 'run.archived':
      run.archived = 'stored';
      schedulePurge(context, run);
      return;
    default:
      return;
  }
}

function onTaskEvent(
  context: Context,
  run: RunEntry,
  { task: id, record }: { task: string; record: EventRecord },
): void {
  const { state } = context;
  const { message } = record;
  applyToRun(run.fold, record);
  if (message.name === 'task.ended') {
    endOf(context, run, { task: id, outcome: message.data.outcome });
    finishRun(context, run);
  } else if (message.name === 'task.retrying') {
    const task = retryTask(run, id, message.data);
    if (task === null) return;
    if (isStopped(run, task)) {
      endWaiting(context, run, [task]);
      return;
    }
    if (isPaused(run, task)) return;
    enqueue(state.scheduler, run.id, task.index);
    placeElsewhere(context, run, { task, avoid: message.data.avoid });
    markDirty(state, 'all');
  }
}

function endOf(
  context: Context,
  run: RunEntry,
  end: { task: string; outcome: Parameters<typeof endTask>[2] },
): void {
  const task = endTask(run, end.task, end.outcome);
  if (task !== null) withdraw(context.state.scheduler, run.id, task.index);
}

function onAttemptEvent(
  context: Context,
  run: RunEntry,
  input: { subject: Extract<ParsedSubject, { kind: 'attempt' }>; record: EventRecord },
): void {
  const { state } = context;
  const { subject, record } = input;
  const { agent, ref } = subject;
  const { message } = record;
  if (message.name === 'attempt.checkpointed') noteCheckpoint(context, run, { ref, record });
  else applyToRun(run.fold, record);
  if (acceptanceIn(message) !== null) {
    const begin = { task: ref.task, n: ref.n, agent, afterStop: 0, sequence: null };
    const attempt = beginAttempt(run, begin);
    if (attempt === null) return;
    hold(context, run, { task: ref.task, agent });
    noteStart(stopsOf(state, run.id), attempt);
    return;
  }
  if (message.name !== 'attempt.exited') return;
  const { vacated, decides } = endAttempt(run, { task: ref.task, n: ref.n, agent }, message.data);
  if (vacated) {
    const { elapsedMs } = message.data; // 0 for one that never got its slots
    vacate(state.scheduler, run.id, { agent, heldMs: elapsedMs === 0 ? null : elapsedMs });
    markDirty(state, neighbours(state.scheduler, agent));
    if (run.maxParallel !== null) markDirty(state, 'all');
  }
  if (decides !== null) {
    withdraw(state.scheduler, run.id, decides.index);
    settleTask(context, run, decides);
  }
  const stops = state.stops.get(run.id);
  if (stops === undefined || stops.stops.size === 0) return;
  noteEvent(stops, record, openKey(ref.task, ref.n));
  closeStops(context, run);
}

function onAck(context: Context, command: string, record: EventRecord): void {
  const { state } = context;
  const { message } = record;
  if ('run' in message.data && state.runs.get(message.data.run)?.purging !== false)
    noteLateAck(context, command, message.data.run);
  if (message.name === 'command.received') {
    if (message.data.kind !== 'stop') return;
    for (const [id, stops] of state.stops) {
      if (!stops.stops.has(command) && !stops.announced.has(command)) continue;
      noteAck(stops, command, record);
      const run = state.runs.get(id);
      if (run !== undefined) closeStops(context, run);
    }
    return;
  }
  if (message.name !== 'command.stop_done') return;
  const run = state.runs.get(message.data.run);
  if (run === undefined) return;
  noteAck(stopsOf(state, run.id), command, record);
  closeStops(context, run);
}

const SAID: Partial<Record<MessageName, 'start' | 'change' | 'passing'>> = {
  'agent.started': 'start',
  'agent.changed': 'change',
  'agent.exec_started': 'passing',
  'agent.exec_ended': 'passing',
  'agent.exec_refused': 'passing',
};

function onHostEvent(context: Context, agent: string, record: EventRecord): void {
  const { state, now } = context;
  const { message } = record;
  const incarnation = message.incarnation ?? 0;
  const kind = SAID[message.name] ?? 'other';
  onHostSaid(state.fleet, agent, { sequence: record.sequence, kind });
  if (message.name === 'agent.stopping' || message.name === 'agent.draining')
    onAgentStopping(state.fleet, agent, {
      incarnation,
      ended: message.name === 'agent.stopping',
    });
  if (message.name === 'agent.undrained' && onAgentUndrained(state.fleet, agent))
    markDirty(state, [agent]);
  if (message.name !== 'agent.started') return;
  onAgentStarted(state.fleet, agent, message.data.registration.incarnation);
  onStored(state.fleet, agent, record.timeMs);
  if (record.sequence < state.claimSequence) return;
  sweepSoon(context);
  const beat = { agent, incarnation: message.data.registration.incarnation };
  onHeard(state.fleet, beat, now.monotonicMs);
  markDirty(state, [agent]);
}

function onFleetEvent(context: Context, agent: string, record: EventRecord): void {
  const { state } = context;
  const { message } = record;
  answerStored(context, message.id);
  if (message.name === 'agent.cordoned') onCordoned(state.fleet, agent, message.data);
  if (message.name === 'agent.uncordoned' && onCordoned(state.fleet, agent, null))
    markDirty(state, [agent]);
  if (message.name !== 'agent.unreachable' && message.name !== 'agent.returned') return;
  const isUnreachable = message.name === 'agent.unreachable';
  if (onObserved(state.fleet, agent, isUnreachable)) markDirty(state, [agent]);
  if (!isUnreachable) sweepSoon(context);
  for (const run of state.runs.values()) {
    applyToRun(run.fold, record);
    if (isUnreachable) goOnWithout(context, run);
    const stops = state.stops.get(run.id);
    if (stops !== undefined) noteEvent(stops, record, null);
  }
}
