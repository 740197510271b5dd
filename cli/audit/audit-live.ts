/** A live run: folded here up to the sequence the coordinator answers at, against its answer. */
import { applyToRun, createRunFold } from '#protocol/fold/run-fold.ts';
import { runView } from '#protocol/fold/run-view.ts';
import { ViewReply } from '#protocol/messages/run/api.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import { filters } from '#protocol/messages/subjects.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { call } from '#protocol/nats/rpc.ts';
import { readAll } from '#protocol/nats/streams/tail.ts';
import { STREAMS } from '#protocol/nats/streams/streams.ts';
import { recordOf } from '../runs/record.ts';
import type { AuditReport } from './audit-archive.ts';
import { differences } from './differences.ts';

export async function auditLive(connection: MeshConnection, run: string): Promise<AuditReport> {
  const reply = ViewReply.safeParse(await call(connection, 'view', { run }));
  if (!reply.success)
    throw new MeshError('protocol', 'the coordinator answered view with something else');
  const { sequence, view } = reply.data;
  const fold = createRunFold(run);
  const query = { stream: STREAMS.events, filters: filters.runEvents(run), upToSequence: sequence };
  await readAll(connection, query, (message) => {
    const record = recordOf(message);
    if (record !== null) applyToRun(fold, record);
  });
  const folded = {
    sequence: fold.sequence,
    run: JSON.parse(JSON.stringify(runView(fold))) as unknown,
  };
  const shown = { sequence, run: JSON.parse(view) as unknown };
  return {
    sequence,
    compared: [`the coordinator's view at sequence ${sequence}`],
    differences: differences(folded, shown),
  };
}
