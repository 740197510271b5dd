/** What the agent answers about its attempts. It reads and writes nothing (I1). */
import { ReadRequest } from '#protocol/messages/agent-api.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { serve, type Serving } from '#protocol/nats/rpc.ts';
import { readWorkFile } from './work-file.ts';

export interface InspectOptions {
  readonly connection: MeshConnection;
  readonly agent: string;
  readonly stateDir: string;
}

export function serveInspection({ connection, agent, stateDir }: InspectOptions): Serving {
  return serve(connection, `${agent}.read`, async (body) => {
    const request = ReadRequest.safeParse(body);
    if (!request.success) throw new MeshError('protocol', 'this is no request to read a file');
    return readWorkFile(stateDir, request.data);
  });
}
