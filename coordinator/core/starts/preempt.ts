/**
 * Pre-emption: attempts of a lower priority end for what has a higher one (preempt-policy.ts says which). It is
 * a requeue that the leader gives: with checkpoint and proof, no failure, no retry that is counted, and the task
 * waits for room again. Its id is the attempt's, so that two leaders who both give it give one.
 */
import { subjects } from '#protocol/messages/subjects.ts';
import { availableAgents } from '../../fleet/fleet-reducer.ts';
import { newestStop, openAttempt } from '../../runs/run-reducer.ts';
import { noteKept } from '../../scheduler/handed-out.ts';
import { placeBefore, victimsNow, type Preempting } from '../../scheduler/preempt-policy.ts';
import type { Placement } from '../../scheduler/scheduler-reducer.ts';
import type { AgentCapacity, HandedOut } from '../../scheduler/scheduler-state.ts';
import type { RunEntry } from '../../runs/run-state.ts';
import { publish, type Context, type CoreState } from '../core-state.ts';
import { lookAgain } from './take-back.ts';

/** Before anything is handed out ahead: what others will have to make room for. */
export function placePreempting(context: Context): readonly Placement[] {
  const { scheduler } = context.state;
  const { placements, againMs } = placeBefore(scheduler, preempting(context));
  if (againMs < Infinity) lookAgain(context, ANYBODY, againMs);
  return placements;
}

/** Ends what has to make room for what waits at its agent. */
export function endPreempted(context: Context): void {
  const { found, againMs } = victimsNow(context.state.scheduler, preempting(context));
  for (const { by, victims } of found) for (const one of victims) end(context, one, by);
  if (againMs < Infinity) lookAgain(context, ANYBODY, againMs);
}

/** No agent: what is looked at again is what waits, wherever. */
const ANYBODY = '';

function preempting({ state, now }: Context): Preempting {
  let all: AgentCapacity[] | null = null;
  return {
    nowMs: now.monotonicMs,
    afterMs: state.timing.preemptAfterMs,
    everyone: () => (all ??= availableAgents(state.fleet)),
    agentOf: (agent) => availableAgents(state.fleet, [agent])[0] ?? null,
    isLeaving: (one) => isLeaving(state, one),
  };
}

/** A stop, a pause or a requeue ends it. */
function isLeaving({ runs }: CoreState, { run: id, index, agent }: HandedOut): boolean {
  const run = runs.get(id);
  const task = run?.listed[index];
  if (run === undefined || task === undefined) return true;
  const open = openAttempt(run, { task: task.id, n: task.n, agent });
  return open === undefined || newestStop(run, task) > open.afterStop;
}

function end(context: Context, one: HandedOut, by: HandedOut): void {
  const { runs } = context.state;
  const run = runs.get(one.run);
  const task = run?.listed[one.index];
  const other = runs.get(by.run)?.listed[by.index];
  if (run === undefined || task === undefined || other === undefined) return;
  const preemptedBy = { run: by.run, task: other.id };
  publish(context, {
    subject: subjects.stop(),
    name: 'command.stop',
    id: `preempt_${run.id}_${task.id}_${task.n}`,
    ttl: 'never',
    data: {
      ...{ run: run.id, task: task.id, graceMs: null, now: false, by: 'the coordinator' },
      reason: `pre-empted by ${by.run}/${other.id}`,
      ...{ pause: true, requeue: true, preemptedBy },
    },
  });
}

/** What it has done so far is in a checkpoint. */
export function onKept(
  { state, now }: Context,
  run: RunEntry,
  {
    task: id,
    agent,
    timeMs,
  }: { readonly task: string; readonly agent: string; readonly timeMs: number },
): void {
  const index = run.tasks.get(id)?.index;
  const atMs = state.acting ? now.monotonicMs : timeMs;
  if (index !== undefined) noteKept(state.scheduler, run.id, { index, agent, atMs });
}
