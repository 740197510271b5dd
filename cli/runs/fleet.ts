/** The agents of a mesh, folded from BM_EVENTS. */
import { applyToFleet, createFleetFold, type AgentFold } from '#protocol/fold/fleet-fold.ts';
import { filters } from '#protocol/messages/subjects.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { readAll } from '#protocol/nats/streams/tail.ts';
import { STREAMS } from '#protocol/nats/streams/streams.ts';
import { recordOf } from './record.ts';

export interface Fleet {
  readonly sequence: number;
  /** In the order of their ids. */
  readonly agents: readonly AgentFold[];
}

export async function readFleet(connection: MeshConnection): Promise<Fleet> {
  const fold = createFleetFold();
  const query = { stream: STREAMS.events, filters: filters.fleet() };
  await readAll(connection, query, (message) => {
    const record = recordOf(message);
    if (record !== null) applyToFleet(fold, record);
  });
  const agents = [...fold.agents.values()].sort((a, b) => (a.agent < b.agent ? -1 : 1));
  return { sequence: fold.sequence, agents };
}
