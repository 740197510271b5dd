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
import { uncovered } from '#protocol/fold/cell-tally.ts';
import { everyoneOf } from '#protocol/fold/gang-fold.ts';
import { attemptOf } from '#protocol/fold/task-attempts.ts';
import { isLeftBehind } from '#protocol/fold/task-fold.ts';
import type { AttemptExited } from '#protocol/messages/attempt/attempt.ts';
import type { RunOutcome, TaskOutcome } from '#protocol/messages/attempt/outcome.ts';
import type { MessageData } from '#protocol/messages/catalog.ts';
import { gangOf, hasRankEnded, hostsOfTask, noteRankEnd, rankOfAgent } from './gang-state.ts';
import { isRankGone } from './lost-rank-state.ts';
import { openKey, type OpenAttempt, type RunEntry, type TaskEntry } from './run-state.ts';

/** Of the stop that the budget of a run gives. */
export function budgetStopId(run: string): string {
  return `budget-${run}`;
}

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
  const key = keyOf(run, task, begin);
  const known = run.open.get(key);
  if (known !== undefined) {
    if (known.sequence === null && begin.sequence !== null) {
      known.sequence = begin.sequence;
      known.afterStop = begin.afterStop;
    }
    return null;
  }
  const isCurrent = begin.n === task.n;
  const isOver = hasPassed(task) || isRankGone(gangOf(run, task), begin.agent);
  if (begin.n < task.n || (isCurrent && isOver)) {
    if (isOwed(run, begin)) run.open.set(key, { ...begin, key, exited: false, superseded: true });
    return null;
  }
  if (isCurrent && hasRankEnded(gangOf(run, task), begin.agent)) return null;
  task.n = begin.n;
  task.phase = 'assigned';
  const attempt = { ...begin, key, exited: false };
  run.open.set(key, attempt);
  return attempt;
}

/** A stop must ask for it: its task went on without its end, which no event has told since. */
function isOwed(run: RunEntry, { task, n, agent }: Begin): boolean {
  const fold = run.fold.tasks.get(task);
  if (fold === undefined || !isLeftBehind(fold, { n, agent })) return false;
  const attempt = attemptOf(fold, n);
  const own = attempt === null ? [] : everyoneOf(attempt);
  return own.every((one) => one.agent !== agent || one.exited === null);
}

/** Attempts of this number without a proven end: one, or as many as the task takes hosts. */
export function openOf(
  run: RunEntry,
  { task: id, n }: { readonly task: string; readonly n: number },
): OpenAttempt[] {
  const task = run.tasks.get(id);
  if (task === undefined) return [];
  if (hostsOfTask(run, task) > 1)
    return [...run.open.values()].filter((open) => open.task === id && open.n === n);
  const open = run.open.get(openKey(id, n));
  return open === undefined ? [] : [open];
}

/** Of a rank with its agent: several attempts of that number are open at once. */
export function keyOf(
  run: RunEntry,
  task: TaskEntry,
  { n, agent }: { readonly n: number; readonly agent: string },
): string {
  const key = openKey(task.id, n);
  return hostsOfTask(run, task) === 1 ? key : `${key}@${agent}`;
}

/** One that has not ended with a proof. */
export function openAttempt(
  run: RunEntry,
  at: { readonly task: string; readonly n: number; readonly agent: string },
): OpenAttempt | undefined {
  const task = run.tasks.get(at.task);
  return task === undefined ? undefined : run.open.get(keyOf(run, task, at));
}

/** Of a task on several hosts, whose locks are those of all its ranks: another rank of the attempt lives on. */
export function otherRankLives(
  run: RunEntry,
  { task: id, n, agent }: { readonly task: string; readonly n: number; readonly agent: string },
): boolean {
  const task = run.tasks.get(id);
  if (task === undefined || hostsOfTask(run, task) === 1) return false;
  for (const open of run.open.values()) {
    if (open.task !== id || open.n !== n || open.agent === agent) continue;
    if (open.superseded === true) continue;
    if (!open.exited || open.survives === true) return true;
  }
  return false;
}

function hasPassed(task: TaskEntry): boolean {
  return task.phase === 'deciding' || task.phase === 'ended';
}

export interface EndedAttempt {
  /** The attempt held a place on its agent until now. */
  readonly vacated: boolean;
  /** It was the task's current one, and its only one: something has to follow. */
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
  const key = keyOf(run, task, at);
  const open = run.open.get(key);
  if (open !== undefined && open.agent !== at.agent) return NOTHING;
  if (open === undefined && (at.n < task.n || hasPassed(task))) return NOTHING;
  run.agents.add(at.agent);
  const vacated = open !== undefined && !open.exited && open.superseded !== true;
  const isProven = exited.proven && exited.survivors.length === 0;
  if (isProven) run.open.delete(key);
  else if (open !== undefined) {
    open.exited = true;
    if (vacated && exited.survivors.length > 0) open.survives = true;
  } else run.open.set(key, { ...at, key, afterStop: 0, sequence: null, exited: true });
  if (at.n < task.n || hasPassed(task)) return { vacated, decides: null };
  task.n = at.n;
  const { outcome, stage, class: failure, reason } = exited;
  const end = { outcome, stage, class: failure, reason };
  const gang = gangOf(run, task);
  if (gang !== null) {
    if (!isRankGone(gang, at.agent)) noteRankEnd(gang, rankOfAgent(gang, at.agent), end);
    return { vacated, decides: null };
  }
  task.phase = 'deciding';
  run.undecided.set(task.id, end);
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
  if (data.superseded === true && data.avoid !== undefined)
    task.lostWith = [...new Set([...(task.lostWith ?? []), data.avoid])];
  task.needs = data.needs ?? task.needs;
  task.n = data.n + 1;
  task.phase = 'pending';
  run.gangs.delete(id);
  run.undecided.delete(id);
  return task;
}

/** An end of the task was stored: the task if that is its first. */
export function endTask(run: RunEntry, id: string, outcome: TaskOutcome): TaskEntry | null {
  const task = run.tasks.get(id);
  if (task === undefined || task.phase === 'ended') return null;
  task.phase = 'ended';
  run.gangs.delete(id);
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
  return run.stopSequence > 0 || task.stopSequence > 0 || run.fold.isBudgetUsed;
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

/** Its cells may be measured once more. */
export function mayCycle(run: RunEntry): boolean {
  const { cycles, isBudgetUsed } = run.fold;
  if (cycles === null || cycles.begun >= cycles.most) return false;
  return run.ended === 'no' && run.stopSequence === 0 && !isBudgetUsed && !run.isBudgetEndAsked;
}

/** Further tasks may come: the run does not end with those that it has. */
export function awaitsCycle(run: RunEntry): boolean {
  return mayCycle(run) || run.cycleAsked > (run.fold.cycles?.begun ?? 0);
}

/**
 * The outcome of a run whose tasks have all ended. One that measures its cells until its budget ends has
 * done so when that ends it: what was cut off then counts for nothing, unless a cell was never measured.
 */
export function runOutcome(run: RunEntry): RunOutcome {
  const { cycles, tally, stops } = run.fold;
  const isPlanned =
    cycles !== null &&
    stops.every(({ task, command }) => task !== null || command === budgetStopId(run.id));
  if (run.stopSequence > 0 && !isPlanned) return 'stopped';
  if (run.fold.isBudgetUsed && run.isCutShort) return 'stopped';
  const { failed = 0, timed_out = 0, lost = 0, quarantined = 0, stopped = 0 } = run.counts;
  if (failed + timed_out + lost + quarantined > 0) return 'failed';
  // A task that somebody has stopped has not passed. Of cycles one that was cut off may have, in another one.
  if (cycles === null) return stopped > 0 ? 'stopped' : 'passed';
  return tally !== null && uncovered(tally) > 0 ? 'stopped' : 'passed';
}
