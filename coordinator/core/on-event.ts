/** Events as stored in BM_EVENTS: who they concern, and what follows. */
import { acceptanceIn } from '#protocol/fold/attempt-fold.ts';
import { applyToRun } from '#protocol/fold/run-fold.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import { parseSubject, type ParsedSubject } from '#protocol/messages/subjects.ts';
import { onStored } from '../fleet/fleet-reducer.ts';
import {
  beginAttempt,
  endAttempt,
  endTask,
  isPaused,
  isStopped,
  keyOf,
  openAttempt,
  otherRankLives,
  retryTask,
} from '../runs/run-reducer.ts';
import { createRun, type RunEntry } from '../runs/run-state.ts';
import { addRun, enqueue, raiseTask, withdraw } from '../scheduler/scheduler-reducer.ts';
import { noteAck, noteAnnounced, noteClosed, noteEvent, noteStart } from '../stop/stop-reducer.ts';
import { finishRun, schedulePurge, settleTask } from './act.ts';
import { placeElsewhere, placeTakenBack } from './starts/hand-out.ts';
import { hold, survivorsGone, vacated as giveUpPlace } from './starts/places.ts';
import { closeStops, endWaiting, stopsOf } from './ends/stops.ts';
import { applyCycle, applyWithdrawn } from './starts/cycles.ts';
import { log, markDirty, type ApiReply, type Context } from './core-state.ts';
import { applyChange } from './change.ts';
import { holdRetry } from './starts/held-retries.ts';
import { leaveScheduler } from './ends/leave.ts';
import { noteCheckpoint } from './ends/old-checkpoints.ts';
import { applyStop } from './on-command.ts';
import { beginOrder } from './starts/order.ts';
import { onFleetEvent, onHostEvent } from './on-agent-event.ts';
import { onRevokeAnswered, supersede } from './hosts/lost.ts';
import { holdBack, letGo } from './ends/pause.ts';
import { onKept } from './starts/preempt.ts';
import { onBudgetUsed, wakeForBudget } from './ends/run-budget.ts';
import { noteAccepted, noteReady, onBarrierOpened, reviewGang } from './gangs/gang.ts';
import { advanceRamp, onRampEnded, onStageOpened } from './gangs/ramp.ts';
import { onRankLost, onRankReplaced } from './gangs/replace-rank.ts';
import { noteRequeue } from './starts/requeue.ts';
import { answerSubmit } from './on-submit.ts';
import { closeTakeBack, onAnswered, onBegun } from './starts/take-back.ts';
import { noteHostEnd } from './hosts/failing-hosts.ts';
import { noteAfterEnd, noteLateAck, noteLateAttempt } from './ends/sweep.ts';

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
      onAck(context, subject, record);
      return;
    case 'host':
      onHostEvent(context, subject.agent, record);
      return;
    case 'fleet':
      answerStored(context, record.message.id);
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
  const { priority, maxParallel, name: suite, locks } = run.suite;
  addRun(state.scheduler, {
    run: id,
    order: sequence,
    tasks: run.listed.length,
    maxParallel,
    priority,
    added: run.added,
    needs: run.needs,
    suite,
    labels: message.data.labels,
    isPreemptible: run.suite.preemptible ?? run.suite.checkpoints.length > 0,
    ...(locks === undefined ? {} : { locks }),
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
      wakeForBudget(context, run);
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
    case 'run.cycle_started':
      endWaiting(context, run, applyCycle(context, run));
      finishRun(context, run);
      return;
    case 'run.budget_used':
      onBudgetUsed(context, run);
      endWaiting(context, run, run.listed);
      finishRun(context, run);
      return;
    case 'run.tasks_withdrawn':
      applyWithdrawn(context, run, message.data.tasks);
      finishRun(context, run);
      return;
    case 'run.tasks_ended':
      run.isCutShort ||= message.data.outcome === 'timed_out';
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
      if (leaveScheduler(state, run)) markDirty(state, 'all');
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
  } else if (message.name === 'task.barrier_opened') {
    const task = run.tasks.get(id);
    if (task?.n === message.data.n) onBarrierOpened(context, { run, task }, message.data);
  } else if (message.name === 'task.stage_opened' || message.name === 'task.ramp_ended') {
    const task = run.tasks.get(id);
    if (task === undefined) return;
    if (message.name === 'task.stage_opened') onStageOpened(context, { run, task }, message.data);
    else onRampEnded(context, { run, task }, message.data);
    advanceRamp(context, { run, task });
  } else if (message.name === 'task.rank_lost' || message.name === 'task.rank_replaced') {
    const task = run.tasks.get(id);
    if (task === undefined) return;
    const { timeMs } = record;
    if (message.name === 'task.rank_lost')
      onRankLost(context, { run, task }, { data: message.data, timeMs });
    else onRankReplaced(context, { run, task }, message);
  } else if (message.name === 'task.retrying') {
    const task = retryTask(run, id, message.data);
    if (task === null) return;
    const takenBack = closeTakeBack(context, run.id, id);
    supersede(context, run, { task: id, n: message.data.n });
    const { needs } = message.data;
    if (needs !== undefined) raiseTask(state.scheduler, run.id, { index: task.index, needs });
    if (isStopped(run, task)) {
      endWaiting(context, run, [task]);
      return;
    }
    const { delayMs } = message.data;
    if (delayMs !== undefined) holdRetry(context, run, { task, timeMs: record.timeMs, delayMs });
    if (delayMs !== undefined || isPaused(run, task)) return;
    enqueue(state.scheduler, run.id, task.index);
    if (placeTakenBack(context, run, { task, to: takenBack?.to ?? null })) return;
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
  if (task === null) return;
  withdraw(context.state.scheduler, run.id, task.index);
  closeTakeBack(context, run.id, task.id);
  supersede(context, run, { task: task.id, n: task.n });
}

/** After which the ranks of a gang may go on to the next stage. */
const RAMP_EVENTS: ReadonlySet<string> = new Set(['attempt.ready', 'attempt.stage_measured']);

function onAttemptEvent(
  context: Context,
  run: RunEntry,
  input: { subject: Extract<ParsedSubject, { kind: 'attempt' }>; record: EventRecord },
): void {
  const { state } = context;
  const { subject, record } = input;
  const { agent, ref } = subject;
  const { message } = record;
  if (message.name === 'attempt.checkpointed') {
    noteCheckpoint(context, run, { ref, record });
    onKept(context, run, { task: ref.task, agent, timeMs: record.timeMs });
  } else applyToRun(run.fold, record);
  const accepted = acceptanceIn(message);
  const task = run.tasks.get(ref.task);
  if (accepted !== null) {
    if (accepted.gang !== undefined && task !== undefined)
      noteAccepted(run, task, { agent, n: ref.n, place: accepted.gang });
    const begin = { task: ref.task, n: ref.n, agent, afterStop: 0, sequence: null };
    const attempt = beginAttempt(run, begin);
    if (attempt !== null) {
      hold(context, run, { task: ref.task, agent });
      noteStart(stopsOf(state, run.id), attempt);
    }
  }
  // It may say with its first step that it was accepted.
  if (message.name === 'attempt.step_started' && task?.n === ref.n)
    onBegun(context, { run, task }, { agent, timeMs: record.timeMs });
  if (accepted !== null) return;
  if (message.name === 'attempt.ready' && task !== undefined)
    noteReady(context, { run, task }, { agent, n: ref.n, barrier: message.data.barrier });
  if (task !== undefined && RAMP_EVENTS.has(message.name)) advanceRamp(context, { run, task });
  if (message.name === 'attempt.survivors_gone') {
    const open = openAttempt(run, { ...ref, agent });
    if (open?.agent === agent) survivorsGone(context, run, open);
  }
  if (message.name !== 'attempt.exited') return;
  onAnswered(context, run, ref);
  if (task !== undefined)
    noteHostEnd(context, { run, task, agent }, { record, exited: message.data });
  const { vacated, decides: ended } = endAttempt(run, { ...ref, agent }, message.data);
  const decides = ended ?? (task === undefined ? null : reviewGang(context, run, task));
  if (task !== undefined) advanceRamp(context, { run, task });
  if (vacated) {
    const { elapsedMs, survivors } = message.data; // 0 for one that never got its slots
    const index = run.tasks.get(ref.task)?.index ?? 0;
    const heldMs = elapsedMs === 0 ? null : elapsedMs;
    const survives = survivors.length > 0 || otherRankLives(run, { ...ref, agent });
    giveUpPlace(context, run, { index, agent, heldMs, survives });
  }
  if (decides !== null) {
    withdraw(state.scheduler, run.id, decides.index);
    settleTask(context, run, decides);
  }
  const stops = state.stops.get(run.id);
  if (stops === undefined || stops.stops.size === 0) return;
  noteEvent(stops, record, task === undefined ? null : keyOf(run, task, { n: ref.n, agent }));
  closeStops(context, run);
}

function onAck(
  context: Context,
  { agent, command }: { readonly agent: string; readonly command: string },
  record: EventRecord,
): void {
  const { state } = context;
  const { message } = record;
  const of = 'run' in message.data ? message.data.run : undefined;
  if (of !== undefined && state.runs.get(of)?.purging !== false) noteLateAck(context, command, of);
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
  if (message.name === 'command.revoke_answered')
    onRevokeAnswered(context, { agent, command }, message.data);
  if (message.name !== 'command.stop_done') return;
  const run = state.runs.get(message.data.run);
  if (run === undefined) return;
  noteAck(stopsOf(state, run.id), command, record);
  closeStops(context, run);
}
