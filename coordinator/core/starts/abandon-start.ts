/** A start that no agent will ever have. */
import type { AttemptRef } from '#protocol/messages/ids.ts';
import { gangOf, noteRankEnd, rankOfAgent } from '../../runs/gang-state.ts';
import { openAttempt } from '../../runs/run-reducer.ts';
import { settleTask } from '../act.ts';
import type { Context } from '../core-state.ts';
import { reviewGang } from '../gangs/gang.ts';
import { vacated } from './places.ts';
import { sayUnstartable, unstartable } from './start.ts';
import { closeStops, stopsOf } from '../ends/stops.ts';

/** A start that can never be stored: its task ends, as failed before anything ran. */
export function abandonStart(
  context: Context,
  ref: AttemptRef & { readonly agent: string },
  reason: string,
): void {
  const { state } = context;
  const run = state.runs.get(ref.run);
  const open = run === undefined ? undefined : openAttempt(run, ref);
  if (run === undefined || open === undefined) return;
  const { key } = open;
  run.open.delete(key);
  for (const stop of stopsOf(state, run.id).stops.values()) stop.overtaken.delete(key);
  const index = run.tasks.get(ref.task)?.index ?? 0;
  vacated(context, run, { index, agent: open.agent, heldMs: null });
  const task = run.tasks.get(ref.task);
  const gang = task === undefined ? null : gangOf(run, task);
  if (task !== undefined && gang !== null) {
    const end = { outcome: 'failed', stage: 'provision', class: null } as const;
    noteRankEnd(gang, rankOfAgent(gang, ref.agent), { ...end, reason: unstartable(reason) });
    if (reviewGang(context, run, task) !== null) settleTask(context, run, task);
  } else sayUnstartable(context, run, { task: ref.task, n: ref.n, reason });
  closeStops(context, run);
}
