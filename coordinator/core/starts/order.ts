/**
 * The order of a run's tasks. It is a pure function of the suite and of the run it goes by, which
 * `run.submitted` names: that run is read again after each replay, from its directory. Meanwhile nothing
 * of the run is served; where the directory is gone, its tasks are served as listed.
 */
import type { PlannedTask } from '#protocol/suite/expand.ts';
import { sequenceOf, sequenceThrough } from '#protocol/suite/task-order.ts';
import type { RunEntry } from '../../runs/run-state.ts';
import { holdRun, orderRun } from '../../scheduler/scheduler-reducer.ts';
import { log, markDirty, type Context, type ReadHistory } from '../core-state.ts';

/** `run.submitted` was read, and the run is in the scheduler. */
export function beginOrder(context: Context, run: RunEntry): void {
  const { scheduler } = context.state;
  const { order, priorityBy } = run.suite;
  if (run.basis !== null) {
    holdRun(scheduler, run.id);
    askHistory(context, run);
  } else if (order !== undefined || priorityBy !== undefined) {
    orderRun(scheduler, run.id, sequenceOf(run.suite, plansOf(run), null));
  }
}

/** Of what was submitted before this leader's time when it begins to act: much of that has ended. */
export function askHistory({ state, effects }: Context, run: RunEntry): void {
  if (!state.acting || run.basis?.state !== 'unread' || run.ended !== 'no') return;
  effects.push({ kind: 'read_history', run: run.id, basis: run.basis.run });
}

export function onHistory(context: Context, { run: id, history, reason }: ReadHistory): void {
  const { state } = context;
  const run = state.runs.get(id);
  if (run?.basis?.state !== 'unread') return;
  run.basis.state = history === null ? 'gone' : 'read';
  if (history === null) {
    const { run: basis } = run.basis;
    const text = 'the run that its order goes by cannot be read: its tasks are served as listed';
    log(context, 'warn', { run: id, basis, reason }, text);
  }
  const cycles = run.fold.cycles?.begun ?? 1;
  const sequence = sequenceThrough(run.suite, plansOf(run), { cycles, history });
  orderRun(state.scheduler, id, sequence);
  markDirty(state, 'all');
}

/** Of a run that cycles those of its first. */
function plansOf({ fold, listed }: RunEntry): readonly PlannedTask[] {
  return fold.cycles?.cells ?? listed.map(({ plan }) => plan);
}
