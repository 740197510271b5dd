/**
 * The agent's presence in the mesh: its registration at the start, a heartbeat each 2 s, and what
 * the state folder's disk allows.
 */
import { Heartbeat, Registration } from '#protocol/messages/agent/host.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { publishHeartbeat } from '#protocol/nats/agents/heartbeat.ts';
import { registerAgent } from '#protocol/nats/agents/registry.ts';
import type { z } from 'zod';
import { diskRoom, fullText, lackOf, type DiskRoom } from '../process/disk-room.ts';
import type { Ledger } from '../state/ledger.ts';
import type { Host } from './host.ts';

const EVERY_MS = 2_000;

/** Registers, waiting for ever for a server that does not answer. Rejects with `agent_id_taken`, `not_permitted`. */
export async function register(
  connection: MeshConnection,
  registration: Registration,
): Promise<void> {
  const { agent, instance } = registration;
  await registerAgent(connection, { agent, instance, data: toBytes(Registration, registration) });
}

export interface PresenceOptions {
  readonly connection: MeshConnection;
  readonly registration: Registration;
  readonly host: Host;
  readonly ledger: Ledger;
}

export interface Presence {
  stop(): void;
}

export function startPresence(options: PresenceOptions): Presence {
  const beat = (): void => {
    const { connection, registration, host, ledger } = options;
    const { agent, instance, incarnation, stateDir } = registration;
    const room = diskRoom(stateDir);
    host.onDisk(blockedBy(room, ledger));
    const disk = { diskFreeBytes: room.bytes };
    const heartbeat = { agent, instance, incarnation, ...host.counts(), ...disk };
    publishHeartbeat(connection, agent, toBytes(Heartbeat, heartbeat));
  };
  beat();
  const timer = setInterval(beat, EVERY_MS);
  return {
    stop: () => {
      clearInterval(timer);
    },
  };
}

function blockedBy(room: DiskRoom, ledger: Ledger): string | null {
  const isBlocked = ledger.isBlocked();
  return lackOf(room) ?? (isBlocked ? fullText(room.bytes) : null);
}

function toBytes<S extends z.ZodType>(_schema: S, value: z.infer<S>): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
