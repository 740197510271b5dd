/**
 * Pause and resume. A pause is a stop to everybody but the scheduler: its tasks are pending still, only
 * out of the queue. Both count by the pause's place in BM_COMMANDS, so that it does not matter in which
 * order the two streams are read.
 */
import type { RunResumed } from '#protocol/messages/run/run.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { awaitsCycle, isPaused, isStopped, newestPause } from '../../runs/run-reducer.ts';
import type { RunEntry, TaskEntry } from '../../runs/run-state.ts';
import { enqueue, withdraw } from '../../scheduler/scheduler-reducer.ts';
import { heldUntil } from '../starts/held-retries.ts';
import { datePause } from './run-budget.ts';
import { markDirty, publish, type Context, type Resume } from '../core-state.ts';

/** A pause of this place among the commands is known: nothing of the target starts. */
export function holdBack(
  context: Context,
  run: RunEntry,
  id: string | null,
  sequence: number,
): void {
  const target = id === null ? run : run.tasks.get(id);
  if (target === undefined) return;
  target.pauseSequence = Math.max(target.pauseSequence, sequence);
  datePause(context, run);
  for (const task of targetsOf(run, id))
    if (task.phase === 'pending' && isPaused(run, task))
      withdraw(context.state.scheduler, run.id, task.index);
}

/** `run.resumed` was stored: what waited for it waits for a host again. */
export function letGo(context: Context, run: RunEntry, data: RunResumed): void {
  const { state } = context;
  const target = data.task === null ? run : run.tasks.get(data.task);
  if (target === undefined) return;
  target.resumedSequence = Math.max(target.resumedSequence, data.throughSequence);
  datePause(context, run);
  let waiting = 0;
  for (const task of targetsOf(run, data.task)) {
    if (task.phase !== 'pending' || isStopped(run, task) || isPaused(run, task)) continue;
    if (heldUntil(run, task) !== null) continue;
    enqueue(state.scheduler, run.id, task.index);
    waiting += 1;
  }
  markDirty(state, 'all');
  const isAsked = (resume: Resume): boolean =>
    resume.request.run === run.id && resume.request.task === data.task;
  const asked = state.resuming.filter(isAsked);
  state.resuming = state.resuming.filter((resume) => !isAsked(resume));
  for (const { token } of asked) {
    const reply = { run: run.id, task: data.task, waiting };
    context.effects.push({ kind: 'reply', token, reply: { kind: 'ok', reply } });
  }
}

/** Somebody asks: answered when `run.resumed` has come back stored, or at once with why not. */
export function onResume(context: Context, resume: Resume): void {
  const { state, effects } = context;
  const { token, request } = resume;
  const run = state.runs.get(request.run);
  const refusal = refusalOf(run, request.task);
  if (refusal !== null) {
    effects.push({ kind: 'reply', token, reply: { kind: 'error', ...refusal } });
    return;
  }
  if (run === undefined) return;
  state.resuming.push(resume);
  const { task, by } = request;
  const throughSequence = targetsOf(run, task).reduce(
    (newest, one) => Math.max(newest, one.pauseSequence),
    run.pauseSequence,
  );
  const data = { task, throughSequence, by };
  publish(context, { subject: subjects.run(run.id), name: 'run.resumed', data });
}

type Refusal = {
  readonly code: 'not_found' | 'already_ended' | 'not_paused';
  readonly message: string;
};

function refusalOf(run: RunEntry | undefined, id: string | null): Refusal | null {
  if (run === undefined) return { code: 'not_found', message: 'the run is not live' };
  const tasks = [...targetsOf(run, id)];
  const what = id === null ? `run ${run.id}` : `task ${run.id}/${id}`;
  if (id !== null && tasks.length === 0)
    return { code: 'not_found', message: `there is no ${what}` };
  const live = tasks.filter(({ phase }) => phase !== 'ended');
  // All of a cycle may have been stopped task by task: the next one begins when the run goes on.
  const isBetweenCycles = id === null && live.length === 0 && awaitsCycle(run);
  if (isBetweenCycles && run.pauseSequence > run.resumedSequence) return null;
  if (run.ended !== 'no' || live.length === 0)
    return { code: 'already_ended', message: `${what} has ended already` };
  if (live.every((task) => isStopped(run, task)))
    return { code: 'already_ended', message: `${what} is being stopped: it cannot be resumed` };
  if (live.some((task) => isPaused(run, task))) return null;
  const once = live.some((task) => newestPause(run, task) > 0) ? ' any more' : '';
  return { code: 'not_paused', message: `${what} is not paused${once}` };
}

function targetsOf(run: RunEntry, id: string | null): readonly TaskEntry[] {
  if (id === null) return run.listed;
  const task = run.tasks.get(id);
  return task === undefined ? [] : [task];
}
