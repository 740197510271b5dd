/**
 * Hosts on which one task after the other fails are cordoned: they would go through everything that waits, faster
 * than hosts that measure. failing-policy.ts says when.
 *
 * What is counted follows from the stored ends alone. The cordon is an event as an operator's is: a leader that
 * reads it decides nothing a second time, and what it keeps of a row goes on from there.
 */
import type { EventRecord } from '#protocol/fold/record.ts';
import type { AttemptExited } from '#protocol/messages/attempt/attempt.ts';
import type { AgentExplanation } from '#protocol/messages/run/explain.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import {
  addEnd,
  blameText,
  isToBlame,
  saysOfHost,
  withFailure,
  witnessesOf,
  type EndsThere,
  type FailedTask,
  type Witnesses,
} from '../../fleet/failing-policy.ts';
import { entryOf, isAvailable, type AgentEntry } from '../../fleet/fleet-reducer.ts';
import type { RunEntry, TaskEntry } from '../../runs/run-state.ts';
import { log, publish, type Context, type CoreState } from '../core-state.ts';

/** Who cordons where no operator did. */
export const CORDONED_BY = 'coordinator';

/** An attempt of the task has ended there, of a gang a rank. */
export function noteHostEnd(
  context: Context,
  {
    run,
    task,
    agent: id,
  }: { readonly run: RunEntry; readonly task: TaskEntry; readonly agent: string },
  { record, exited }: { readonly record: EventRecord; readonly exited: AttemptExited },
): void {
  const said = saysOfHost(exited);
  if (said === null) return;
  // Of older starts of an agent nothing may be left: while it is replayed, this may come before the first.
  const agent = entryOf(context.state.fleet, id);
  const { of } = run.needs;
  const needs = of?.[task.index % of.length] ?? 0;
  const { sequence } = record;
  const ends = run.hostEnds.get(needs) ?? new Map<string, EndsThere>();
  run.hostEnds.set(needs, ends);
  const there = ends.get(id) ?? [];
  ends.set(id, there);
  addEnd(there, said, sequence);
  if (said === 'passed') agent.failedInARow = [];
  else {
    const failed = { run: run.id, task: task.id, needs, class: exited.class, sequence };
    agent.failedInARow = withFailure(agent.failedInARow, failed);
    review(context, agent);
  }
}

/** Now and then: others may have passed what failed there. */
export function reviewFailingHosts(context: Context): void {
  for (const agent of context.state.fleet.agents.values()) review(context, agent);
}

function review(context: Context, agent: AgentEntry): void {
  const { state } = context;
  const { cordonAfter } = state.timing;
  if (!state.acting || cordonAfter === 0 || agent.failedInARow.length < cordonAfter) return;
  if (agent.cordon !== null || agent.isCordonAsked || agent.registration === null) return;
  const row = agent.failedInARow.slice(-cordonAfter);
  const witnesses = witnessesFor(state, agent.id, row);
  if (!isToBlame(witnesses)) return;
  agent.isCordonAsked = true;
  const data = { by: CORDONED_BY, reason: blameText(row, witnesses) };
  publish(context, { subject: subjects.fleet(agent.id), name: 'agent.cordoned', data });
  log(context, 'warn', { agent: agent.id, reason: data.reason }, 'agent cordoned');
}

function witnessesFor(
  { runs, fleet }: CoreState,
  id: string,
  row: readonly FailedTask[],
): Witnesses {
  const kinds = new Map(row.map((failed) => [`${failed.run} ${failed.needs}`, failed]));
  const ends = [...kinds.values()].flatMap(({ run, needs }) => [
    ...(runs.get(run)?.hostEnds.get(needs) ?? []),
  ]);
  const isWitness = (other: string): boolean => {
    const agent = fleet.agents.get(other);
    return other !== id && agent !== undefined && isAvailable(agent);
  };
  return witnessesOf(
    row,
    ends.filter(([other]) => isWitness(other)),
  );
}

/** For `explain`; nothing where the last attempt there has passed. */
export function failingReason(
  state: CoreState,
  { id, failedInARow }: AgentEntry,
): Pick<AgentExplanation, 'failing'> {
  if (failedInARow.length === 0) return {};
  const { cordonAfter } = state.timing;
  const row = cordonAfter === 0 ? failedInARow : failedInARow.slice(-cordonAfter);
  const { passing, failing } = witnessesFor(state, id, row);
  const tasks = row.map(({ run, task }) => `${run}/${task}`);
  return {
    failing: { tasks, cordonAfter, others: { passing: [...passing], failing: [...failing] } },
  };
}
