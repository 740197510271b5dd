/** What a task that takes several hosts at once waits for. Pure. */
import { hostsOf } from '#protocol/messages/attempt/gang.ts';
import type { GangWait } from '#protocol/messages/run/explain.ts';
import { availableAgents } from '../../fleet/fleet-reducer.ts';
import type { RunEntry, TaskEntry } from '../../runs/run-state.ts';
import { candidatesFor } from '../../scheduler/gang-policy.ts';
import { laneAt } from '../../scheduler/scheduler-reducer.ts';
import type { CoreState } from '../core-state.ts';

/** Nothing for a task on one host. */
export function gangWait(
  { scheduler, fleet, runs }: CoreState,
  run: RunEntry,
  task: TaskEntry,
): { readonly gang?: GangWait } {
  const scheduled = scheduler.runs.get(run.id);
  if (scheduled === undefined) return {};
  const { of } = laneAt(scheduled, task.index);
  const hosts = hostsOf(of.needs);
  if (hosts === 1) return {};
  const candidates = candidatesFor(scheduler, of, availableAgents(fleet));
  const ready = candidates.filter(({ isReady }) => isReady).length;
  const { reserved } = scheduler;
  const holder = reserved === null ? undefined : runs.get(reserved.run)?.listed[reserved.index];
  const kept =
    reserved === null || holder === undefined
      ? null
      : { run: reserved.run, task: holder.id, own: holder === task };
  return { gang: { hosts, could: candidates.length, ready, kept } };
}
