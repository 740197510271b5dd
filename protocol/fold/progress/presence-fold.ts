/**
 * Which agents there were, when, and with what: folded from the same events as the fleet. An agent is
 * open while it may be given work: from its start, unless it drains or has ended, and not while it is
 * cordoned or unreachable.
 *
 * Of an agent that began anew the starts before are not kept in the stream: it is open from the one that
 * is.
 */
import type { Registration } from '../../messages/agent/host.ts';
import { parseSubject } from '../../messages/subjects.ts';
import { applyToFleet, createFleetFold, type AgentFold, type FleetFold } from '../fleet-fold.ts';
import type { EventRecord } from '../record.ts';
import type { Span } from './spans.ts';

export interface PresenceFold {
  readonly fleet: FleetFold;
  /** In order and disjoint, by agent; the last one ends at Infinity while it is open. */
  readonly open: Map<string, Span[]>;
}

export interface AgentPresence {
  readonly agent: string;
  /** As last said. */
  readonly registration: Registration;
  readonly open: readonly Span[];
}

export function createPresence(): PresenceFold {
  return { fleet: createFleetFold(), open: new Map() };
}

export function applyToPresence({ fleet, open }: PresenceFold, record: EventRecord): void {
  applyToFleet(fleet, record);
  const subject = parseSubject(record.subject);
  if (subject?.kind !== 'host' && subject?.kind !== 'fleet') return;
  const agent = fleet.agents.get(subject.agent);
  if (agent === undefined) return;
  const spans = open.get(agent.agent) ?? [];
  open.set(agent.agent, spans);
  const last = spans.at(-1);
  const wasOpen = last?.toMs === Infinity;
  if (isOpen(agent) === wasOpen) return;
  if (!wasOpen) spans.push({ fromMs: Math.max(record.timeMs, last?.toMs ?? 0), toMs: Infinity });
  else spans[spans.length - 1] = { ...last, toMs: Math.max(last.fromMs, record.timeMs) };
}

function isOpen({ registration, state, unreachable, cordon }: AgentFold): boolean {
  return registration !== null && state === 'ready' && !unreachable && cordon === null;
}

/** Those that have said what they have, in the order of their ids. */
export function presences({ fleet, open }: PresenceFold): AgentPresence[] {
  return [...fleet.agents.values()]
    .flatMap(({ agent, registration }) =>
      registration === null ? [] : [{ agent, registration, open: open.get(agent) ?? [] }],
    )
    .sort((a, b) => (a.agent < b.agent ? -1 : 1));
}
