/**
 * What the leader does about its state: everything that is asked to be stored. Nothing here
 * happens before both streams are replayed, and each thing is asked for once per term.
 */
import { hostsOf } from '#protocol/messages/attempt/gang.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { observe, withoutMailbox } from '../fleet/fleet-reducer.ts';
import { decide } from '../runs/retry-policy.ts';
import { storedObjects } from '../runs/run-files.ts';
import { awaitsCycle, isStopped, newestPause, runOutcome } from '../runs/run-reducer.ts';
import type { RunEntry, TaskEntry } from '../runs/run-state.ts';
import { withdraw } from '../scheduler/scheduler-reducer.ts';
import { hasOpenStop, stopCommands } from '../stop/stop-reducer.ts';
import { publish, type Context } from './core-state.ts';
import { resumeGangs } from './gangs/gang.ts';
import { resumeRamps } from './gangs/ramp.ts';
import { resumeStarts } from './gangs/gang-start.ts';
import { endLostRanks, sayPeers } from './gangs/replace-rank.ts';
import { reviewFailingHosts } from './hosts/failing-hosts.ts';
import { freeForgotten } from './hosts/forget.ts';
import { releaseRetries } from './starts/held-retries.ts';
import {
  awaitsRevoke,
  decideSuperseded,
  giveUpLost,
  resumeRevokes,
  revokesOf,
  unansweredBy,
} from './hosts/lost.ts';
import { noteLostRanks, unheardRanks } from './hosts/lost-ranks.ts';
import { askHistory } from './starts/order.ts';
import { dropOldCheckpoints } from './ends/old-checkpoints.ts';
import { dropOldStarts } from './ends/old-starts.ts';
import { endPassed } from './ends/passed.ts';
import { endOverBudget, endReason } from './ends/run-budget.ts';
import { goOnWithout, requeuedFrom } from './starts/requeue.ts';
import { announceStop, closeStops, dropStrayStops, endWaiting, stopsOf } from './ends/stops.ts';
import { emptyCordoned, resumeTakeBacks, reviewEarly, takenBackOf } from './starts/take-back.ts';
import { raisedFor } from './explain/unplaceable.ts';
import { beginSweeps, sweepWhenDue } from './ends/sweep.ts';

/** What follows an ended attempt: a retry, or the end of its task. */
export function settleTask(context: Context, run: RunEntry, task: TaskEntry): void {
  const end = run.undecided.get(task.id);
  if (!context.state.acting || end === undefined || task.phase !== 'deciding') return;
  // Part of it may be purged already: what is left does not tell what was decided.
  if (run.ended === 'stored') return;
  if (awaitsRevoke(run, task, end)) return;
  const decision =
    decideSuperseded(run, task, end) ??
    decide({
      n: task.n,
      end,
      retries: run.suite.retries,
      retryRules: run.suite.retryRules,
      retryRaises: run.suite.retryRaises,
      raise: (raises) => raisedFor(context.state, run, { task, raises }),
      task: task.id,
      used: task.used ?? {},
      stopped: isStopped(run, task),
      wasPaused: newestPause(run, task) > 0 || task.requeueSequence > 0,
    });
  const subject = subjects.task(run.id, task.id);
  const without = unheardRanks(run, task);
  if (decision.kind === 'retry') {
    const from = takenBackOf(context.state, run.id, task.id)?.from;
    const data = {
      ...decision.data,
      ...requeuedFrom(run, task, decision.data.class),
      ...without,
      ...(decision.data.class === 'drained' && from !== undefined ? { avoid: from } : {}),
    };
    publish(context, { subject, name: 'task.retrying', data });
  } else if (decision.data.outcome === 'passed') endPassed(context, run, task);
  else publish(context, { subject, name: 'task.ended', data: { ...decision.data, ...without } });
}

/**
 * Ends the run with its last task, once its stops are closed (what comes after the end is no part
 * of the view), then has it archived.
 */
export function finishRun(context: Context, run: RunEntry): void {
  const { state } = context;
  const stops = stopsOf(state, run.id);
  if (!state.acting || hasOpenStop(stops)) return;
  if (run.ended === 'no' && run.endedTasks === run.listed.length && !awaitsCycle(run)) {
    run.ended = 'asked';
    const data = {
      outcome: runOutcome(run),
      counts: { ...run.counts },
      reason: endReason(run),
    };
    publish(context, { subject: subjects.run(run.id), name: 'run.ended', data });
  }
  if (run.ended !== 'stored' || run.archived !== 'no') return;
  run.archived = 'asked';
  context.effects.push({
    kind: 'archive',
    run: run.id,
    fromSequence: run.order,
    stopCommands: stopCommands(stops),
    hosts: Object.fromEntries(
      [...run.agents].flatMap((id) => {
        const registration = state.fleet.agents.get(id)?.registration;
        return registration === null || registration === undefined ? [] : [[id, registration]];
      }),
    ),
  });
}

export function schedulePurge(context: Context, run: RunEntry): void {
  run.purgeAtMs ??= context.now.monotonicMs + context.state.timing.purgeAfterMs;
}

/** Everything that is due by time alone. */
export function actOnTime(context: Context): void {
  const { state, now } = context;
  if (!state.acting) return;
  for (const agent of withoutMailbox(state.fleet))
    context.effects.push({ kind: 'make_mailbox', agent });
  for (const { agent, kind, silentMs, incarnation } of observe(
    state.fleet,
    now.monotonicMs,
    state.timing.agentLeaseMs,
  )) {
    const subject = subjects.fleet(agent);
    if (kind === 'unreachable') {
      publish(context, {
        subject,
        name: 'agent.unreachable',
        data: { silentMs: Math.round(silentMs) },
      });
    } else publish(context, { subject, name: 'agent.returned', data: { incarnation } });
  }
  for (const run of state.runs.values()) {
    if (run.purging || run.purgeAtMs === null || run.purgeAtMs > now.monotonicMs) continue;
    // A stop's close must be read back, or its message would never be deleted.
    if (hasOpenStop(stopsOf(state, run.id))) continue;
    run.purging = true;
    context.effects.push({
      kind: 'purge',
      run: run.id,
      agents: [...run.agents],
      stopCommands: [...stopCommands(stopsOf(state, run.id)), ...revokesOf(run)],
      files: storedObjects(run),
      hasGangs: run.needs.classes.some((needs) => hostsOf(needs) > 1),
      owing: unansweredBy(run),
    });
  }
  actWhenDue(context);
  dropOldCheckpoints(context);
  dropOldStarts(context);
  giveUpLost(context);
  endLostRanks(context);
  reviewFailingHosts(context);
  freeForgotten(context);
  dropStrayStops(context);
  sweepWhenDue(context);
}

/** What is due at a time of its own. */
export function actWhenDue(context: Context): void {
  if (!context.state.acting) return;
  endOverBudget(context);
  releaseRetries(context);
  reviewEarly(context);
}

/** After the replay: all that the leaders before have left undone. */
export function resume(context: Context): void {
  const { state } = context;
  state.acting = true;
  beginSweeps(context);
  for (const { id, cordon } of state.fleet.agents.values())
    if (cordon !== null) emptyCordoned(context, id);
  for (const run of state.runs.values()) {
    for (const stop of stopsOf(state, run.id).stops.values()) {
      announceStop(context, run, stop);
      if (stop.closed === 'stored')
        context.effects.push({ kind: 'delete_stop', sequence: stop.sequence });
    }
    noteLostRanks(run);
    const over = resumeGangs(context, run, (task, peers) => {
      resumeStarts(context, { run, task }, { peers });
    });
    for (const id of run.gangs.keys()) {
      const task = run.tasks.get(id);
      if (task?.phase === 'assigned') sayPeers(context, { run, task });
    }
    resumeRamps(context, run);
    for (const task of over) withdraw(state.scheduler, run.id, task.index);
    for (const id of run.undecided.keys()) {
      const task = run.tasks.get(id);
      if (task !== undefined) settleTask(context, run, task);
    }
    endWaiting(context, run, run.listed);
    askHistory(context, run);
    goOnWithout(context, run);
    resumeRevokes(context, run);
    resumeTakeBacks(context, run);
    closeStops(context, run);
    finishRun(context, run);
    if (run.archived === 'stored') schedulePurge(context, run);
  }
}
