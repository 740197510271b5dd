/**
 * Tasks that passed end together: one message names all of a run that passed within a moment. After
 * quiet the first ends at once, so nobody waits for it. What is gathered and not yet said dies with
 * the term; the next leader decides it again from the attempts' ends.
 */
import { subjects } from '#protocol/messages/subjects.ts';
import type { RunEntry, TaskEntry } from '../../runs/run-state.ts';
import { publish, type Context } from '../core-state.ts';

/** Between two such messages of a term. */
const GATHER_MS = 25;
const TASKS_PER_EVENT = 500;

export function endPassed(context: Context, run: RunEntry, task: TaskEntry): void {
  const { now, effects } = context;
  const { passed } = context.state;
  const ids = passed.waiting.get(run.id);
  if (ids === undefined) passed.waiting.set(run.id, [task.id]);
  else ids.push(task.id);
  if (passed.isDue) return;
  const afterMs = passed.saidMs + GATHER_MS - now.monotonicMs;
  if (afterMs <= 0) sayPassed(context);
  else {
    passed.isDue = true;
    effects.push({ kind: 'say_passed_soon', afterMs });
  }
}

export function sayPassed(context: Context): void {
  const { passed } = context.state;
  passed.isDue = false;
  passed.saidMs = context.now.monotonicMs;
  for (const [run, ids] of passed.waiting) tasksEnded(context, { run, ids, outcome: 'passed' });
  passed.waiting.clear();
}

/** Ends of tasks that share everything said of them. */
export function tasksEnded(
  context: Context,
  end: {
    readonly run: string;
    readonly ids: readonly string[];
    readonly outcome: 'passed' | 'stopped' | 'timed_out';
    readonly reason?: string | null;
  },
): void {
  const { run, ids, outcome, reason = null } = end;
  for (let at = 0; at < ids.length; at += TASKS_PER_EVENT) {
    const data = { outcome, reason, tasks: ids.slice(at, at + TASKS_PER_EVENT) };
    publish(context, { subject: subjects.run(run), name: 'run.tasks_ended', data });
  }
}
