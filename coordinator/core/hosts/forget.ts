/**
 * Forgetting an agent: its host is taken to be gone for good, and nothing waits for it.
 *
 *   forget --> agent.forgotten stored --> its attempts are revoked, and go on elsewhere as of a lost host
 *                     \--> stops: nobody answers for them there, they close as unproven
 *      (none of them is current any more) --> its starts, its own events and its mailbox go --> the id is free
 *
 * 1. Whatever the suite says of lost hosts, at once; what is being stopped ends as stopped, unverified.
 * 2. Starts go only once no task counts on one of them: a leader that does not read a start would give the
 *    same attempt to another agent (I4).
 * 3. The revokes stay for 30 days: a host that comes back with the same state folder, its process anew or the same
 *    (agent/host/forgotten-watch.ts), enrols anew and ends, by these, what it still runs.
 * 4. The word itself goes with a sweep, when the id is free and every run that is older has been purged (I12): until
 *    then views and leaders are made of it.
 * 5. A registration that is younger than the word is a new enrolment; an older one is to be removed.
 */
import type { EventRecord } from '#protocol/fold/record.ts';
import type { ForgetRequest } from '#protocol/messages/agent/forget.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { onAgentForgotten } from '../../fleet/fleet-reducer.ts';
import type { OpenAttempt, RunEntry } from '../../runs/run-state.ts';
import { noteStart } from '../../stop/stop-reducer.ts';
import { publish, type Context, type CoreState } from '../core-state.ts';
import { giveUpLost } from './lost.ts';
import { survivorsGone } from '../starts/places.ts';
import { closeStops, stopsOf } from '../ends/stops.ts';

/** Answered when it has come back stored; at once where the agent is there. */
export function onForget(
  context: Context,
  { token, request }: { readonly token: number; readonly request: ForgetRequest },
): void {
  const { state, effects } = context;
  const { agent: id, by, reason, force } = request;
  const agent = state.fleet.agents.get(id);
  // Asked for again by whom the answer did not reach: it is forgotten, and once more is the same.
  const isThere = agent !== undefined && agent.forgotten === null;
  if (isThere && !agent.unreachable && !agent.ended && !force) {
    const message = `agent ${id} is there: benchmesh drain takes work from it; --force forgets it all the same`;
    effects.push({
      kind: 'reply',
      token,
      reply: { kind: 'error', code: 'agent_present', message },
    });
    return;
  }
  const lost = openOn(state, id).filter(({ open }) => open.superseded !== true).length;
  const stored = publish(context, {
    subject: subjects.fleet(id),
    name: 'agent.forgotten',
    data: { by, reason, throughSequence: state.commandSequence },
  });
  state.owed.set(stored, { token, reply: { agent: id, lost } });
}

function openOn(
  state: CoreState,
  agent: string,
): { readonly run: RunEntry; readonly open: OpenAttempt }[] {
  return [...state.runs.values()].flatMap((run) =>
    [...run.open.values()].flatMap((open) => (open.agent === agent ? [{ run, open }] : [])),
  );
}

/** `agent.forgotten` was stored; the stops have read it. */
export function applyForgotten(context: Context, id: string, record: EventRecord): void {
  const { state } = context;
  const { timeMs: atMs, sequence } = record;
  onAgentForgotten(state.fleet, id, { atMs, sequence });
  for (const { run, open } of openOn(state, id)) {
    open.gone = true;
    survivorsGone(context, run, open);
    noteStart(stopsOf(state, run.id), open);
  }
  if (!state.acting) return;
  giveUpLost(context);
  for (const run of state.runs.values()) closeStops(context, run);
}

/** What is left of forgotten agents goes (2). */
export function freeForgotten(context: Context): void {
  const { state, effects } = context;
  for (const { id, forgotten } of state.fleet.agents.values()) {
    if (forgotten === null || forgotten.isFreeing) continue;
    const isCurrent = openOn(state, id).some(({ run, open }) => {
      const task = run.tasks.get(open.task);
      if (open.exited || open.superseded === true) return false;
      return run.ended === 'no' && task?.n === open.n && task.phase !== 'ended';
    });
    if (isCurrent) continue;
    forgotten.isFreeing = true;
    effects.push({ kind: 'free_agent', agent: id, beforeMs: forgotten.atMs });
  }
}
