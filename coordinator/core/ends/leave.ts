/** A run that is over takes no place any more, nor one that is forgotten. */
import type { RunEntry } from '../../runs/run-state.ts';
import { dropRun, vacate } from '../../scheduler/scheduler-reducer.ts';
import type { CoreState } from '../core-state.ts';

/**
 * Also what its attempts hold whose end nobody has told, or can tell any more: a host that was lost with one
 * would be short of its place for ever. True if others may have use for what it held of locks.
 */
export function leaveScheduler({ scheduler }: CoreState, run: RunEntry): boolean {
  for (const { task, agent, exited, superseded } of run.open.values()) {
    const index = run.tasks.get(task)?.index;
    const holds = !exited && superseded !== true;
    if (index !== undefined && holds) vacate(scheduler, run.id, { index, agent, heldMs: null });
  }
  return dropRun(scheduler, run.id);
}

/** Nothing of the run is stored any more. */
export function forgetRun(state: CoreState, id: string): void {
  const run = state.runs.get(id);
  if (run !== undefined) leaveScheduler(state, run);
  state.runs.delete(id);
  state.stops.delete(id);
}
