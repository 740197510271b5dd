/** `benchmesh down`: ends the local mesh, every process verified gone. */
import type { Command } from 'commander';
import { MeshError } from '#protocol/messages/errors.ts';
import { withExamples, withJson, type JsonFlag } from '../command.ts';
import { endMesh, refusal, unfinished } from '../mesh/end-mesh.ts';
import { homeDir } from '../mesh/home.ts';
import { plural } from '../output/format.ts';
import { terminal } from '../output/terminal.ts';
import { stopRuns } from '../stop/stop-runs.ts';

interface DownFlags extends JsonFlag {
  readonly stop?: boolean;
  readonly force?: boolean;
}

export function build(command: Command): void {
  withJson(command)
    .option('--stop', 'stop the runs that are live first, and wait for the proof')
    .option('--force', 'end the mesh whatever runs: benchmarks go on and the next up adopts them');
  command.addHelpText(
    'after',
    `
Refuses with status 6 while a run has not ended. Finished runs stay readable without a mesh.`,
  );
  withExamples(command, ['benchmesh down', 'benchmesh down --stop']);
  command.action(async (flags: DownFlags) => {
    const home = homeDir();
    if (flags.force !== true) await clear(home, flags.stop === true);
    const result = await endMesh(home);
    if (result.kind === 'busy') throw new MeshError('busy', `the mesh of ${home} is being started`);
    const ended = result.kind === 'ended';
    const killed = result.kind === 'ended' ? result.killed : [];
    if (flags.json === true) terminal.printJson('mesh_end', { home, ended, killed });
    else terminal.print(ended ? `the mesh of ${home} has ended` : `no mesh is running in ${home}`);
    if (killed.length > 0)
      terminal.note(`${killed.join(', ')} did not end when asked and was killed`);
  });
}

async function clear(home: string, stop: boolean): Promise<void> {
  const left = await unfinished(home);
  const refused = refusal(left);
  if (refused === null) return;
  if (!stop) throw refused;
  terminal.note(`stopping ${plural(left.runs.length, 'run')} first`);
  const clean = await stopRuns(
    left.runs.map((run) => run.view.id),
    'the mesh is taken down',
  );
  if (!clean) {
    throw new MeshError(
      'stop_open',
      'not every stop is proven: the mesh stays up; see benchmesh runs',
    );
  }
}
