/**
 * The fleet, folded from host events (each agent's own) and fleet events (the coordinator's
 * observations). `unreachable` is a flag on an agent, never a state of an attempt.
 */
import type { AgentCordoned, Registration } from '../messages/agent/host.ts';
import { parseSubject } from '../messages/subjects.ts';
import type { EventRecord } from './record.ts';

export interface AgentFold {
  readonly agent: string;
  registration: Registration | null;
  /** `draining`: it starts nothing more and waits for what runs. */
  state: 'ready' | 'draining' | 'stopped';
  unreachable: boolean;
  /** Who keeps new work from it, whatever its state; null for nobody. */
  cordon: AgentCordoned | null;
  /** Stream time of the last start. */
  startedMs: number;
  /** Stream time of the last change. */
  changedMs: number;
  rejected: number;
}

export interface FleetFold {
  sequence: number;
  readonly agents: Map<string, AgentFold>;
}

export function createFleetFold(): FleetFold {
  return { sequence: 0, agents: new Map() };
}

export function applyToFleet(fold: FleetFold, record: EventRecord): void {
  const subject = parseSubject(record.subject);
  if (subject?.kind !== 'host' && subject?.kind !== 'fleet') return;
  if (record.sequence <= fold.sequence) return;
  fold.sequence = record.sequence;
  const { message, timeMs } = record;
  if (message.name === 'agent.forgotten') {
    fold.agents.delete(subject.agent);
    return;
  }
  const known = fold.agents.get(subject.agent);
  // A cordon outlives restarts, and older starts are not kept: it may come before the first that is.
  const isFirst = message.name === 'agent.started' || message.name === 'agent.cordoned';
  if (known === undefined && !isFirst) return;
  const agent = known ?? newAgent(subject.agent);
  fold.agents.set(subject.agent, agent);
  if (!message.name.startsWith('agent.exec_')) agent.changedMs = timeMs;
  switch (message.name) {
    case 'agent.started':
      agent.registration = message.data.registration;
      agent.state = 'ready';
      agent.unreachable = false;
      agent.startedMs = timeMs;
      break;
    case 'agent.changed':
      agent.registration = message.data.registration;
      break;
    case 'agent.draining':
      agent.state = 'draining';
      break;
    case 'agent.undrained':
      agent.state = 'ready';
      break;
    case 'agent.stopping':
      agent.state = 'stopped';
      break;
    case 'agent.unreachable':
      agent.unreachable = true;
      break;
    case 'agent.returned':
      agent.unreachable = false;
      break;
    case 'agent.cordoned':
      agent.cordon = message.data;
      break;
    case 'agent.uncordoned':
      agent.cordon = null;
      break;
    case 'message.rejected':
      agent.rejected += 1;
      break;
    default:
      break;
  }
}

function newAgent(agent: string): AgentFold {
  return {
    agent,
    registration: null,
    state: 'ready',
    unreachable: false,
    cordon: null,
    startedMs: 0,
    changedMs: 0,
    rejected: 0,
  };
}
