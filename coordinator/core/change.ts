/** How a live run is served, changed by an operator: stored as `run.changed`, and so replayed. */
import type { ChangeReply } from '#protocol/messages/run/api.ts';
import type { RunChanged } from '#protocol/messages/run/run.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { RunEntry } from '../runs/run-state.ts';
import { changeRun } from '../scheduler/scheduler-reducer.ts';
import { markDirty, publish, type Change, type Context } from './core-state.ts';

/** Somebody asks: answered when `run.changed` has come back stored, or at once with why not. */
export function onChange(context: Context, change: Change): void {
  const { state, effects } = context;
  const { token, request } = change;
  const { run: id, ...data } = request;
  const run = state.runs.get(id);
  if (run?.ended !== 'no') {
    const refusal =
      run === undefined
        ? { code: 'not_found' as const, message: 'the run is not live' }
        : { code: 'already_ended' as const, message: `run ${id} has ended already` };
    effects.push({ kind: 'reply', token, reply: { kind: 'error', ...refusal } });
    return;
  }
  const stored = publish(context, { subject: subjects.run(id), name: 'run.changed', data });
  state.owed.set(stored, { token, reply: null });
}

/**
 * `run.changed` was stored. What agents have in hand keeps the priority it was handed out with. Returns
 * how the run is served now.
 */
export function applyChange({ state }: Context, run: RunEntry, data: RunChanged): ChangeReply {
  run.priority = data.priority ?? run.priority;
  if (data.maxParallel !== undefined) run.maxParallel = data.maxParallel;
  const { id, priority, maxParallel } = run;
  changeRun(state.scheduler, id, { priority, maxParallel });
  markDirty(state, 'all');
  return { run: id, priority, maxParallel };
}
