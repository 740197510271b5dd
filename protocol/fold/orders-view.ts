/** What people asked of a run and wrote about it, as its view and those of its tasks tell it. */
import { pauseOf, type RunPause } from './pauses.ts';
import type { RunFold, RunNote, RunStop } from './run-fold.ts';
import { iso } from './stream-date.ts';

export interface StopSummary {
  readonly command: string;
  readonly task: string | null;
  readonly by: string;
  readonly reason: string | null;
  readonly result: RunStop['result'];
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

export function stopSummary({ command, task, by, reason, result }: RunStop): StopSummary {
  return { command, task, by, reason, result };
}

export function noteView({ timeMs, task, by, text }: RunNote): NoteView {
  return { time: iso(timeMs), task, by, text };
}

export function pausedOf(fold: RunFold, task: string | null): Paused | null {
  const pause = pauseOf(fold.pauses, task);
  return pause === null ? null : { by: pause.by, reason: pause.reason };
}
