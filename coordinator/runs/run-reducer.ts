/**
 * Run: the life of its tasks and attempts as the coordinator decides on it. Pure; changed only by
 * what is stored, and by `beginAttempt` for a start on its way.
 *
 * 1. Forward only: (n, phase) of a task never goes back, a repeat changes nothing (I3).
 * 2. A report of an attempt that is not the task's current one never changes the task; an attempt
 *    has one writer, the agent that was given it (I1).
 * 3. The first end of a task is its end (I4).
 * 4. An attempt stays open until its end is proven: a stop asks for exactly these (I5).
 */
import type { AttemptExited } from '#protocol/messages/attempt/attempt.ts';
import type { RunOutcome, TaskOutcome } from '#protocol/messages/attempt/outcome.ts';
import type { MessageData } from '#protocol/messages/catalog.ts';
import { openKey, type OpenAttempt, type RunEntry, type TaskEntry } from './run-state.ts';

export interface Begin {
  readonly task: string;
  readonly n: number;
  readonly agent: string;
  /** 0 where only the agent's events tell of it. */
  readonly afterStop: number;
  /** Of the start in BM_COMMANDS; null where it is not known. */
  readonly sequence: number | null;
}

/**
 * A start is on its way, was read, or its attempt was accepted. Resolves to the attempt if that
 * opens it: it takes its place on the agent from now on. Null for a repeat and for what is past.
 */
export function beginAttempt(run: RunEntry, begin: Begin): OpenAttempt | null {
  const task = run.tasks.get(begin.task);
  if (task === undefined) return null;
  run.agents.add(begin.agent);
  const known = run.open.get(openKey(begin.task, begin.n));
  if (known !== undefined) {
    if (known.sequence === null && begin.sequence !== null) {
      known.sequence = begin.sequence;
      known.afterStop = begin.afterStop;
    }
    return null;
  }
  if (begin.n < task.n || (begin.n === task.n && hasPassed(task))) return null;
  task.n = begin.n;
  task.phase = 'assigned';
  const attempt = { ...begin, exited: false };
  run.open.set(openKey(begin.task, begin.n), attempt);
  return attempt;
}

function hasPassed(task: TaskEntry): boolean {
  return task.phase === 'deciding' || task.phase === 'ended';
}

export interface EndedAttempt {
  /** The attempt held a place on its agent until now. */
  readonly vacated: boolean;
  /** It was the task's current one: something has to follow. */
  readonly decides: TaskEntry | null;
}

const NOTHING: EndedAttempt = { vacated: false, decides: null };

export function endAttempt(
  run: RunEntry,
  at: { task: string; n: number; agent: string },
  exited: AttemptExited,
): EndedAttempt {
  const task = run.tasks.get(at.task);
  if (task === undefined) return NOTHING;
  const key = openKey(at.task, at.n);
  const open = run.open.get(key);
  if (open !== undefined && open.agent !== at.agent) return NOTHING;
  if (open === undefined && (at.n < task.n || hasPassed(task))) return NOTHING;
  run.agents.add(at.agent);
  const vacated = open !== undefined && !open.exited;
  const isProven = exited.proven && exited.survivors.length === 0;
  if (isProven) run.open.delete(key);
  else if (open !== undefined) open.exited = true;
  else run.open.set(key, { ...at, afterStop: 0, sequence: null, exited: true });
  if (at.n < task.n || hasPassed(task)) return { vacated, decides: null };
  task.n = at.n;
  task.phase = 'deciding';
  const { outcome, stage, class: failure, reason } = exited;
  run.undecided.set(task.id, { outcome, stage, class: failure, reason });
  return { vacated, decides: task };
}

/** `task.retrying` was stored: the task if it waits again now. */
export function retryTask(
  run: RunEntry,
  id: string,
  data: MessageData<'task.retrying'>,
): TaskEntry | null {
  const task = run.tasks.get(id);
  if (task === undefined || task.phase === 'ended' || data.n < task.n) return null;
  task.used = { ...task.used, [data.class]: (task.used?.[data.class] ?? 0) + 1 };
  task.n = data.n + 1;
  task.phase = 'pending';
  run.undecided.delete(id);
  return task;
}

/** An end of the task was stored: the task if that is its first. */
export function endTask(run: RunEntry, id: string, outcome: TaskOutcome): TaskEntry | null {
  const task = run.tasks.get(id);
  if (task === undefined || task.phase === 'ended') return null;
  task.phase = 'ended';
  run.undecided.delete(id);
  run.endedTasks += 1;
  run.counts[outcome] = (run.counts[outcome] ?? 0) + 1;
  return task;
}

/** Sequence of the newest stop, pause or requeue that concerns the task: what its next start carries (I6). */
export function newestStop(run: RunEntry, task: TaskEntry): number {
  const { stopSequence, requeueSequence } = task;
  return Math.max(run.stopSequence, stopSequence, requeueSequence, newestPause(run, task));
}

/** Nothing of the task may start any more. */
export function isStopped(run: RunEntry, task: TaskEntry): boolean {
  return run.stopSequence > 0 || task.stopSequence > 0;
}

/** 0 where it was never paused. */
export function newestPause(run: RunEntry, task: TaskEntry): number {
  return Math.max(run.pauseSequence, task.pauseSequence);
}

/** Nothing of the task may start before it is resumed. */
export function isPaused(run: RunEntry, task: TaskEntry): boolean {
  return newestPause(run, task) > Math.max(run.resumedSequence, task.resumedSequence);
}

/** Nothing of it is with an agent, and nothing will be before a resume: it holds nobody up. */
export function isAllPaused(run: RunEntry): boolean {
  let paused = 0;
  for (const task of run.listed) {
    if (task.phase === 'ended') continue;
    if (task.phase !== 'pending' || isStopped(run, task) || !isPaused(run, task)) return false;
    paused += 1;
  }
  return paused > 0;
}

/** The outcome of a run whose tasks have all ended. */
export function runOutcome(run: RunEntry): RunOutcome {
  if (run.stopSequence > 0) return 'stopped';
  const { failed = 0, timed_out = 0, lost = 0, quarantined = 0 } = run.counts;
  return failed + timed_out + lost + quarantined > 0 ? 'failed' : 'passed';
}
