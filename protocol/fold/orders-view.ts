/** What people asked of a run and wrote about it, as its view and those of its tasks tell it. */
import type { TaskState } from '../messages/attempt/outcome.ts';
import type { Preemptor } from '../messages/run/command.ts';
import { pauseOf, type RunPause } from './pauses.ts';
import type { RunFold, RunNote, RunStop } from './run-fold.ts';
import { iso } from './stream-date.ts';

export interface StopSummary {
  readonly command: string;
  readonly task: string | null;
  readonly by: string;
  readonly reason: string | null;
  readonly result: RunStop['result'];
  /** Of a requeue: the task that it made room for. */
  readonly preemptedBy?: Preemptor;
}

export type Paused = Pick<RunPause, 'by' | 'reason'>;
export type PauseSummary = StopSummary & Pick<RunPause, 'resumedBy'>;

export interface NoteView {
  /** ISO 8601, the stream's clock. */
  readonly time: string;
  /** One task, or null for the run. */
  readonly task: string | null;
  readonly by: string;
  readonly text: string;
}

export function stopSummary(stop: RunStop): StopSummary {
  const { command, task, by, reason, result, preemptedBy } = stop;
  return { command, task, by, reason, result, ...(preemptedBy && { preemptedBy }) };
}

/** What a task has made room for, while it waits for some itself; null for any other. */
export function preemptorOf(
  { requeues }: Pick<RunFold, 'requeues'>,
  task: { readonly id: string; readonly state: TaskState },
): Preemptor | null {
  if (requeues.length === 0 || (task.state !== 'pending' && task.state !== 'assigned')) return null;
  return requeues.findLast((one) => one.task === task.id)?.preemptedBy ?? null;
}

export function noteView({ timeMs, task, by, text }: RunNote): NoteView {
  return { time: iso(timeMs), task, by, text };
}

export function pausedOf(fold: RunFold, task: string | null): Paused | null {
  const pause = pauseOf(fold.pauses, task);
  return pause === null ? null : { by: pause.by, reason: pause.reason };
}
