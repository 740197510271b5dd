/** Changes how a live run is served: asked of the coordinator, and answered when that is stored. */
import { ChangeReply, type ChangeRequest } from '#protocol/messages/run/api.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import type { MeshFlags } from '../command.ts';
import { operator } from '../mesh/home.ts';
import { askCoordinator } from './ask-coordinator.ts';
import { withRun } from './find-run.ts';
import { parseTarget } from './match.ts';

/** `text` names the run. Rejects with `already_ended` or `not_found`; a change made twice is the same. */
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
    const request: ChangeRequest = { run, ...to, by: operator() };
    return askCoordinator(found.mesh.connection, {
      verb: 'change',
      request,
      parse: (reply) => ChangeReply.parse(reply),
    });
  });
}
