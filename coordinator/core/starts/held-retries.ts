/**
 * Failed tasks that wait for a while before they are tried again: pending, and out of the queue.
 *
 * `task.retrying` says how long. It counts from that event's place in time: for the leader that reads it
 * as it is stored from that moment, for a later one by the stream's clock up to its claim, and by its own
 * from there on, as a run's budget. A resume does not shorten it.
 */
import { isPaused, isStopped } from '../../runs/run-reducer.ts';
import type { RunEntry, TaskEntry } from '../../runs/run-state.ts';
import { enqueue, withdraw } from '../../scheduler/scheduler-reducer.ts';
import { markDirty, type Context } from '../core-state.ts';
import { wakeAt } from '../wake.ts';

/** Retries that are due within so little time are let go together. */
const TOGETHER_MS = 50;

/** `task.retrying` was stored, with a wait. */
export function holdRetry(
  context: Context,
  run: RunEntry,
  of: { readonly task: TaskEntry; readonly timeMs: number; readonly delayMs: number },
): void {
  const { state, now } = context;
  const { task, timeMs, delayMs } = of;
  // While the streams are replayed this is a time of theirs.
  const dueMs = (state.acting ? now.monotonicMs : timeMs) + delayMs;
  run.held.set(task.id, { n: task.n, dueMs });
  withdraw(state.scheduler, run.id, task.index);
  if (state.acting) wakeAt(context, dueMs);
}

/** Null where it waits for nothing of the kind. */
export function heldUntil(run: RunEntry, task: TaskEntry): number | null {
  const held = run.held.get(task.id);
  return held?.n === task.n && task.phase === 'pending' ? held.dueMs : null;
}

/** After the replay: from the stream's clock to this leader's. */
export function datesOfRetries({ state, now }: Context): void {
  for (const run of state.runs.values())
    for (const held of run.held.values()) {
      const dueMs = now.monotonicMs + held.dueMs - state.claimMs;
      held.dueMs = dueMs;
    }
}

/** Those that are due wait for a host; the next of the others wakes this leader. */
export function releaseRetries(context: Context): void {
  const { state, now } = context;
  let nextMs = Infinity;
  for (const run of state.runs.values())
    for (const [id, { n, dueMs }] of run.held) {
      if (dueMs > now.monotonicMs) {
        nextMs = Math.min(nextMs, dueMs);
        continue;
      }
      run.held.delete(id);
      const task = run.tasks.get(id);
      if (task?.n !== n || task.phase !== 'pending') continue;
      if (isStopped(run, task) || isPaused(run, task)) continue;
      enqueue(state.scheduler, run.id, task.index);
      markDirty(state, 'all');
    }
  if (nextMs < Infinity) wakeAt(context, Math.max(nextMs, now.monotonicMs + TOGETHER_MS));
}
