/**
 * One agent of the simulated fleet, on a connection of its own: registration, heartbeat, mailbox and
 * outbox are the real ones; its host is not (simulated-host.ts).
 */
import { EventSink } from '#agent/state/event-sink.ts';
import { READS, type Registration } from '#protocol/messages/agent/host.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { connect, type MeshConnection } from '#protocol/nats/connection.ts';
import type { Credential } from '#protocol/nats/credential.ts';
import { publishHeartbeat } from '#protocol/nats/agents/heartbeat.ts';
import { openMailbox, type MailDecision, type MailMessage } from '#protocol/nats/agents/mailbox.ts';
import { registerAgent } from '#protocol/nats/agents/registry.ts';
import { eventStore } from '#protocol/nats/outbox/outbox.ts';
import { systemClock } from '#protocol/runtime/clock.ts';
import { silentLog } from '#protocol/runtime/log.ts';
import { MemoryOutbox } from './memory-outbox.ts';
import { SimulatedHost } from './simulated-host.ts';
import type { SlotTimes } from './slot-times.ts';

export interface SimulatedAgentOptions {
  readonly url: string;
  readonly credential: Credential;
  readonly id: string;
  readonly slots: number;
  readonly times: SlotTimes;
  readonly onStart: (key: string) => void;
  readonly onBegin: (key: string) => void;
  readonly onBug: (error: unknown) => void;
}

export interface SimulatedAgent {
  close(): Promise<void>;
}

/** Of the real one (agent/host/presence.ts). */
const BEAT_MS = 2_000;
/** Stored to see how long a bare broadcast takes: nothing is done about it (bare-broadcast.ts). */
export const BARE_PREFIX = 'bare-';
const HEAD_BYTES = 60;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Resolves when its mailbox is being read. */
export async function startSimulatedAgent(options: SimulatedAgentOptions): Promise<SimulatedAgent> {
  const { url, credential, id, slots, onBug } = options;
  const connection = await connect({
    url,
    credential,
    name: `agent ${id}`,
    log: silentLog,
    inboxPrefix: `_INBOX_${id}`,
  });
  const registration = registrationOf(id, slots);
  const { instance, incarnation } = registration;
  const data = encoder.encode(JSON.stringify(registration));
  await registerAgent(connection, { agent: id, instance, data });
  const outbox = new MemoryOutbox({
    store: eventStore(connection),
    instance,
    log: silentLog,
    onBroken: (reason) => {
      onBug(new Error(reason));
    },
  });
  const sink = new EventSink({
    outbox,
    writer: { source: `/agents/${id}`, instance, incarnation },
    clock: systemClock,
    log: silentLog,
    onRecorded: () => undefined,
  });
  const host = new SimulatedHost({ ...options, registration, sink, outbox });
  sink.tell(subjects.hostEvents(id), 'agent.started', { registration, adopted: 0 });
  const stopBeating = beat(connection, registration, host);
  const mailbox = openMailbox(connection, id, (message) =>
    Promise.resolve(isBare(message) ? 'ack' : decisionOf(host, message, onBug)),
  );
  await mailbox.opened;
  return {
    close: async () => {
      await mailbox.close();
      stopBeating();
      await outbox.flush();
      await outbox.close();
      await connection.close();
    },
  };
}

/** A fleet that refuses what it is told measures nothing. */
function decisionOf(
  host: SimulatedHost,
  message: MailMessage,
  onBug: (error: unknown) => void,
): MailDecision {
  const decision = host.onMail(message);
  if (decision !== 'ack') onBug(new Error(`a command was refused: ${message.subject}`));
  return decision;
}

function isBare({ subject, data }: MailMessage): boolean {
  if (subject !== subjects.stop()) return false;
  return decoder.decode(data.subarray(0, HEAD_BYTES)).includes(`"id":"${BARE_PREFIX}`);
}

/** At its own moment within the period, as agents that were started one by one. */
function beat(
  connection: MeshConnection,
  { agent, instance, incarnation }: Registration,
  host: SimulatedHost,
): () => void {
  const send = (): void => {
    const said = { agent, instance, incarnation, ...host.counts(), diskFreeBytes: 1e12 };
    publishHeartbeat(connection, agent, encoder.encode(JSON.stringify(said)));
  };
  send();
  const timer = setInterval(send, BEAT_MS);
  return () => {
    clearInterval(timer);
  };
}

function registrationOf(id: string, slots: number): Registration {
  return {
    agent: id,
    instance: `simulated-${id}`,
    incarnation: 1,
    version: '0.1.0',
    hostId: `host-of-${id}`,
    hostname: `host-of-${id}`,
    address: '127.0.0.1',
    pid: process.pid,
    bootId: 'simulated',
    os: 'linux',
    kernel: 'none',
    cpuModel: 'simulated',
    cpus: slots,
    memoryMiB: 65_536,
    slots,
    rung: 'subreaper',
    degraded: null,
    stateDir: '/nowhere',
    logFile: '/nowhere/agent.log',
    reads: [...READS],
  };
}
