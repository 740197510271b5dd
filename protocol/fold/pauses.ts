/**
 * Which tasks of a run are paused, and by whom. Pure: a pause counts from its place among the commands,
 * and is over with a resume that knows of it, whatever the order in which the two are read.
 */
import type { RunPaused, RunResumed } from '../messages/run/run.ts';
import type { Span } from './progress/spans.ts';

export interface RunPause {
  readonly command: string;
  /** Its sequence in BM_COMMANDS. */
  readonly sequence: number;
  /** One task, or null for the whole run. */
  readonly task: string | null;
  readonly by: string;
  readonly reason: string | null;
  readonly readMs: number;
  /** Whether its processes are proven gone; null while it is open. */
  result: 'dead' | 'unproven' | 'unkillable' | null;
  /** Who resumed it as a whole; null before that. */
  resumedBy: string | null;
}

export interface Pauses {
  readonly all: RunPause[];
  /** The newest pause that a resume knew of, by task; '' for the whole run. */
  readonly resumed: Map<string, number>;
  /** Since when the run as a whole is paused, by the stream's clock; null while it is not. */
  sinceMs: number | null;
  /** When it was paused as a whole before that: by the stream's clock, in order and disjoint. */
  readonly past: Span[];
}

export function createPauses(): Pauses {
  return { all: [], resumed: new Map(), sinceMs: null, past: [] };
}

export function addPause(pauses: Pauses, data: RunPaused, readMs: number): void {
  if (pauses.all.some(({ command }) => command === data.command)) return;
  const { command, stopSequence: sequence, task, by, reason } = data;
  const pause = { command, sequence, task, by, reason, readMs, result: null, resumedBy: null };
  pauses.all.push(pause);
  if (pauseOf(pauses, null) !== null) pauses.sinceMs ??= readMs;
}

export function addResume(pauses: Pauses, data: RunResumed, timeMs: number): void {
  const { task, throughSequence, by } = data;
  const before = pauses.resumed.get(task ?? '') ?? 0;
  pauses.resumed.set(task ?? '', Math.max(before, throughSequence));
  for (const pause of pauses.all) {
    const isOver = task === null || pause.task === task;
    if (isOver && pause.sequence <= throughSequence) pause.resumedBy ??= by;
  }
  if (pauses.sinceMs === null || pauseOf(pauses, null) !== null) return;
  if (timeMs > pauses.sinceMs) pauses.past.push({ fromMs: pauses.sinceMs, toMs: timeMs });
  pauses.sinceMs = null;
}

/** The newest pause that holds the task; null for none. `task` null: the run as a whole. */
export function pauseOf({ all, resumed }: Pauses, task: string | null): RunPause | null {
  if (all.length === 0) return null;
  const ofRun = resumed.get('') ?? 0;
  const known = task === null ? ofRun : Math.max(ofRun, resumed.get(task) ?? 0);
  let newest: RunPause | null = null;
  for (const pause of all) {
    const isOf = pause.task === null || pause.task === task;
    if (isOf && pause.sequence > Math.max(known, newest?.sequence ?? 0)) newest = pause;
  }
  return newest;
}
