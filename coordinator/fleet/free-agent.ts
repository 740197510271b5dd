/**
 * Removes what the mesh keeps of a forgotten agent, and frees its id last: a leader that dies in between
 * finds it still taken, and begins again. Revokes and releases stay for an agent that comes back.
 */
import { filters, subjects } from '#protocol/messages/subjects.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { dropMailbox } from '#protocol/nats/agents/mailbox.ts';
import { forgetAgent } from '#protocol/nats/agents/registry.ts';
import { STREAMS } from '#protocol/nats/streams/stream-configs.ts';
import { purgeSubject } from '#protocol/nats/streams/stream-purge.ts';

/** Idempotent. Rejects with MeshError; repeat then. */
export async function freeAgent(
  connection: MeshConnection,
  { agent, beforeMs }: { readonly agent: string; readonly beforeMs: number },
): Promise<void> {
  for (const filter of filters.ordersTo(agent))
    await purgeSubject(connection, STREAMS.commands, filter);
  await purgeSubject(connection, STREAMS.events, subjects.hostEvents(agent));
  await purgeSubject(connection, STREAMS.events, subjects.fleet(agent), { keep: 1 });
  await dropMailbox(connection, agent);
  await forgetAgent(connection, agent, beforeMs);
}
