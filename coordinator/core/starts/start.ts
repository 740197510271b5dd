/** The start of an attempt: its id, what it says, and the end of a task that cannot be started. */
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { toError } from '#protocol/messages/errors.ts';
import type { AttemptRef } from '#protocol/messages/ids.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { attemptSpec } from '#protocol/suite/attempt-spec.ts';
import { resumeOf } from '../../runs/run-files.ts';
import type { RunEntry, TaskEntry } from '../../runs/run-state.ts';
import { publish, type Context } from '../core-state.ts';

/** The id of the only start an attempt ever has: a repeat is recognised by it. */
export function startId(run: string, task: string, n: number): string {
  return `${run}_${task}_${n}`;
}

/** The attempt whose start has this id; `run` from the subject, since ids may hold the separator. */
export function attemptOfStart(id: string, run: string): AttemptRef | null {
  const rest = id.startsWith(`${run}_`) ? id.slice(run.length + 1) : '';
  const [, task, n] = /^(.+)_(\d+)(?:_start\d+(?:e\d+)?)?$/.exec(rest) ?? [];
  return task === undefined ? null : { run, task, n: Number(n) };
}

/** The attempt spelled out, or why that cannot be done: a suite is no reason to end the process. */
export function specOf(run: RunEntry, task: TaskEntry): AttemptSpec | string {
  try {
    const spec = attemptSpec(run.suite, {
      run: run.id,
      task: task.plan,
      n: task.n,
      needs: task.needs,
    });
    const resume = resumeOf(run, task);
    return resume.length === 0 ? spec : { ...spec, resume };
  } catch (error) {
    return toError(error).message;
  }
}

/** With the first start of any of its tasks the run has started. */
export function sayStarted(context: Context, run: RunEntry): void {
  if (run.started !== 'no') return;
  run.started = 'asked';
  publish(context, { subject: subjects.run(run.id), name: 'run.started', data: {} });
}

/** Why, for people. */
export function unstartable(reason: string): string {
  return `it cannot be started: ${reason}`;
}

/** Its task ends, as failed before anything ran. */
export function sayUnstartable(
  context: Context,
  run: RunEntry,
  { task, n, reason }: { readonly task: string; readonly n: number; readonly reason: string },
): void {
  publish(context, {
    subject: subjects.task(run.id, task),
    name: 'task.ended',
    data: {
      ...{ outcome: 'failed', n, stage: 'provision', class: null },
      reason: unstartable(reason),
    },
  });
}
