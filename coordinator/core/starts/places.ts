/** Places of attempts on agents: taken, and given up. */
import { otherRankLives } from '../../runs/run-reducer.ts';
import type { OpenAttempt, RunEntry } from '../../runs/run-state.ts';
import {
  giveLocksBack,
  neighbours,
  occupy,
  vacate,
  withdraw,
} from '../../scheduler/scheduler-reducer.ts';
import { markDirty, type Context } from '../core-state.ts';

/** An attempt that was not handed out by this leader takes its place. */
export function hold(context: Context, run: RunEntry, at: { task: string; agent: string }): void {
  const { scheduler } = context.state;
  const task = run.tasks.get(at.task);
  if (task === undefined) return;
  const { index } = task;
  withdraw(scheduler, run.id, index);
  occupy(scheduler, run.id, { index, agent: at.agent });
}

/** An attempt has given its place up: who may have use for it is offered it. */
export function vacated({ state }: Context, run: RunEntry, at: Parameters<typeof vacate>[2]): void {
  const isForAll = vacate(state.scheduler, run.id, at) || run.maxParallel !== null;
  markDirty(state, isForAll ? 'all' : neighbours(state.scheduler, at.agent));
}

/** What an attempt that has ended had left alive is gone, or nobody will ever hear: its locks are free. */
export function survivorsGone({ state }: Context, run: RunEntry, open: OpenAttempt): void {
  if (open.survives !== true) return;
  delete open.survives;
  const task = run.tasks.get(open.task);
  if (task === undefined || otherRankLives(run, open)) return;
  if (giveLocksBack(state.scheduler, run.id, task.index)) markDirty(state, 'all');
}
