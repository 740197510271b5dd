/** What the leader counts as taken is what it has handed out. */
import type { CoreState } from '#coordinator/core/core-state.ts';
import { taskNeeds } from '#protocol/suite/task-needs.ts';
import type { Start } from './seen.ts';

/** What the leader believes to be in use is what it has handed out. */
export function usageProblems(
  state: CoreState,
  starts: ReadonlyMap<string, Pick<Start, 'spec'>>,
): string[] {
  const problems: string[] = [];
  const held = new Map<string, number>();
  for (const run of state.runs.values()) {
    if (!state.scheduler.runs.has(run.id)) continue;
    for (const { agent, task, n, exited, superseded } of run.open.values()) {
      if (exited || superseded === true) continue;
      // Of a start on its way only the suite tells.
      const known = run.tasks.get(task);
      const needs =
        starts.get(`${run.id}/${task}#${n}`)?.spec.needs ??
        known?.needs ??
        (known === undefined ? run.suite.needs : taskNeeds(run.suite, known.plan));
      held.set(agent, (held.get(agent) ?? 0) + needs.slots);
    }
  }
  // Of a rank that begins anew, before its start.
  for (const { run: id, task, agent } of state.replacing.values()) {
    const run = state.runs.get(id);
    const needs = run?.tasks.get(task)?.needs ?? run?.suite.needs;
    held.set(agent, (held.get(agent) ?? 0) + (needs?.slots ?? 0));
  }
  for (const [agent, { slots }] of state.scheduler.usage) {
    const inHand = held.get(agent) ?? 0;
    if (slots !== inHand)
      problems.push(
        `the leader counts ${slots} slots of ${agent} as taken, and has handed out ${inHand}`,
      );
  }
  return problems;
}
