/** What every command does that begins a run: the mesh it needs, and the run attended to its end. */
import { unplaceableWarnings } from '#protocol/messages/agent/unplaceable.ts';
import { EXIT } from '#protocol/messages/errors.ts';
import type { SubmitReply } from '#protocol/messages/run/api.ts';
import { resultRows } from '#protocol/fold/results-fold.ts';
import { showsAutomatic } from '#protocol/fold/run-fold.ts';
import { runView } from '#protocol/fold/run-view.ts';
import { taskViews } from '#protocol/fold/task-view.ts';
import { readMeshFile } from '#protocol/runtime/local-mesh.ts';
import { exitWith, type JsonFlag, type MeshFlags } from '../command.ts';
import { openMesh, resultsDirOf, targetOf, type OpenMesh } from '../mesh/find-mesh.ts';
import { namedResultsDir } from '../mesh/home.ts';
import { startLocalMesh } from '../mesh/start-mesh.ts';
import { deadParts } from '../mesh/supervise.ts';
import { plural } from '../output/format.ts';
import { exitOfRun, printEnd } from '../output/run-end.ts';
import { terminal } from '../output/terminal.ts';

/** Says what was submitted; without `detach` it stays to the end, and sets the exit status. */
export async function attendSubmitted(
  mesh: OpenMesh,
  reply: SubmitReply,
  flags: MeshFlags & JsonFlag & { readonly detach?: boolean },
): Promise<void> {
  const { run, created, tasks, behind, unplaceable = [] } = reply;
  for (const warning of unplaceableWarnings(unplaceable)) terminal.note(`warning: ${warning}`);
  if (flags.detach !== true) {
    terminal.note(`run ${run}: ${plural(tasks, 'task')}`);
    await toEnd(mesh, run, flags);
  } else if (flags.json === true) {
    terminal.printJson('submitted', { run, created, tasks, behind, unplaceable });
  } else {
    terminal.print(run);
  }
}

/** The mesh to use; a local one is started, or completed where parts of it are dead. */
export async function ensureMesh(flags: MeshFlags): Promise<OpenMesh> {
  const target = targetOf(flags);
  if (target.kind === 'local') {
    const mesh = await readMeshFile(target.home);
    if (mesh === null || deadParts(mesh).length > 0) {
      const resultsDir = namedResultsDir(flags.results);
      const { started } = await startLocalMesh({
        home: target.home,
        stays: false,
        ...(resultsDir === null ? {} : { resultsDir }),
      });
      if (started.length > 0) terminal.note(`local mesh: started ${started.join(', ')}`);
    }
  }
  return openMesh(flags, 'run');
}

async function toEnd(mesh: OpenMesh, run: string, flags: MeshFlags & JsonFlag): Promise<void> {
  const resultsDir = await resultsDirOf(flags);
  const { attend } = await import('../runs/attend-run.ts');
  const end = await attend(mesh, { run, resultsDir });
  if (end.kind === 'detached') {
    terminal.note(`run ${run} is left to the mesh: benchmesh watch ${run} comes back to it`);
    process.exitCode = EXIT.interrupted;
    return;
  }
  const { fold, directory, notice } = end;
  if (flags.json === true) {
    const tasks = taskViews(fold);
    const results = resultRows(tasks, { partial: false, automatic: showsAutomatic(fold) });
    terminal.printJson('run_end', {
      sequence: fold.sequence,
      run: runView(fold),
      results,
      directory,
    });
  } else {
    printEnd(fold, directory);
  }
  if (end.kind === 'interrupted') process.exitCode = EXIT.interrupted;
  else exitWith(exitOfRun(fold, notice));
}
