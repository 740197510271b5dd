/** Where a term reads: both streams, the registry, heartbeats, and how its link is. */
import type { ConnectionStatus, MeshConnection } from '#protocol/nats/connection.ts';
import { subscribeHeartbeats } from '#protocol/nats/agents/heartbeat.ts';
import { watchAgents, type AgentWatch } from '#protocol/nats/agents/registry.ts';
import type { Serving } from '#protocol/nats/rpc.ts';
import { tail, type Tail, type TailOptions } from '#protocol/nats/streams/tail.ts';

export interface IntakeSource {
  tail(options: TailOptions): Tail;
  watchAgents(watch: AgentWatch): Tail;
  heartbeats(onHeartbeat: (agent: string, body: Uint8Array) => void): Serving;
  /** Returns what ends it. */
  onStatus(listener: (status: ConnectionStatus) => void): () => void;
}

export function natsSource(connection: MeshConnection): IntakeSource {
  return {
    tail: (options) => tail(connection, options),
    watchAgents: (watch) => watchAgents(connection, watch),
    heartbeats: (onHeartbeat) => subscribeHeartbeats(connection, onHeartbeat),
    onStatus: (listener) => connection.onStatus(listener),
  };
}
