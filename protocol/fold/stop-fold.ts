/**
 * One stop, folded: who must acknowledge, who has, and what may be said of it (I5).
 *
 * A stop is done when every agent that has a start of the target before the stop and no proven end
 * of it has acknowledged `done`. It needs no coordinator (I6): starts are read from BM_COMMANDS,
 * ends and acknowledgements from BM_EVENTS, by the operator's CLI and by the coordinator alike.
 *
 * An agent that has acknowledged receipt with attempts in hand is waited for until it says `done`:
 * its proof counts, not the end of the attempts as seen from outside. An attempt that has ended
 * unproven and is not in that proof leaves the stop unproven, however long ago it ended.
 */
import type { StoppedAttempt } from '../messages/agent/host.ts';
import { attemptKey, type AttemptRef } from '../messages/ids.ts';
import { parseSubject } from '../messages/subjects.ts';
import { acceptanceIn } from './attempt-fold.ts';
import type { EventRecord } from './record.ts';

interface AgentUnderStop {
  /** Attempts started before the stop, by key; true once their end is proven. */
  readonly starts: Map<string, boolean>;
  /** Attempts that have exited without a proven end. */
  readonly unproven: Set<string>;
  received: number | null;
  done: readonly StoppedAttempt[] | null;
  unreachable: boolean;
}

export interface StopFold {
  /** Command id of the stop. */
  readonly command: string;
  readonly run: string;
  readonly task: string | null;
  /** Its sequence in BM_COMMANDS. */
  readonly sequence: number;
  readonly agents: Map<string, AgentUnderStop>;
}

export type StopVerdict = 'open' | 'dead' | 'unproven' | 'unkillable';

export interface AgentStopView {
  readonly agent: string;
  /** Whether the stop waits for this agent. */
  readonly open: boolean;
  readonly received: boolean;
  readonly done: boolean;
  readonly unreachable: boolean;
  /** Attempts it had a start of without a proven end. */
  readonly owed: number;
  readonly attempts: readonly StoppedAttempt[];
  /** Attempts that ended unproven and that its acknowledgement does not answer for. */
  readonly unproven: readonly string[];
}

export interface StopView {
  readonly command: string;
  readonly run: string;
  readonly task: string | null;
  readonly verdict: StopVerdict;
  readonly agents: readonly AgentStopView[];
}

export function createStopFold(stop: {
  command: string;
  run: string;
  task: string | null;
  sequence: number;
}): StopFold {
  return { ...stop, agents: new Map() };
}

/** A start read from BM_COMMANDS; one after the stop is none of its business. */
export function applyStart(
  fold: StopFold,
  /** `exited`: it has ended, unproven, and its exit is not among the records applied. */
  start: AttemptRef & { agent: string; sequence: number; exited?: boolean },
): void {
  if (start.run !== fold.run || start.sequence >= fold.sequence) return;
  if (fold.task !== null && start.task !== fold.task) return;
  const agent = agentOf(fold, start.agent);
  const key = attemptKey(start);
  if (!agent.starts.has(key)) agent.starts.set(key, false);
  if (start.exited === true) agent.unproven.add(key);
}

/** A record of BM_EVENTS: ends of attempts, acknowledgements, reachability. */
export function applyToStop(fold: StopFold, record: EventRecord): void {
  const subject = parseSubject(record.subject);
  const { message } = record;
  if (subject === null) return;
  if (subject.kind === 'attempt' && acceptanceIn(message) !== null) {
    noteAccepted(fold, subject.agent, subject.ref);
    return;
  }
  if (
    subject.kind === 'attempt' &&
    message.name === 'attempt.exited' &&
    subject.ref.run === fold.run
  ) {
    const { proven, survivors } = message.data;
    if (fold.task !== null && subject.ref.task !== fold.task) return;
    const agent = agentOf(fold, subject.agent);
    if (proven && survivors.length === 0) agent.starts.set(attemptKey(subject.ref), true);
    else agent.unproven.add(attemptKey(subject.ref));
  } else if (subject.kind === 'ack' && subject.command === fold.command) {
    const agent = agentOf(fold, subject.agent);
    if (message.name === 'command.received') agent.received = message.data.attempts;
    if (message.name === 'command.stop_done') agent.done = message.data.attempts;
  } else if (subject.kind === 'fleet') {
    if (message.name === 'agent.unreachable') agentOf(fold, subject.agent).unreachable = true;
    if (message.name === 'agent.returned') agentOf(fold, subject.agent).unreachable = false;
  }
}

/** A start may have expired since: an attempt that was accepted has begun all the same. */
function noteAccepted(fold: StopFold, agent: string, ref: AttemptRef): void {
  if (ref.run !== fold.run || (fold.task !== null && ref.task !== fold.task)) return;
  const { starts } = agentOf(fold, agent);
  const key = attemptKey(ref);
  if (!starts.has(key)) starts.set(key, false);
}

export function stopView(fold: StopFold): StopView {
  const agents = Array.from(fold.agents, ([id, agent]) => agentView(id, agent))
    .filter((agent) => agent.open || agent.received || agent.done || agent.unproven.length > 0)
    .sort((a, b) => (a.agent < b.agent ? -1 : 1));
  return {
    command: fold.command,
    run: fold.run,
    task: fold.task,
    verdict: verdictOf(agents),
    agents,
  };
}

function verdictOf(agents: readonly AgentStopView[]): StopVerdict {
  if (agents.some((agent) => agent.open)) return 'open';
  const attempts = agents.flatMap((agent) => agent.attempts);
  if (attempts.some((attempt) => attempt.survivors.length > 0)) return 'unkillable';
  if (attempts.some((attempt) => !attempt.proven)) return 'unproven';
  if (agents.some((agent) => agent.unproven.length > 0)) return 'unproven';
  return 'dead';
}

function agentView(id: string, agent: AgentUnderStop): AgentStopView {
  const owed = [...agent.starts.values()].filter((ended) => !ended).length;
  const answered = new Set(agent.done?.map(attemptKey));
  const working = agent.received !== null && agent.received > 0;
  return {
    agent: id,
    open: agent.done === null && (owed > 0 || working),
    received: agent.received !== null,
    done: agent.done !== null,
    unreachable: agent.unreachable,
    owed,
    attempts: agent.done ?? [],
    unproven: [...agent.unproven].filter((key) => agent.starts.has(key) && !answered.has(key)),
  };
}

function agentOf(fold: StopFold, id: string): AgentUnderStop {
  const known = fold.agents.get(id);
  if (known !== undefined) return known;
  const fresh: AgentUnderStop = {
    starts: new Map(),
    unproven: new Set(),
    received: null,
    done: null,
    unreachable: false,
  };
  fold.agents.set(id, fresh);
  return fresh;
}
