/**
 * Fleet: which agents there are, and whether they are heard. Pure.
 *
 *   registered -> mailbox made -> heard -> available
 *                                   \-- silent past the lease -> unreachable -> heard -> returned
 *
 * 1. `unreachable` is a flag: it changes by the stored event alone, and only keeps new starts away.
 * 2. Silence counts only while we listened: after a new term, a broken link or a standstill of this
 *    process it is counted from zero.
 * 3. An agent is available once it was heard: by a heartbeat, or by an event stored shortly before
 *    this term or in it. A registration may be years old.
 */
import { countGpus } from '#protocol/messages/agent/gpu-counts.ts';
import type { AgentCordoned, Heartbeat, Registration } from '#protocol/messages/agent/host.ts';
import type { AgentCapacity } from '../scheduler/scheduler-state.ts';
import type { FailedTask } from './failing-policy.ts';

export const AGENT_LEASE_MS = 10_000;

export interface AgentEntry {
  readonly id: string;
  registration: Registration | null;
  mailbox: 'none' | 'asked' | 'ready';
  /** Monotonic time of the last sign of life in this term; null before the first. */
  heardMs: number | null;
  /** Stream time of its last stored event; 0 for none. */
  storedMs: number;
  incarnation: number;
  /** As stored. */
  unreachable: boolean;
  /** Since when, in this leader's monotonic time; null where it is not. */
  unreachableMs: number | null;
  /** An observation is on its way. */
  asked: 'unreachable' | 'returned' | null;
  /** It has said that it drains or ends; nothing is started there until it begins again. */
  stopping: boolean;
  /** It has said that it ends, as its last word: it is not there until it begins again. */
  ended: boolean;
  /** As stored: nothing new is started there. It outlives restarts of everybody. */
  cordon: AgentCordoned | null;
  /** This leader has asked for a cordon. */
  isCordonAsked: boolean;
  /** Different tasks that failed there since one passed, the newest last (failing-policy.ts). */
  failedInARow: readonly FailedTask[];
  /** It was forgotten, and has not enrolled since. */
  forgotten: Forgotten | null;
  /** Messages on its fleet subject since that was said. */
  observedSince: number;
  /** Sequence of its last `agent.started` (0: none stored), and messages on its subject since. */
  startedSequence: number;
  saidSince: number;
  /**
   * Sequences of `agent.changed` since then that another one has replaced since, and of what no view is
   * made of: to be dropped.
   */
  superseded: number[];
  /** Of the newest `agent.changed`; 0: none. */
  changedSequence: number;
}

export interface Forgotten {
  /** By the stream. */
  readonly atMs: number;
  /** Of the word, in BM_EVENTS. */
  readonly sequence: number;
  /** That its id be free was asked for, and is done. */
  isFreeing: boolean;
  isFree: boolean;
}

export interface FleetState {
  readonly agents: Map<string, AgentEntry>;
  /** Silence is counted from here at the earliest. */
  listeningSinceMs: number;
}

export interface Observation {
  readonly agent: string;
  readonly kind: 'unreachable' | 'returned';
  readonly silentMs: number;
  readonly incarnation: number;
}

export function createFleet(): FleetState {
  return { agents: new Map(), listeningSinceMs: 0 };
}

/**
 * A registration was read, stored at that time. True if the agent's mailbox is to be made. One from before it
 * was forgotten says nothing any more.
 */
export function onRegistered(
  state: FleetState,
  registration: Registration,
  timeMs = Number.POSITIVE_INFINITY,
): boolean {
  const agent = entryOf(state, registration.agent);
  if (agent.forgotten !== null && timeMs <= agent.forgotten.atMs) return false;
  agent.forgotten = null;
  agent.registration = registration;
  if (agent.mailbox !== 'none') return false;
  agent.mailbox = 'asked';
  return true;
}

/** Its registration is gone. Of one that was forgotten there is the word, still. */
export function onForgotten(state: FleetState, id: string): void {
  if (state.agents.get(id)?.forgotten === null) state.agents.delete(id);
}

/** `agent.forgotten` was stored: it is nobody until it enrols again. */
export function onAgentForgotten(
  state: FleetState,
  id: string,
  { atMs, sequence }: Pick<Forgotten, 'atMs' | 'sequence'>,
): void {
  const forgotten = { atMs, sequence, isFreeing: false, isFree: false };
  state.agents.set(id, { ...newEntry(id), forgotten });
}

/** What was kept of an agent that was forgotten at that time is gone. */
export function onFreed(state: FleetState, id: string, beforeMs: number): void {
  const forgotten = state.agents.get(id)?.forgotten ?? null;
  if (forgotten?.atMs === beforeMs) forgotten.isFree = true;
}

/** Words on forgotten agents that nobody needs: the id is free, and no run is older that is still there. */
export function takeForgotten(
  state: FleetState,
  oldestRun: number,
): { readonly agent: string; readonly sequence: number }[] {
  const gone = [...state.agents.values()].flatMap(({ id, forgotten }) =>
    forgotten?.isFree === true && forgotten.sequence < oldestRun
      ? [{ agent: id, sequence: forgotten.sequence }]
      : [],
  );
  for (const { agent } of gone) state.agents.delete(agent);
  return gone;
}

/** True if the agent has become available by it. */
export function onMailbox(state: FleetState, id: string, made: boolean): boolean {
  const agent = state.agents.get(id);
  if (agent === undefined) return false;
  agent.mailbox = made ? 'ready' : 'none';
  return isAvailable(agent);
}

/** A sign of life. True if the agent has become available by it. */
export function onHeard(
  state: FleetState,
  beat: Pick<Heartbeat, 'agent' | 'incarnation'>,
  nowMs: number,
): boolean {
  const agent = entryOf(state, beat.agent);
  const before = isAvailable(agent);
  agent.heardMs = nowMs;
  if (beat.incarnation > agent.incarnation) {
    agent.incarnation = beat.incarnation;
    agent.stopping = false;
    agent.ended = false;
  }
  return !before && isAvailable(agent);
}

/** The agent has stored an event. */
export function onStored(state: FleetState, id: string, timeMs: number): void {
  const agent = state.agents.get(id);
  if (agent !== undefined) agent.storedMs = Math.max(agent.storedMs, timeMs);
}

/** The term begins: whoever has stored something since `sinceMs` (stream time) has been heard. */
export function onTermBegun(state: FleetState, sinceMs: number, nowMs: number): void {
  state.listeningSinceMs = nowMs;
  for (const agent of state.agents.values()) {
    if (agent.storedMs >= sinceMs) agent.heardMs ??= nowMs;
  }
}

/** A message on the host's own subject: what must be kept of it begins with the last start. */
export function onHostSaid(
  state: FleetState,
  id: string,
  said: { sequence: number; kind: 'start' | 'change' | 'passing' | 'other' },
): void {
  const agent = entryOf(state, id);
  agent.saidSince = said.kind === 'start' ? 0 : agent.saidSince + 1;
  if (said.kind === 'start') agent.startedSequence = said.sequence;
  if (said.kind === 'passing') agent.superseded.push(said.sequence);
  if (said.kind === 'other' || said.kind === 'passing') return;
  // Either says all that the change before it had said. The newest is kept: it is what is shown.
  if (agent.changedSequence !== 0) agent.superseded.push(agent.changedSequence);
  agent.changedSequence = said.kind === 'change' ? said.sequence : 0;
}

/** Changes that may go: all that were replaced but the last `keep` of each agent. */
export function takeSuperseded(state: FleetState, keep: number): number[] {
  return [...state.agents.values()].flatMap((agent) =>
    agent.superseded.splice(0, Math.max(0, agent.superseded.length - keep)),
  );
}

/** The agent process began anew: whatever it had said before about ending is over. */
export function onAgentStarted(state: FleetState, id: string, incarnation: number): void {
  const agent = entryOf(state, id);
  agent.incarnation = Math.max(agent.incarnation, incarnation);
  agent.stopping = false;
  agent.ended = false;
  agent.forgotten = null; // it has enrolled since
}

/** It takes nothing more: it drains, or it has ended. */
export function onAgentStopping(
  state: FleetState,
  id: string,
  said: { readonly incarnation: number; readonly ended: boolean },
): void {
  const agent = entryOf(state, id);
  agent.incarnation = Math.max(agent.incarnation, said.incarnation);
  agent.stopping = true;
  agent.ended = said.ended;
}

/** It takes work again. True if it has become available by it. */
export function onAgentUndrained(state: FleetState, id: string): boolean {
  const agent = entryOf(state, id);
  agent.stopping = false;
  return isAvailable(agent);
}

/** A cordon was stored, or null: taken back. True if the agent has become available by it. */
export function onCordoned(state: FleetState, id: string, cordon: AgentCordoned | null): boolean {
  const agent = entryOf(state, id);
  agent.cordon = cordon;
  agent.isCordonAsked = false;
  if (cordon === null) agent.failedInARow = [];
  agent.observedSince = 0;
  return isAvailable(agent);
}

/** An observation was stored. True if the agent has become available by it. */
export function onObserved(
  state: FleetState,
  id: string,
  { unreachable, atMs }: { readonly unreachable: boolean; readonly atMs: number },
): boolean {
  const agent = entryOf(state, id);
  agent.unreachable = unreachable;
  agent.unreachableMs = unreachable ? (agent.unreachableMs ?? atMs) : null;
  agent.observedSince += 1;
  if (agent.asked === (unreachable ? 'unreachable' : 'returned')) agent.asked = null;
  return isAvailable(agent);
}

/** After the replay: the times of stored observations, in this leader's monotonic time. */
export function dateObservations(state: FleetState, toMonotonic: (timeMs: number) => number): void {
  for (const agent of state.agents.values())
    if (agent.unreachableMs !== null) agent.unreachableMs = toMonotonic(agent.unreachableMs);
}

/** Observed so long ago, and not heard for its lease by this leader either. */
export function isUnreachableFor(
  { listeningSinceMs }: FleetState,
  agent: AgentEntry,
  { nowMs, afterMs, leaseMs }: { nowMs: number; afterMs: number; leaseMs: number },
): boolean {
  if (!agent.unreachable || agent.unreachableMs === null || agent.asked === 'returned')
    return false;
  if (nowMs - agent.unreachableMs < afterMs) return false;
  return nowMs - Math.max(agent.heardMs ?? 0, listeningSinceMs) > leaseMs;
}

/** Begins to count silence from zero. */
export function listenFrom(state: FleetState, nowMs: number): void {
  state.listeningSinceMs = nowMs;
}

/** What is to be stored about agents now; each is asked for once. */
export function observe(state: FleetState, nowMs: number, leaseMs = AGENT_LEASE_MS): Observation[] {
  const observations: Observation[] = [];
  for (const agent of state.agents.values()) {
    if (agent.registration === null || agent.asked !== null) continue;
    const silentMs = nowMs - Math.max(agent.heardMs ?? 0, state.listeningSinceMs);
    const kind = silentMs > leaseMs ? 'unreachable' : 'returned';
    if ((kind === 'unreachable') === agent.unreachable) continue;
    if (kind === 'returned' && agent.heardMs === null) continue;
    agent.asked = kind;
    observations.push({ agent: agent.id, kind, silentMs, incarnation: agent.incarnation });
  }
  return observations;
}

/** Agents whose mailbox could not be made: to be asked for again. */
export function withoutMailbox(state: FleetState): string[] {
  const missing: string[] = [];
  for (const agent of state.agents.values()) {
    if (agent.registration === null || agent.mailbox !== 'none') continue;
    agent.mailbox = 'asked';
    missing.push(agent.id);
  }
  return missing;
}

export function joinedAgents({ agents }: FleetState): AgentEntry[] {
  return [...agents.values()].filter(({ registration }) => registration !== null);
}

export function isAvailable(agent: AgentEntry): boolean {
  return (
    agent.registration !== null &&
    agent.mailbox === 'ready' &&
    agent.heardMs !== null &&
    !agent.unreachable &&
    !agent.stopping &&
    agent.cordon === null
  );
}

/** The same object as long as the agent says the same. */
const CAPACITIES = new WeakMap<Registration, AgentCapacity>();

export function capacityOf(agent: AgentEntry): AgentCapacity | null {
  if (agent.registration === null) return null;
  const known = CAPACITIES.get(agent.registration);
  if (known !== undefined) return known;
  const { hostId, hostname, slots, cpus, memoryMiB, hardware, labels = {} } = agent.registration;
  const { id } = agent;
  const gpus = hardware?.gpus ?? [];
  const capacity: AgentCapacity = {
    ...{ id, hostId, slots, cpus, memoryMiB, gpus, labels },
    counts: countGpus(gpus),
    names: [id, hostname],
    accepts: agent.registration.accepts ?? null,
  };
  CAPACITIES.set(agent.registration, capacity);
  return capacity;
}

/** Capacity of those of `ids` (default: all) that may be given starts. */
export function availableAgents(
  state: FleetState,
  ids: Iterable<string> = state.agents.keys(),
): AgentCapacity[] {
  const found: AgentCapacity[] = [];
  for (const id of ids) {
    const agent = state.agents.get(id);
    const capacity = agent !== undefined && isAvailable(agent) ? capacityOf(agent) : null;
    if (capacity !== null) found.push(capacity);
  }
  return found;
}

/** Made where nothing is known of it yet. */
export function entryOf(state: FleetState, id: string): AgentEntry {
  const known = state.agents.get(id);
  if (known !== undefined) return known;
  const fresh = newEntry(id);
  state.agents.set(id, fresh);
  return fresh;
}

function newEntry(id: string): AgentEntry {
  return {
    id,
    registration: null,
    mailbox: 'none',
    heardMs: null,
    storedMs: 0,
    incarnation: 0,
    unreachable: false,
    unreachableMs: null,
    asked: null,
    stopping: false,
    ended: false,
    cordon: null,
    isCordonAsked: false,
    failedInARow: [],
    forgotten: null,
    observedSince: 0,
    startedSequence: 0,
    saidSince: 0,
    superseded: [],
    changedSequence: 0,
  };
}
