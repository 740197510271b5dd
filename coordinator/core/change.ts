/** How a live run is served, changed by an operator: stored as `run.changed`, and so replayed. */
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
  state.changing.push(change);
  publish(context, { subject: subjects.run(id), name: 'run.changed', data });
}

/** `run.changed` was stored. What agents have in hand keeps the priority it was handed out with. */
export function applyChange(context: Context, run: RunEntry, data: RunChanged): void {
  const { state, effects } = context;
  run.priority = data.priority ?? run.priority;
  if (data.maxParallel !== undefined) run.maxParallel = data.maxParallel;
  const { id, priority, maxParallel } = run;
  changeRun(state.scheduler, id, { priority, maxParallel });
  markDirty(state, 'all');
  // On one subject what was asked first is stored first.
  const at = state.changing.findIndex(({ request }) => request.run === id);
  const [answered] = at < 0 ? [] : state.changing.splice(at, 1);
  if (answered === undefined) return;
  const reply = { run: id, priority, maxParallel };
  effects.push({ kind: 'reply', token: answered.token, reply: { kind: 'ok', reply } });
}
