/** `benchmesh resume RUN[/TASK]`: what was paused goes on, each from its checkpoint. */
import type { Command } from 'commander';
import { ResumeReply, type ResumeRequest } from '#protocol/messages/run/api.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import { pause, type MeshConnection } from '#protocol/nats/connection.ts';
import { call } from '#protocol/nats/rpc.ts';
import { withExamples, withJson, withMesh, type JsonFlag, type MeshFlags } from '../command.ts';
import { operator } from '../mesh/home.ts';
import { plural } from '../output/format.ts';
import { terminal } from '../output/terminal.ts';
import { readRun, withRun, type FoundRun } from '../runs/find-run.ts';
import { matchTask, parseTarget } from '../runs/match.ts';

interface ResumeFlags extends MeshFlags, JsonFlag {}

const PATIENCE_MS = 20_000;

export function build(command: Command): void {
  withMesh(withJson(command.argument('<run[/task]>', 'id, a unique part of it, or latest')));
  command.addHelpText(
    'after',
    `
Of a run everything that is paused of it goes on, also tasks that were paused by themselves; of a task
only this one, also where its run is paused. The next attempt counts as no retry. Ends with 1 if it is
not paused, 9 if it had ended already.`,
  );
  withExamples(command, ['benchmesh resume latest', 'benchmesh resume k3f9/d2xq']);
  command.action(async (text: string, flags: ResumeFlags) => {
    const target = parseTarget(text);
    if (target.n !== null)
      throw new MeshError(
        'usage',
        'a task is resumed, not one attempt of it: leave out the number',
      );
    await withRun(flags, target.run, (found) => resume(found, target.task, flags));
  });
}

async function resume(found: FoundRun, taskText: string | null, flags: ResumeFlags): Promise<void> {
  const { run } = found;
  const fold = await readRun(found);
  const task = taskText === null ? null : matchTask(taskText, fold.tasks.keys());
  const name = task === null ? `run ${run}` : `task ${run}/${task}`;
  if (found.kind === 'archived' || fold.state === 'ended')
    throw new MeshError('already_ended', `${name} has ended already`);
  const reply = await ask(found.mesh.connection, { run, task, by: operator() });
  if (flags.json === true) terminal.printJson('resume', reply);
  else terminal.print(`${name} is resumed: ${plural(reply.waiting, 'task')} may start again`);
}

/** Asked again where nobody answered: the first may have been heard, and then it is not paused any more. */
async function ask(connection: MeshConnection, request: ResumeRequest): Promise<ResumeReply> {
  const deadline = performance.now() + PATIENCE_MS;
  for (let calls = 1; ; calls += 1) {
    try {
      return ResumeReply.parse(await call(connection, 'resume', request));
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      if (error.code === 'not_paused' && calls > 1) return { ...request, waiting: 0 };
      const isTransient = error.code === 'timed_out' || error.code === 'mesh_unreachable';
      if (!isTransient || performance.now() > deadline) throw error;
      await connection.whenConnected();
      await pause(250);
    }
  }
}
