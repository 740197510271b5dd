/**
 * From what people write to a run: in its directory if it is finished, else in the log of the mesh.
 * A full id of a finished run is found without a mesh.
 */
import { isRunId } from '#protocol/messages/ids.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import type { RunFold } from '#protocol/fold/run-fold.ts';
import type { MeshFlags } from '../command.ts';
import { openIfAny, resultsDirOf, type OpenMesh } from '../mesh/find-mesh.ts';
import { archivedDirectory, archivedRunIds, readArchivedRun } from './archive.ts';
import { liveRunIds, readLiveHead, readLiveRun } from './live-run.ts';
import { matchRun } from './match.ts';

export type FoundRun =
  | { readonly kind: 'archived'; readonly run: string; readonly directory: string }
  | {
      readonly kind: 'live';
      readonly run: string;
      readonly mesh: OpenMesh;
      readonly resultsDir: string;
    };

/** Calls `use` with the run that `text` means, with a connection open meanwhile if it is live. */
export async function withRun<T>(
  flags: MeshFlags,
  text: string,
  use: (found: FoundRun) => Promise<T>,
): Promise<T> {
  const resultsDir = await resultsDirOf(flags);
  if (isRunId(text)) {
    const directory = await archivedDirectory(resultsDir, text);
    if (directory !== null) return await use({ kind: 'archived', run: text, directory });
  }
  const mesh = await openIfAny(flags, 'reader');
  try {
    const live = mesh === null ? [] : await liveRunIds(mesh.connection);
    const archived = await archivedRunIds(resultsDir);
    if (mesh === null && archived.length === 0) {
      throw new MeshError(
        'not_found',
        `there is no run "${text}": no mesh is running and ${resultsDir} holds none`,
      );
    }
    const run = matchRun(text, [...new Set([...archived, ...live])]);
    const directory = await archivedDirectory(resultsDir, run);
    if (directory !== null) return await use({ kind: 'archived', run, directory });
    if (mesh === null)
      throw new MeshError('not_found', `the directory of run ${run} is incomplete`);
    return await use({ kind: 'live', run, mesh, resultsDir });
  } finally {
    await mesh?.close();
  }
}

/**
 * The run's fold as of now, wherever it is. A run that ends meanwhile is purged from the log once its
 * directory is there: what was read of the log may then be half of it, and the directory counts.
 */
export async function readRun(found: FoundRun): Promise<RunFold> {
  return readBy(found, readLiveRun);
}

/** As `readRun`, but of a live run only what is said of it as a whole: nobody waits for its tasks' events. */
export async function readHead(found: FoundRun): Promise<RunFold> {
  return readBy(found, readLiveHead);
}

async function readBy(found: FoundRun, readLive: typeof readLiveRun): Promise<RunFold> {
  if (found.kind === 'archived') return readArchivedRun(found.directory, found.run);
  const fold = await readLive(found.mesh.connection, found.run);
  const directory = await archivedDirectory(found.resultsDir, found.run);
  if (directory !== null) return readArchivedRun(directory, found.run);
  if (fold === null) throw new MeshError('not_found', `the log has no run ${found.run} any more`);
  return fold;
}
