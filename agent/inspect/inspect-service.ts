/** What the agent answers about its attempts. It changes nothing of them (I1). */
import { CollectRequest, InspectRequest, ReadRequest } from '#protocol/messages/agent/agent-api.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import { attemptKey, type AttemptRef } from '#protocol/messages/ids.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { serve, type Serving } from '#protocol/nats/rpc.ts';
import type { Collections } from '../files/collections.ts';
import { inspectAttempt, type InspectContext, type Inspected } from './inspect-attempt.ts';
import { readWorkFile } from './work-file.ts';

export interface InspectOptions extends InspectContext {
  readonly connection: MeshConnection;
  readonly look: (ref: AttemptRef) => Inspected | null;
  readonly collections: Pick<Collections, 'ask'>;
}

export function serveInspection(options: InspectOptions): Serving {
  const { connection, agent, stateDir, look } = options;
  const read = serve(connection, `${agent}.read`, async (body) => {
    const request = ReadRequest.safeParse(body);
    if (!request.success) throw new MeshError('protocol', 'this is no request to read a file');
    return readWorkFile(stateDir, request.data);
  });
  const inspect = serve(connection, `${agent}.inspect`, async (body) => {
    const request = InspectRequest.safeParse(body);
    if (!request.success) throw new MeshError('protocol', 'this is no request to look inside');
    const ref = request.data;
    const found = await inspectAttempt(options, () => look(ref));
    if (found !== null) return found;
    const key = attemptKey(ref);
    throw new MeshError('not_found', `agent ${agent} has no attempt ${key}, or it has ended`);
  });
  const collect = serve(connection, `${agent}.collect`, async (body) => {
    const request = CollectRequest.safeParse(body);
    if (!request.success) throw new MeshError('protocol', 'this is no request to collect files');
    return options.collections.ask(request.data);
  });
  return {
    stop: () => {
      collect.stop();
      read.stop();
      inspect.stop();
    },
  };
}
