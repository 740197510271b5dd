/** Heartbeats: `bm.v1.hb.<agent>`, core, not stored. A lost one is no event. */
import { filters, parseSubject, subjects } from '../../messages/subjects.ts';
import type { MeshConnection } from '../connection.ts';
import type { Serving } from '../rpc.ts';

/** Sends one; does nothing while disconnected. */
export function publishHeartbeat(
  connection: MeshConnection,
  agent: string,
  body: Uint8Array,
): void {
  if (connection.isConnected() && !connection.isClosed()) {
    connection.nats.publish(subjects.heartbeat(agent), body);
  }
}

/** Calls `onHeartbeat` for each one, whichever agent's, until stopped. */
export function subscribeHeartbeats(
  connection: MeshConnection,
  onHeartbeat: (agent: string, body: Uint8Array) => void,
): Serving {
  const subscription = connection.nats.subscribe(filters.heartbeats(), {
    callback: (error, message) => {
      if (error !== null) {
        connection.log.error({ err: error.message }, 'heartbeats cannot be received');
        return;
      }
      const parsed = parseSubject(message.subject);
      if (parsed?.kind === 'heartbeat') onHeartbeat(parsed.agent, message.data);
    },
  });
  return {
    stop: () => {
      subscription.unsubscribe();
    },
  };
}
