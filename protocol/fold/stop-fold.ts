/**
 * One stop, folded: who must acknowledge, who has, and what may be said of it (I5).
 *
 * A stop is done when every agent that has a start of the target before the stop and no proven end
 * of it has acknowledged `done`. It needs no coordinator (I6): starts are read from BM_COMMANDS,
 * ends and acknowledgements from BM_EVENTS, by the operator's CLI and by the coordinator alike.
 *
 * An agent that has acknowledged receipt with attempts in hand, or of which an attempt has ended by this stop,
 * is waited for until it says `done`: its proof counts, not the end of the attempts as seen from outside. One that
 * is done within a moment says `done` alone. An attempt that has ended
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
  /** Of these, those whose agent was forgotten. */
  readonly gone: Set<string>;
  received: number | null;
  done: readonly StoppedAttempt[] | null;
  unreachable: boolean;
  /** It was forgotten: up to this start nobody waits for it; 0: it never was. */
  goneThrough: number;
}

export interface StopFold {
  /** Command id of the stop. */
  readonly command: string;
  readonly run: string;
  readonly task: string | null;
  /** Its sequence in BM_COMMANDS. */
  readonly sequence: number;
  readonly agents: Map<string, AgentUnderStop>;
  /** Those of them that it waits for; kept, since a broadcast to a thousand is looked at with every ack. */
  readonly open: Set<string>;
}

export type StopVerdict = 'open' | 'dead' | 'unproven' | 'unkillable';

export interface AgentStopView {
  readonly agent: string;
  /** Whether the stop waits for this agent. */
  readonly open: boolean;
  readonly received: boolean;
  readonly done: boolean;
  readonly unreachable: boolean;
  /** An operator has said that it is gone for good. */
  readonly forgotten: boolean;
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
  return { ...stop, agents: new Map(), open: new Set() };
}

/** A start read from BM_COMMANDS; one after the stop is none of its business. */
export function applyStart(
  fold: StopFold,
  /**
   * `exited`: it has ended, unproven, and its exit is not among the records applied; `gone`: nor is the word
   * that its agent was forgotten.
   */
  start: AttemptRef & { agent: string; sequence: number; exited?: boolean; gone?: boolean },
): void {
  if (start.run !== fold.run || start.sequence >= fold.sequence) return;
  if (fold.task !== null && start.task !== fold.task) return;
  const agent = agentOf(fold, start.agent);
  const key = attemptKey(start);
  if (!agent.starts.has(key)) agent.starts.set(key, false);
  if (start.exited === true) agent.unproven.add(key);
  if (start.gone === true || start.sequence <= agent.goneThrough) giveUp(agent, key);
  review(fold, start.agent, agent);
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
    const { proven, survivors, stop } = message.data;
    if (fold.task !== null && subject.ref.task !== fold.task) return;
    const agent = agentOf(fold, subject.agent);
    const key = attemptKey(subject.ref);
    // It ended by this stop: its agent has it, and will say `done`, with the proof.
    if (stop?.command === fold.command && !agent.gone.has(key)) agent.received ??= 1;
    if (!proven || survivors.length > 0) agent.unproven.add(key);
    else {
      agent.starts.set(key, true);
      if (agent.gone.delete(key)) agent.unproven.delete(key);
    }
    review(fold, subject.agent, agent);
  } else if (subject.kind === 'ack' && subject.command === fold.command) {
    const agent = agentOf(fold, subject.agent);
    if (message.name === 'command.received') agent.received = message.data.attempts;
    if (message.name === 'command.stop_done') {
      agent.done = message.data.attempts;
      agent.received ??= agent.done.length;
    }
    review(fold, subject.agent, agent);
  } else if (subject.kind === 'fleet') {
    if (message.name === 'agent.unreachable') agentOf(fold, subject.agent).unreachable = true;
    if (message.name === 'agent.returned') agentOf(fold, subject.agent).unreachable = false;
    if (message.name === 'agent.forgotten')
      onForgotten(fold, subject.agent, message.data.throughSequence);
  }
}

/** Nobody will ever answer for what it had: it is unproven, and not waited for. */
function onForgotten(fold: StopFold, id: string, throughSequence: number): void {
  const agent = agentOf(fold, id);
  agent.goneThrough = Math.max(agent.goneThrough, throughSequence);
  agent.received = null;
  for (const key of agent.starts.keys()) giveUp(agent, key);
  review(fold, id, agent);
}

function giveUp({ starts, unproven, gone }: AgentUnderStop, key: string): void {
  if (starts.get(key) === true) return;
  unproven.add(key);
  gone.add(key);
}

/** A start may have expired since: an attempt that was accepted has begun all the same. */
function noteAccepted(fold: StopFold, agent: string, ref: AttemptRef): void {
  if (ref.run !== fold.run || (fold.task !== null && ref.task !== fold.task)) return;
  const known = agentOf(fold, agent);
  const key = attemptKey(ref);
  if (!known.starts.has(key)) known.starts.set(key, false);
  review(fold, agent, known);
}

/** Whether the stop waits for anybody: its verdict is `open`. O(1). */
export function isStopOpen({ open }: StopFold): boolean {
  return open.size > 0;
}

function review(fold: StopFold, id: string, agent: AgentUnderStop): void {
  if (isWaitedFor(agent)) fold.open.add(id);
  else fold.open.delete(id);
}

function isWaitedFor({ starts, gone, received, done }: AgentUnderStop): boolean {
  if (done !== null) return false;
  if (received !== null && received > 0) return true;
  for (const [key, ended] of starts) if (!ended && !gone.has(key)) return true;
  return false;
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
  const owed = [...agent.starts].filter(([key, ended]) => !ended && !agent.gone.has(key)).length;
  const answered = new Set(agent.done?.map(attemptKey));
  return {
    agent: id,
    open: isWaitedFor(agent),
    received: agent.received !== null,
    done: agent.done !== null,
    unreachable: agent.unreachable,
    forgotten: agent.gone.size > 0,
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
    gone: new Set(),
    received: null,
    done: null,
    unreachable: false,
    goneThrough: 0,
  };
  fold.agents.set(id, fresh);
  return fresh;
}
