/** Stops as the leader goes about them: announced, obeyed by what waits, closed, and removed. */
import { subjects } from '#protocol/messages/subjects.ts';
import { isStopped } from '../../runs/run-reducer.ts';
import type { RunEntry, TaskEntry } from '../../runs/run-state.ts';
import { withdraw } from '../../scheduler/scheduler-reducer.ts';
import {
  closable,
  createRunStops,
  type Announced,
  type RunStops,
  type StopEntry,
} from '../../stop/stop-reducer.ts';
import { log, publish, type Context, type CoreState } from '../core-state.ts';
import { isWithdrawable, publishWithdrawn } from '../starts/cycles.ts';
import { tasksEnded } from './passed.ts';
import { budgetEnd } from './run-budget.ts';

export function stopsOf(state: CoreState, run: string): RunStops {
  const known = state.stops.get(run);
  if (known !== undefined) return known;
  const fresh = createRunStops();
  state.stops.set(run, fresh);
  return fresh;
}

/** Tasks that wait under an announced stop end at once: no attempt will report them. */
export function endWaiting(context: Context, run: RunEntry, tasks: Iterable<TaskEntry>): void {
  const { state } = context;
  if (!state.acting || run.ended === 'stored') return;
  const groups = new Map<string, { stop: Announced; ids: string[] }>();
  const withdrawn: string[] = [];
  for (const task of tasks) {
    if (task.phase !== 'pending' || !isStopped(run, task)) continue;
    const stop = announcedStop(stopsOf(state, run.id), task) ?? budgetEnd(run);
    if (stop === null) continue;
    task.phase = 'leaving';
    withdraw(state.scheduler, run.id, task.index);
    if (stop.task === null && isWithdrawable(run, task)) {
      withdrawn.push(task.id);
      continue;
    }
    const said = `stopped by ${stop.by}${stop.reason === null ? '' : `: ${stop.reason}`}`;
    const group = groups.get(said);
    if (group === undefined) groups.set(said, { stop, ids: [task.id] });
    else group.ids.push(task.id);
  }
  publishWithdrawn(context, run.id, withdrawn);
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
  const { by, reason, task, cause, pause, requeue, preemptedBy } = data;
  const subject = subjects.run(run.id);
  const facts = { command, stopSequence, by, reason, ...(cause && { cause }) };
  if (requeue === true && task !== null)
    publish(context, {
      subject,
      name: 'run.task_requeued',
      data: { ...facts, task, ...(preemptedBy && { preemptedBy }) },
    });
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

export function dropStrayStops(context: Context): void {
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
