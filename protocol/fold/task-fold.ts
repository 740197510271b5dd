/**
 * One task, folded from its attempts' events and the coordinator's `task.*` events.
 *
 * Order of progress is (n, state): attempt n + 1 may begin again, nothing else goes back (I3).
 * Terminal is terminal: the first end wins (I4). An event of an attempt that is not the current one
 * updates that attempt only, never the task.
 */
import type { AxisValue } from '../messages/ids.ts';
import type { FailureClass, Stage, TaskOutcome, TaskState } from '../messages/attempt/outcome.ts';
import type { Needs } from '../messages/attempt/needs.ts';
import type { AttemptFold } from './attempt-fold.ts';
import { membersOf, refold } from './gang-fold.ts';
import type { PackedAttempts } from './packed/packed-attempts.ts';
import { waitingRank } from './replaced-ranks.ts';
import { acceptedAttempts, attemptOf, changeAttempt, type AttemptSlot } from './task-attempts.ts';

export interface Retry {
  readonly n: number;
  readonly class: FailureClass;
  /** When it was decided, by the stream's clock; absent in what was folded before this was kept. */
  readonly timeMs?: number;
  /** Where the attempts after this one need more. */
  readonly needs?: Needs;
}

export interface TaskFold {
  readonly id: string;
  readonly index: number;
  readonly axes: Readonly<Record<string, AxisValue>>;
  readonly repeat: number;
  /** The current attempt: its number, even before it was accepted. */
  n: number;
  state: TaskState;
  outcome: TaskOutcome | null;
  stage: Stage | null;
  class: FailureClass | null;
  reason: string | null;
  startedMs: number | null;
  endedMs: number | null;
  /** While its next attempt is held back after a failure: until when, by the stream's clock. */
  retryAtMs: number | null;
  /** Which attempts were followed by another, and why, in order; null while none was. */
  retries: Retry[] | null;
  /** By n - 1; holes are attempts nobody reported. To be read and changed by task-attempts.ts alone. */
  attempts: AttemptSlot[];
  /** The run's; null where attempts stay as they are. */
  readonly packed: PackedAttempts | null;
  /** Attempts that it went on without, by n, with their agents, of a gang those of its ranks; absent for none. */
  superseded?: Map<number, readonly string[]>;
}

const RANK: Readonly<Record<TaskState, number>> = { pending: 0, assigned: 1, running: 2, ended: 3 };

export function createTaskFold(
  task: Pick<TaskFold, 'id' | 'index' | 'axes' | 'repeat'>,
  packed: PackedAttempts | null = null,
): TaskFold {
  return {
    id: task.id,
    index: task.index,
    axes: task.axes,
    repeat: task.repeat,
    n: 1,
    state: 'pending',
    outcome: null,
    stage: null,
    class: null,
    reason: null,
    startedMs: null,
    endedMs: null,
    retryAtMs: null,
    retries: null,
    attempts: [],
    packed,
  };
}

/** Moves the task forward to (n, state); false when that is not forward. */
export function advanceTask(task: TaskFold, n: number, state: TaskState): boolean {
  if (task.state === 'ended' || n < task.n) return false;
  if (n === task.n && RANK[state] <= RANK[task.state]) return false;
  task.n = n;
  task.state = state;
  return true;
}

export interface TaskEnd {
  readonly outcome: TaskOutcome;
  readonly stage: Stage | null;
  readonly class: FailureClass | null;
  readonly reason: string | null;
  readonly timeMs: number;
}

/** Ends the task, once; false when it has ended already. */
export function endTask(task: TaskFold, end: TaskEnd): boolean {
  if (task.state === 'ended') return false;
  task.state = 'ended';
  task.outcome = end.outcome;
  task.stage = end.stage;
  task.class = end.class;
  task.reason = end.reason;
  task.endedMs = end.timeMs;
  return true;
}

/**
 * The task goes on, or ends, without the end of attempt `n` on these agents, and on those that have not told
 * one: it is superseded there.
 */
export function leaveBehind(task: TaskFold, n: number, agents: readonly string[]): void {
  const attempt = attemptOf(task, n);
  const members = attempt === null ? [] : membersOf(attempt);
  const silent = members.filter(({ exited }) => exited === null).map(({ agent }) => agent);
  const left = new Set([...(task.superseded?.get(n) ?? []), ...agents, ...silent]);
  if (left.size === 0) return;
  task.superseded ??= new Map();
  task.superseded.set(n, [...left]);
  changeAttempt(task, n, (one) => {
    for (const member of membersOf(one)) member.superseded ||= left.has(member.agent);
    // A rank that found no other host is none of its members any more.
    one.superseded ||=
      membersOf(one).some((member) => member.superseded) || waitingRank(one) !== undefined;
    if (one.superseded) refold(one);
  });
}

/** Nobody waits for the end of this attempt on this agent. */
export function isLeftBehind(task: TaskFold, { n, agent }: { n: number; agent: string }): boolean {
  return task.superseded?.get(n)?.includes(agent) === true;
}

/** The attempt that is current, if an agent has accepted it. */
export function currentAttempt(task: TaskFold): AttemptFold | null {
  return attemptOf(task, task.n);
}

/** What attempt `n` needs, where that was raised since the first; null: as its suite says. */
export function raisedNeedsOf({ retries }: TaskFold, n: number): Needs | null {
  return retries?.findLast((retry) => retry.n < n && retry.needs !== undefined)?.needs ?? null;
}

/** Elapsed time of a task: the sum of its attempts' elapsed times. */
export function taskElapsedMs(task: TaskFold): number {
  return elapsedOf(acceptedAttempts(task));
}

export function elapsedOf(attempts: readonly AttemptFold[]): number {
  return attempts.reduce((sum, { elapsedMs }) => sum + elapsedMs, 0);
}
