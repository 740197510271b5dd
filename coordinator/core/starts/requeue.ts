/**
 * Requeue of a task: its attempt is ended as by a pause, with checkpoint and proof, and the next one follows
 * at once, uncounted. The stop is stored before the next start, which knows of it (I6): an agent that is
 * away ends its attempt when it is back, and what it says of it changes the task no more. So the task does
 * not wait for an agent that is not heard; the stop does, and with it the end of the run (I5).
 */
import { attemptOf } from '#protocol/fold/task-attempts.ts';
import type { FailureClass } from '#protocol/messages/attempt/outcome.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { isStopped } from '../../runs/run-reducer.ts';
import { gangOf, noteRankEnd, rankOfAgent } from '../../runs/gang-state.ts';
import type { OpenAttempt, RunEntry, TaskEntry } from '../../runs/run-state.ts';
import { settleTask } from '../act.ts';
import { publish, type Context, type CoreState } from '../core-state.ts';
import { reviewGang } from '../gangs/gang.ts';

/** A requeue of this place among the commands is known; `task` null: nobody's, and nothing follows. */
export function noteRequeue(
  context: Context,
  run: RunEntry,
  { task: id, stopSequence }: { readonly task: string | null; readonly stopSequence: number },
): void {
  const task = id === null ? undefined : run.tasks.get(id);
  if (task === undefined) return;
  task.requeueSequence = Math.max(task.requeueSequence, stopSequence);
  goOnWithout(context, run);
}

/** What was requeued on agents that are not heard goes on elsewhere. */
export function goOnWithout(context: Context, run: RunEntry): void {
  const { state } = context;
  // Of an ended run a part may be purged already: what is left does not tell what was decided.
  if (!state.acting || run.ended === 'stored' || run.fold.requeues.length === 0) return;
  for (const open of run.open.values()) {
    const task = run.tasks.get(open.task);
    if (task === undefined || !isOverdue(state, run, { open, task }) || isStopped(run, task))
      continue;
    const reason = `requeued: agent ${open.agent} is not heard`;
    const gang = gangOf(run, task);
    if (gang !== null) {
      // The ranks that are heard end by the requeue itself.
      const end = { outcome: 'stopped', stage: null, class: 'paused', reason } as const;
      noteRankEnd(gang, rankOfAgent(gang, open.agent), end);
      if (reviewGang(context, run, task) !== null) settleTask(context, run, task);
      continue;
    }
    task.phase = 'deciding';
    const data = { n: open.n, class: 'paused' as const, reason, avoid: open.agent };
    const subject = subjects.task(run.id, task.id);
    publish(context, { subject, name: 'task.retrying', data });
  }
}

/**
 * The current attempt, started before an operator's requeue, of an agent that cannot say that it has ended. What
 * was pre-empted on such an agent goes on as the suite says of lost hosts: nobody has asked for more.
 */
function isOverdue(
  { fleet }: CoreState,
  run: RunEntry,
  { open, task }: { readonly open: OpenAttempt; readonly task: TaskEntry },
): boolean {
  if (open.n !== task.n || task.phase !== 'assigned') return false;
  if (open.afterStop >= task.requeueSequence) return false;
  if (fleet.agents.get(open.agent)?.unreachable !== true) return false;
  return run.fold.requeues.some(
    ({ task: id, sequence, preemptedBy }) =>
      id === task.id && sequence > open.afterStop && preemptedBy === undefined,
  );
}

/** What the retry of a requeued task carries. */
export function requeuedFrom(
  run: RunEntry,
  task: TaskEntry,
  failure: FailureClass,
): { readonly avoid?: string } {
  if (failure !== 'paused' || task.requeueSequence === 0) return {};
  const fold = run.fold.tasks.get(task.id);
  const agent = fold === undefined ? undefined : attemptOf(fold, task.n)?.agent;
  return agent === undefined ? {} : { avoid: agent };
}
