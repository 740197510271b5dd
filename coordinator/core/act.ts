/**
 * What the leader does about its state: everything that is asked to be stored. Nothing here
 * happens before both streams are replayed, and each thing is asked for once per term.
 */
import { attemptSpec } from '#protocol/suite/attempt-spec.ts';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { toError } from '#protocol/messages/errors.ts';
import type { AttemptRef } from '#protocol/messages/ids.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { observe, withoutMailbox, availableAgents } from '../fleet/fleet-reducer.ts';
import { decide } from '../runs/retry-policy.ts';
import { resumeOf, storedObjects } from '../runs/run-files.ts';
import {
  beginAttempt,
  isStopped,
  newestPause,
  newestStop,
  runOutcome,
} from '../runs/run-reducer.ts';
import { openKey, type RunEntry, type TaskEntry } from '../runs/run-state.ts';
import {
  neighbours,
  occupy,
  place,
  placeTask,
  vacate,
  withdraw,
  type Placement,
} from '../scheduler/scheduler-reducer.ts';
import {
  closable,
  createRunStops,
  hasOpenStop,
  noteStart,
  stopCommands,
  type Announced,
  type RunStops,
  type StopEntry,
} from '../stop/stop-reducer.ts';
import { log, markDirty, publish, type Context, type CoreState } from './core-state.ts';
import { askHistory } from './order.ts';
import { dropOldCheckpoints } from './old-checkpoints.ts';
import { dropOldStarts } from './old-starts.ts';
import { endPassed, tasksEnded } from './passed.ts';
import { goOnWithout, requeuedFrom } from './requeue.ts';
import { budgetReason, stopOverBudget } from './run-budget.ts';
import { beginSweeps, sweepWhenDue } from './sweep.ts';

/** Starts live below 7 days; then they are as if never given. */
const START_TTL_SECONDS = 6 * 24 * 3_600;

export function stopsOf(state: CoreState, run: string): RunStops {
  const known = state.stops.get(run);
  if (known !== undefined) return known;
  const fresh = createRunStops();
  state.stops.set(run, fresh);
  return fresh;
}

/** Hands waiting tasks to the agents that may have room. */
export function fillAgents(context: Context): void {
  const { state } = context;
  const { dirty } = state;
  if (!state.acting || (dirty !== 'all' && dirty.size === 0)) return;
  state.dirty = new Set();
  const agents = availableAgents(state.fleet, dirty === 'all' ? undefined : dirty);
  if (agents.length === 0) return;
  for (const placement of place(state.scheduler, agents)) startTask(context, placement);
}

function startTask(context: Context, { run: id, index, agent }: Placement): void {
  const run = context.state.runs.get(id);
  const task = run?.listed[index];
  if (run === undefined || task === undefined) return;
  if (run.started === 'no') {
    run.started = 'asked';
    publish(context, { subject: subjects.run(id), name: 'run.started', data: {} });
  }
  const afterStop = newestStop(run, task);
  const { n } = task;
  const attempt = beginAttempt(run, { task: task.id, n, agent, afterStop, sequence: null });
  if (attempt !== null) noteStart(stopsOf(context.state, id), attempt);
  const spec = specOf(run, task);
  if (typeof spec === 'string') {
    abandonStart(context, { run: id, task: task.id, n }, spec);
    return;
  }
  publish(context, {
    subject: subjects.command(agent, 'start', id),
    name: 'command.start',
    data: { spec, afterStop, priority: run.priority + (run.added?.[index] ?? 0) },
    id: startId(id, task.id, n),
    ttl: START_TTL_SECONDS,
    // One in flight at a time would hold slots up; a repeat is recognised by its id.
    unordered: true,
  });
}

/** The task, which waits, goes to another agent if one has room now; else it takes its turn. */
export function placeElsewhere(
  context: Context,
  run: RunEntry,
  { task, avoid }: { readonly task: TaskEntry; readonly avoid: string | undefined },
): void {
  const { state } = context;
  if (avoid === undefined || !state.acting) return;
  const others = availableAgents(state.fleet).filter(({ id }) => id !== avoid);
  const placement = placeTask(state.scheduler, { run: run.id, index: task.index }, others);
  if (placement !== null) startTask(context, placement);
}

/** The attempt spelled out, or why that cannot be done: a suite is no reason to end the process. */
function specOf(run: RunEntry, task: TaskEntry): AttemptSpec | string {
  try {
    const spec = attemptSpec(run.suite, { run: run.id, task: task.plan, n: task.n });
    const resume = resumeOf(run, task);
    return resume.length === 0 ? spec : { ...spec, resume };
  } catch (error) {
    return toError(error).message;
  }
}

/** A start that can never be stored: its task ends, as failed before anything ran. */
export function abandonStart(context: Context, ref: AttemptRef, reason: string): void {
  const { state } = context;
  const run = state.runs.get(ref.run);
  const key = openKey(ref.task, ref.n);
  const open = run?.open.get(key);
  if (run === undefined || open === undefined) return;
  run.open.delete(key);
  for (const stop of stopsOf(state, run.id).stops.values()) stop.overtaken.delete(key);
  vacate(state.scheduler, run.id, { agent: open.agent, heldMs: null });
  markDirty(state, neighbours(state.scheduler, open.agent));
  publish(context, {
    subject: subjects.task(ref.run, ref.task),
    name: 'task.ended',
    data: {
      outcome: 'failed',
      n: ref.n,
      stage: 'provision',
      class: null,
      reason: `it cannot be started: ${reason}`,
    },
  });
  closeStops(context, run);
}

/** The id of the only start an attempt ever has: a repeat is recognised by it. */
export function startId(run: string, task: string, n: number): string {
  return `${run}_${task}_${n}`;
}

/** The attempt whose start has this id; `run` from the subject, since ids may hold the separator. */
export function attemptOfStart(id: string, run: string): AttemptRef | null {
  const rest = id.startsWith(`${run}_`) ? id.slice(run.length + 1) : '';
  const at = rest.lastIndexOf('_');
  const n = Number(rest.slice(at + 1));
  return at > 0 && Number.isSafeInteger(n) ? { run, task: rest.slice(0, at), n } : null;
}

/** What follows an ended attempt: a retry, or the end of its task. */
export function settleTask(context: Context, run: RunEntry, task: TaskEntry): void {
  const end = run.undecided.get(task.id);
  if (!context.state.acting || end === undefined || task.phase !== 'deciding') return;
  // Part of it may be purged already: what is left does not tell what was decided.
  if (run.ended === 'stored') return;
  const decision = decide({
    n: task.n,
    end,
    retries: run.suite.retries,
    used: task.used ?? {},
    stopped: isStopped(run, task),
    wasPaused: newestPause(run, task) > 0 || task.requeueSequence > 0,
  });
  const subject = subjects.task(run.id, task.id);
  if (decision.kind === 'retry') {
    const data = { ...decision.data, ...requeuedFrom(run, task, decision.data.class) };
    publish(context, { subject, name: 'task.retrying', data });
  } else if (decision.data.outcome === 'passed') endPassed(context, run, task);
  else publish(context, { subject, name: 'task.ended', data: decision.data });
}

/** Tasks that wait under an announced stop end at once: no attempt will report them. */
export function endWaiting(context: Context, run: RunEntry, tasks: Iterable<TaskEntry>): void {
  const { state } = context;
  if (!state.acting || run.ended === 'stored') return;
  const groups = new Map<string, { stop: Announced; ids: string[] }>();
  for (const task of tasks) {
    if (task.phase !== 'pending' || !isStopped(run, task)) continue;
    const stop = announcedStop(stopsOf(state, run.id), task);
    if (stop === null) continue;
    task.phase = 'leaving';
    withdraw(state.scheduler, run.id, task.index);
    const said = `stopped by ${stop.by}${stop.reason === null ? '' : `: ${stop.reason}`}`;
    const group = groups.get(said);
    if (group === undefined) groups.set(said, { stop, ids: [task.id] });
    else group.ids.push(task.id);
  }
  for (const [said, { stop, ids }] of groups) {
    const end = { run: run.id, ids };
    if (stop.cause === 'budget')
      tasksEnded(context, { ...end, outcome: 'timed_out', reason: stop.reason });
    else tasksEnded(context, { ...end, outcome: 'stopped', reason: said });
  }
}

function announcedStop(stops: RunStops, task: TaskEntry): Announced | null {
  for (const stop of stops.announced.values()) {
    if (stop.pause !== true && (stop.task === null || stop.task === task.id)) return stop;
  }
  return null;
}

/** Announces a stop or pause that was read, unless the run is over. */
export function announceStop(context: Context, run: RunEntry, stop: StopEntry): void {
  if (!context.state.acting || stop.announced !== 'no') return;
  if (run.ended === 'stored') {
    stop.announced = 'stored';
    return;
  }
  stop.announced = 'asked';
  const { command, sequence: stopSequence, data } = stop;
  const { by, reason, task, cause, pause, requeue } = data;
  const subject = subjects.run(run.id);
  const facts = { command, stopSequence, by, reason, ...(cause && { cause }) };
  if (requeue === true && task !== null)
    publish(context, { subject, name: 'run.task_requeued', data: { ...facts, task } });
  else if (pause === true)
    publish(context, { subject, name: 'run.paused', data: { ...facts, task } });
  else if (task === null) publish(context, { subject, name: 'run.stopping', data: facts });
  else publish(context, { subject, name: 'run.task_stopping', data: { ...facts, task } });
}

/** Closes the stops of the run that everyone concerned has acknowledged (I5). */
export function closeStops(context: Context, run: RunEntry): void {
  const { state } = context;
  const stops = state.stops.get(run.id);
  if (!state.acting || stops === undefined) return;
  for (const { stop, result } of closable(stops)) {
    stop.closed = 'asked';
    const data = { command: stop.command, result };
    publish(context, { subject: subjects.run(run.id), name: 'run.stop_closed', data });
  }
}

/**
 * Ends the run with its last task, once its stops are closed (what comes after the end is no part
 * of the view), then has it archived.
 */
export function finishRun(context: Context, run: RunEntry): void {
  const { state } = context;
  const stops = stopsOf(state, run.id);
  if (!state.acting || hasOpenStop(stops)) return;
  if (run.ended === 'no' && run.endedTasks === run.listed.length) {
    run.ended = 'asked';
    const data = {
      outcome: runOutcome(run),
      counts: { ...run.counts },
      reason: budgetReason(stops),
    };
    publish(context, { subject: subjects.run(run.id), name: 'run.ended', data });
  }
  if (run.ended !== 'stored' || run.archived !== 'no') return;
  run.archived = 'asked';
  context.effects.push({
    kind: 'archive',
    run: run.id,
    fromSequence: run.order,
    stopCommands: stopCommands(stops),
    hosts: Object.fromEntries(
      [...run.agents].flatMap((id) => {
        const registration = state.fleet.agents.get(id)?.registration;
        return registration === null || registration === undefined ? [] : [[id, registration]];
      }),
    ),
  });
}

export function schedulePurge(context: Context, run: RunEntry): void {
  run.purgeAtMs ??= context.now.monotonicMs + context.state.timing.purgeAfterMs;
}

/** Everything that is due by time alone. */
export function actOnTime(context: Context): void {
  const { state, now } = context;
  if (!state.acting) return;
  for (const agent of withoutMailbox(state.fleet))
    context.effects.push({ kind: 'make_mailbox', agent });
  for (const { agent, kind, silentMs, incarnation } of observe(
    state.fleet,
    now.monotonicMs,
    state.timing.agentLeaseMs,
  )) {
    const subject = subjects.fleet(agent);
    if (kind === 'unreachable') {
      publish(context, {
        subject,
        name: 'agent.unreachable',
        data: { silentMs: Math.round(silentMs) },
      });
    } else publish(context, { subject, name: 'agent.returned', data: { incarnation } });
  }
  for (const run of state.runs.values()) {
    if (run.purging || run.purgeAtMs === null || run.purgeAtMs > now.monotonicMs) continue;
    // A stop's close must be read back, or its message would never be deleted.
    if (hasOpenStop(stopsOf(state, run.id))) continue;
    run.purging = true;
    context.effects.push({
      kind: 'purge',
      run: run.id,
      agents: [...run.agents],
      stopCommands: stopCommands(stopsOf(state, run.id)),
      files: storedObjects(run),
    });
  }
  stopOverBudget(context);
  dropOldCheckpoints(context);
  dropOldStarts(context);
  dropStrayStops(context);
  sweepWhenDue(context);
}

function dropStrayStops(context: Context): void {
  const { state, now } = context;
  if (state.strayStops.length === 0) return;
  const isOld = (sinceMs: number): boolean => now.monotonicMs - sinceMs > state.timing.strayAfterMs;
  for (const stop of state.strayStops.filter(({ sinceMs }) => isOld(sinceMs))) {
    log(
      context,
      'warn',
      { run: stop.data.run, command: stop.command },
      'stop of a run that is not live, or one stored twice',
    );
    context.effects.push({ kind: 'delete_stop', sequence: stop.sequence });
  }
  state.strayStops = state.strayStops.filter(({ sinceMs }) => !isOld(sinceMs));
}

/** After the replay: all that the leaders before have left undone. */
export function resume(context: Context): void {
  const { state } = context;
  state.acting = true;
  beginSweeps(context);
  for (const run of state.runs.values()) {
    for (const stop of stopsOf(state, run.id).stops.values()) {
      announceStop(context, run, stop);
      if (stop.closed === 'stored')
        context.effects.push({ kind: 'delete_stop', sequence: stop.sequence });
    }
    for (const id of run.undecided.keys()) {
      const task = run.tasks.get(id);
      if (task !== undefined) settleTask(context, run, task);
    }
    endWaiting(context, run, run.listed);
    askHistory(context, run);
    goOnWithout(context, run);
    closeStops(context, run);
    finishRun(context, run);
    if (run.archived === 'stored') schedulePurge(context, run);
  }
}

/** An attempt that was not handed out by this leader takes its place. */
export function hold(context: Context, run: RunEntry, at: { task: string; agent: string }): void {
  const { scheduler } = context.state;
  const task = run.tasks.get(at.task);
  if (task !== undefined) withdraw(scheduler, run.id, task.index);
  occupy(scheduler, run.id, at.agent);
}
