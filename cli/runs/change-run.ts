/** Changes how a live run is served: asked of the coordinator, and answered when that is stored. */
import { ChangeReply, type ChangeRequest } from '#protocol/messages/run/api.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import { pause } from '#protocol/nats/connection.ts';
import { call } from '#protocol/nats/rpc.ts';
import type { MeshFlags } from '../command.ts';
import { operator } from '../mesh/home.ts';
import { withRun } from './find-run.ts';
import { parseTarget } from './match.ts';

const PATIENCE_MS = 20_000;

/**
 * `text` names the run. Rejects with `already_ended` or `not_found`. Asked again where nobody answered:
 * a change made twice is the same.
 */
export async function changeRun(
  flags: MeshFlags,
  text: string,
  to: Pick<ChangeRequest, 'priority' | 'maxParallel'>,
): Promise<ChangeReply> {
  const target = parseTarget(text);
  if (target.task !== null) throw new MeshError('usage', 'name a run, not a task of it');
  return withRun(flags, target.run, async (found) => {
    const { run } = found;
    if (found.kind === 'archived')
      throw new MeshError('already_ended', `run ${run} has ended already`);
    const { connection } = found.mesh;
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      try {
        const request: ChangeRequest = { run, ...to, by: operator() };
        return ChangeReply.parse(await call(connection, 'change', request));
      } catch (error) {
        const isTransient =
          error instanceof MeshError && ['timed_out', 'mesh_unreachable'].includes(error.code);
        if (!isTransient || performance.now() > deadline) throw error;
        await connection.whenConnected();
        await pause(250);
      }
    }
  });
}
