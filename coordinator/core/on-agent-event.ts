/** Events of agents themselves: what each says of its host, and what is observed or ordered of it. */
import { applyToRun } from '#protocol/fold/run-fold.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import type { MessageName } from '#protocol/messages/catalog.ts';
import {
  onAgentStarted,
  onAgentStopping,
  onAgentUndrained,
  onCordoned,
  onHeard,
  onHostSaid,
  onObserved,
  onStored,
} from '../fleet/fleet-reducer.ts';
import { noteEvent } from '../stop/stop-reducer.ts';
import { markDirty, type Context } from './core-state.ts';
import { applyForgotten } from './hosts/forget.ts';
import { goOnWithout } from './starts/requeue.ts';
import { sweepSoon } from './ends/sweep.ts';
import { emptyCordoned } from './starts/take-back.ts';

const SAID: Partial<Record<MessageName, 'start' | 'change' | 'passing'>> = {
  'agent.started': 'start',
  'agent.changed': 'change',
  'agent.exec_started': 'passing',
  'agent.exec_ended': 'passing',
  'agent.exec_refused': 'passing',
};

export function onHostEvent(context: Context, agent: string, record: EventRecord): void {
  const { state, now } = context;
  const { message } = record;
  const incarnation = message.incarnation ?? 0;
  const kind = SAID[message.name] ?? 'other';
  onHostSaid(state.fleet, agent, { sequence: record.sequence, kind });
  if (message.name === 'agent.stopping' || message.name === 'agent.draining')
    onAgentStopping(state.fleet, agent, {
      incarnation,
      ended: message.name === 'agent.stopping',
    });
  if (message.name === 'agent.undrained' && onAgentUndrained(state.fleet, agent))
    markDirty(state, [agent]);
  if (message.name !== 'agent.started') return;
  onAgentStarted(state.fleet, agent, message.data.registration.incarnation);
  onStored(state.fleet, agent, record.timeMs);
  if (record.sequence < state.claimSequence) return;
  sweepSoon(context);
  const beat = { agent, incarnation: message.data.registration.incarnation };
  onHeard(state.fleet, beat, now.monotonicMs);
  markDirty(state, [agent]);
}

export function onFleetEvent(context: Context, agent: string, record: EventRecord): void {
  const { state, now } = context;
  const { message } = record;
  if (message.name === 'agent.cordoned') {
    onCordoned(state.fleet, agent, message.data);
    emptyCordoned(context, agent);
  }
  if (message.name === 'agent.uncordoned' && onCordoned(state.fleet, agent, null))
    markDirty(state, [agent]);
  const isForgotten = message.name === 'agent.forgotten';
  const isUnreachable = message.name === 'agent.unreachable';
  if (!isUnreachable && !isForgotten && message.name !== 'agent.returned') return;
  const atMs = state.acting ? now.monotonicMs : record.timeMs;
  if (!isForgotten && onObserved(state.fleet, agent, { unreachable: isUnreachable, atMs }))
    markDirty(state, [agent]);
  if (message.name === 'agent.returned') sweepSoon(context);
  for (const run of state.runs.values()) {
    applyToRun(run.fold, record);
    if (isUnreachable) goOnWithout(context, run);
    const stops = state.stops.get(run.id);
    if (stops !== undefined) noteEvent(stops, record, null);
  }
  if (isForgotten) applyForgotten(context, agent, record);
}
