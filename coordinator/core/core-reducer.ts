/**
 * The coordinator's one actor: Run, Scheduler, Fleet and Stop behind one mailbox.
 *
 *   BM_EVENTS ---\                        /--> effects: publish, archive, purge, mailbox, reply
 *   BM_COMMANDS --+--> update(message) --+
 *   registry, heartbeats, API, tick --/   \--> state
 *
 * 1. State changes by what is stored. What this leader asks to be stored is only marked as asked
 *    for, so that it is not asked for twice, and takes effect when it comes back. The exception is
 *    a start: its attempt holds its place from the moment it is sent.
 * 2. Two streams, two tails: nothing is assumed of the order between them.
 * 3. Before `replayed` nothing is asked for: the leader first knows what those before it did.
 */
import type { Update } from '#protocol/runtime/actor.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import {
  dateObservations,
  listenFrom,
  onForgotten,
  onFreed,
  onHeard,
  onMailbox,
  onRegistered,
  onTermBegun,
} from '../fleet/fleet-reducer.ts';
import { begunFrom } from '../snapshot/core-snapshot.ts';
import { dateHandedOut } from '../scheduler/handed-out.ts';
import { seat } from '../scheduler/scheduler-reducer.ts';
import { actOnTime, actWhenDue, resume } from './act.ts';
import { fillAgents } from './starts/hand-out.ts';
import {
  log,
  markDirty,
  publish,
  type Context,
  type CoreMessage,
  type CoreState,
  type Effect,
} from './core-state.ts';
import { onCommand, onOwnStarts } from './on-command.ts';
import { onCordon } from './hosts/cordon.ts';
import { forgetRun } from './ends/leave.ts';
import { onForget } from './hosts/forget.ts';
import { onNote } from './note.ts';
import { onEvent } from './on-event.ts';
import { onSubmit, onUnstorable } from './on-submit.ts';
import { datesOfLostRanks } from './gangs/replace-rank.ts';
import { datesOfRetries } from './starts/held-retries.ts';
import { sayPassed } from './ends/passed.ts';
import { datesOfStarts } from './ends/run-budget.ts';
import { onChange } from './change.ts';
import { onHistory } from './starts/order.ts';
import { onResume } from './ends/pause.ts';

/** A tick that comes later than this tells of a standstill: nothing was heard meanwhile. */
const STANDSTILL_MS = 5_000;
/** Two heartbeats: an agent that stored something this long before the term is there. */
const RECENT_MS = 4_000;
/** The coordinator's own subject among the fleet's: what it could not read. */
export const COORDINATOR_FLEET_ID = 'coordinator';

export const update: Update<CoreState, CoreMessage, Effect> = (state, message, now) => {
  if (message.kind === 'restored') return [begunFrom(message.state, state, now.monotonicMs), []];
  const context: Context = { state, now, effects: [] };
  state.nowMs = now.monotonicMs;
  onMessage(context, message);
  fillAgents(context);
  return [state, context.effects];
};

function onMessage(
  context: Context,
  message: Exclude<CoreMessage, { readonly kind: 'restored' }>,
): void {
  const { state, now } = context;
  switch (message.kind) {
    case 'event':
      onEvent(context, message.record);
      return;
    case 'command':
      onCommand(context, message.record);
      return;
    case 'own_starts':
      onOwnStarts(context, message);
      return;
    case 'unreadable':
      onUnreadable(context, message);
      return;
    case 'replayed': {
      onTermBegun(state.fleet, state.claimMs - RECENT_MS, now.monotonicMs);
      state.lastTickMs = now.monotonicMs;
      const toMonotonic = (timeMs: number): number =>
        now.monotonicMs - Math.max(0, state.claimMs - timeMs);
      datesOfStarts(context);
      datesOfRetries(context);
      datesOfLostRanks(context);
      dateObservations(state.fleet, toMonotonic);
      dateHandedOut(state.scheduler, toMonotonic);
      resume(context);
      actWhenDue(context);
      markDirty(state, 'all');
      return;
    }
    case 'registered': {
      const { registration } = message;
      if (onRegistered(state.fleet, registration, message.timeMs))
        context.effects.push({ kind: 'make_mailbox', agent: registration.agent });
      const { agent: id, hostId, accepts, slots } = registration;
      seat(state.scheduler, { id, hostId, slots, ...(accepts === undefined ? {} : { accepts }) });
      markDirty(state, [registration.agent]);
      return;
    }
    case 'forgotten':
      onForgotten(state.fleet, message.agent);
      return;
    case 'freed':
      onFreed(state.fleet, message.agent, message.beforeMs);
      return;
    case 'mailbox':
      if (onMailbox(state.fleet, message.agent, message.made)) markDirty(state, [message.agent]);
      return;
    case 'heartbeat':
      if (onHeard(state.fleet, message.beat, now.monotonicMs))
        markDirty(state, [message.beat.agent]);
      return;
    case 'reconnected':
      listenFrom(state.fleet, now.monotonicMs);
      return;
    case 'tick':
      if (now.monotonicMs - state.lastTickMs > STANDSTILL_MS)
        onTermBegun(state.fleet, state.claimMs - RECENT_MS, now.monotonicMs);
      state.lastTickMs = now.monotonicMs;
      actOnTime(context);
      return;
    case 'say_passed':
      sayPassed(context);
      return;
    case 'wake':
      state.wakeAtMs = Infinity;
      actWhenDue(context);
      return;
    case 'drain': {
      const { agent, by, reason, undo } = message.request;
      const kind = undo ? 'undrain' : 'drain';
      const subject = subjects.command(agent, kind, '-');
      publish(context, { subject, name: `command.${kind}`, data: { by, reason } });
      return;
    }
    case 'cordon':
      onCordon(context, message);
      return;
    case 'forget':
      onForget(context, message);
      return;
    case 'submit':
      onSubmit(context, message);
      return;
    case 'resume':
      onResume(context, message);
      return;
    case 'change':
      onChange(context, message);
      return;
    case 'note':
      onNote(context, message);
      return;
    case 'unstorable':
      onUnstorable(context, message.effect, message.reason);
      return;
    case 'archived': {
      const { run, directory } = message;
      publish(context, { subject: subjects.run(run), name: 'run.archived', data: { directory } });
      return;
    }
    case 'history':
      onHistory(context, message);
      return;
    case 'purged':
      forgetRun(state, message.run);
      return;
  }
}

function onUnreadable(
  context: Context,
  message: Extract<CoreMessage, { kind: 'unreadable' }>,
): void {
  const { subject, sequence, type, reason } = message;
  log(context, 'warn', { subject, sequence, type, reason }, 'stored message cannot be read');
  // What was stored before the term was reported by the leader of that time.
  if (!context.state.acting) return;
  publish(context, {
    subject: subjects.fleet(COORDINATOR_FLEET_ID),
    name: 'message.rejected',
    data: { subject, sequence, type, reason },
  });
}
