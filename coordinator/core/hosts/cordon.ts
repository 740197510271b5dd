/**
 * Cordons: agents that are handed nothing new. Kept as events on the agent's fleet subject, of which the
 * newest messages stay: a cordon that would not be among them is said again (I12).
 */
import type { DrainRequest } from '#protocol/messages/agent/drain.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { usageOf } from '../../scheduler/scheduler-state.ts';
import { publish, type Context } from '../core-state.ts';

/** Answered when it has come back stored; at once where there is nothing to take back. */
export function onCordon(
  context: Context,
  { token, request }: { readonly token: number; readonly request: DrainRequest },
): void {
  const { state, effects } = context;
  const { agent, by, undo } = request;
  const handedOut = usageOf(state.scheduler, agent).attempts;
  const reply = { agent, cordoned: !undo, handedOut };
  const known = state.fleet.agents.get(agent)?.cordon ?? null;
  if (undo && known === null) {
    effects.push({ kind: 'reply', token, reply: { kind: 'ok', reply } });
    return;
  }
  const name = undo ? 'agent.uncordoned' : 'agent.cordoned';
  // Who cordons again and says no more does not take back why it is.
  const reason = request.reason ?? (undo ? null : (known?.reason ?? null));
  const stored = publish(context, { subject: subjects.fleet(agent), name, data: { by, reason } });
  state.owed.set(stored, { token, reply });
}

/** Says again what the sweep of the fleet's subjects is about to take: all but the last `keep`. */
export function sayCordonsAgain(context: Context, keep: number): void {
  for (const { id, cordon, observedSince } of context.state.fleet.agents.values()) {
    if (cordon === null || observedSince < keep / 4) continue;
    const { by, reason } = cordon;
    publish(context, { subject: subjects.fleet(id), name: 'agent.cordoned', data: { by, reason } });
  }
}
