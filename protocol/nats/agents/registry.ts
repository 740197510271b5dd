/**
 * The registry of agents: one key of BM_AGENTS for each, created once with the identity of the
 * agent's state folder, then updated by compare-and-set by that agent alone (I1). What the value
 * says beyond that is the agent's business.
 *
 * `forget` (an operator's) stores the mark of a deleted key: a host of that id may register anew.
 */
import { MeshError } from '../../messages/errors.ts';
import { pause, type MeshConnection } from '../connection.ts';
import { HEADERS, SERVER_HEADERS } from '../headers.ts';
import { publishEvent } from '../publisher.ts';
import { keys, STREAMS } from '../streams/stream-configs.ts';
import { lastMessage, type StoredMessage } from '../streams/stream-read.ts';
import { readAll, tail, type Tail } from '../streams/tail.ts';

export interface AgentRecord {
  readonly agent: string;
  /** Identity of the state folder that owns the id. */
  readonly instance: string;
  readonly data: Uint8Array;
  /** Sequence in the bucket's stream. */
  readonly revision: number;
  /** When it was last written, by the stream, ms since 1970. */
  readonly timeMs: number;
}

export interface Registration {
  readonly agent: string;
  readonly instance: string;
  readonly data: Uint8Array;
}

const PREFIX = keys.agent('');
const RETRY_MS = 100;

/**
 * Registers an agent, or updates what it registered; resolves with the revision. Repeats doubts for
 * ever (while disconnected too) unless `deadlineMs` is given. Rejects with MeshError
 * `agent_id_taken` when another state folder owns the id, `not_permitted`, or `mesh_unreachable`.
 */
export async function registerAgent(
  connection: MeshConnection,
  registration: Registration,
  deadlineMs = Number.POSITIVE_INFINITY,
): Promise<number> {
  const { agent, instance, data } = registration;
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const last = await lastMessage(connection, STREAMS.agents, keys.agent(agent));
    if (last.kind !== 'unknown') {
      const found = last.kind === 'found' ? last.message : null;
      if (found !== null && isLive(found)) refuseOther(agent, instance, found);
      const outcome = await publishEvent(connection, keys.agent(agent), data, {
        expectedLastSubjectSequence: found?.sequence ?? 0,
        headers: { [HEADERS.instance]: instance },
      });
      if (outcome.kind === 'stored') return outcome.sequence;
      if (outcome.kind === 'rejected') {
        throw new MeshError('not_permitted', `agent ${agent} cannot register: ${outcome.reason}`);
      }
      if (outcome.kind === 'conflict') continue;
    }
    if (connection.isClosed() || performance.now() > deadline) {
      throw new MeshError('mesh_unreachable', `agent ${agent} could not register: no answer`);
    }
    await pause(RETRY_MS);
  }
}

function refuseOther(agent: string, instance: string, found: StoredMessage): void {
  const owner = ownerOf(found);
  if (owner === instance) return;
  throw new MeshError(
    'agent_id_taken',
    `agent id ${agent} belongs to another state folder (instance ${owner}, this one is ${instance}): choose another id; "benchmesh agents" shows who holds this one`,
  );
}

/** The instance that holds an agent's id. */
export type IdHolder =
  | { readonly kind: 'held'; readonly instance: string }
  | { readonly kind: 'free' }
  /** No answer now: ask again. */
  | { readonly kind: 'unknown' };

export async function holderOf(connection: MeshConnection, agent: string): Promise<IdHolder> {
  const last = await lastMessage(connection, STREAMS.agents, keys.agent(agent));
  if (last.kind === 'unknown') return { kind: 'unknown' };
  if (last.kind === 'none' || !isLive(last.message)) return { kind: 'free' };
  return { kind: 'held', instance: ownerOf(last.message) };
}

/** All registered agents, by id. Rejects with `timed_out` or `mesh_unreachable`. */
export async function listAgents(
  connection: MeshConnection,
  timeoutMs = 10_000,
): Promise<AgentRecord[]> {
  const found = new Map<string, AgentRecord>();
  const query = { stream: STREAMS.agents, filters: [keys.agents()], timeoutMs };
  await readAll(connection, query, (message) => {
    const agent = message.subject.slice(PREFIX.length);
    if (isLive(message)) found.set(agent, toRecord(message));
    else found.delete(agent);
  });
  return [...found.values()].sort((a, b) => (a.agent < b.agent ? -1 : 1));
}

export interface AgentWatch {
  readonly onAgent: (record: AgentRecord) => void;
  readonly onForgotten: (agent: string) => void;
  /** All that existed at the start has been told. */
  readonly onCaughtUp?: () => void;
}

/** Tells of every agent there is and every change from then on, until closed. */
export function watchAgents(connection: MeshConnection, watch: AgentWatch): Tail {
  return tail(connection, {
    stream: STREAMS.agents,
    filters: [keys.agents()],
    lastPerSubject: true,
    onMessage: (message) => {
      if (isLive(message)) watch.onAgent(toRecord(message));
      else watch.onForgotten(message.subject.slice(PREFIX.length));
    },
    onCaughtUp: () => watch.onCaughtUp?.(),
  });
}

/**
 * Frees an agent's id, unless its owner has registered after `beforeMs` (ms since 1970, the stream's clock).
 * Resolves with what was freed, or null where nobody had it. Rejects with
 * MeshError `busy` if the agent wrote at the same moment, or `mesh_unreachable`.
 */
export async function forgetAgent(
  connection: MeshConnection,
  agent: string,
  beforeMs = Number.POSITIVE_INFINITY,
): Promise<AgentRecord | null> {
  const last = await lastMessage(connection, STREAMS.agents, keys.agent(agent));
  if (last.kind === 'found' && last.message.timeMs > beforeMs) return null;
  if (last.kind === 'none' || (last.kind === 'found' && !isLive(last.message))) return null;
  if (last.kind === 'unknown') {
    throw new MeshError(
      'mesh_unreachable',
      `agent ${agent} could not be looked up: ${last.reason}`,
    );
  }
  const outcome = await publishEvent(connection, keys.agent(agent), new Uint8Array(), {
    expectedLastSubjectSequence: last.message.sequence,
    headers: { [SERVER_HEADERS.keyOperation]: 'DEL' },
  });
  if (outcome.kind === 'stored') return toRecord(last.message);
  if (outcome.kind === 'conflict') {
    throw new MeshError('busy', `agent ${agent} is alive: it has just updated its registration`);
  }
  throw new MeshError(
    'mesh_unreachable',
    `agent ${agent} could not be forgotten (${outcome.kind})`,
  );
}

function ownerOf(message: StoredMessage): string {
  return message.header(HEADERS.instance) ?? 'unknown';
}

function isLive(message: StoredMessage): boolean {
  return message.header(SERVER_HEADERS.keyOperation) === null;
}

function toRecord(message: StoredMessage): AgentRecord {
  return {
    agent: message.subject.slice(PREFIX.length),
    instance: ownerOf(message),
    data: message.data,
    revision: message.sequence,
    timeMs: message.timeMs,
  };
}
