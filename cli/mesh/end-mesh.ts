/**
 * `down`: ends the local mesh, verified. What runs or waits is not left behind by accident: with
 * live runs it refuses, unless told to stop them first or to leave them.
 */
import { MeshError } from '#protocol/messages/errors.ts';
import { isAlive } from '#protocol/runtime/process-identity.ts';
import { stopServer } from '#protocol/nats/server/embedded-server.ts';
import { tryLock } from '#protocol/runtime/folder-lock.ts';
import { endLocalMesh, meshPaths, type EndResult } from '#protocol/runtime/local-mesh.ts';
import { debugLog } from '../debug-log.ts';
import { liveRuns, type LiveRun } from '../runs/live-runs.ts';
import { localMeshOrNone, openIfAny } from './find-mesh.ts';
import { attemptProcesses } from './local-steps.ts';
import { lockMesh } from './start-mesh.ts';

const LOCK_MS = 30_000;

/** Ends every part whatever runs. Attempts go on; the next `up` adopts them (I8). */
export async function endMesh(home: string, graceMs?: number): Promise<EndResult> {
  const lock = await lockMesh(home, LOCK_MS);
  try {
    // Nobody knows what to end where the record is damaged: rather said than half done.
    await localMeshOrNone(home);
    const result = await endLocalMesh(home, {
      parts: { isAlive, tryLock, stopServer },
      log: debugLog,
      reason: 'down',
      locked: true,
      ...(graceMs === undefined ? {} : { graceMs }),
    });
    // mesh.json may be lost while its server runs.
    if (result.kind === 'absent' && (await stopServer(home)) !== 'absent') {
      return { kind: 'ended', killed: [] };
    }
    return result;
  } finally {
    await lock.release();
  }
}

export interface Unfinished {
  readonly runs: readonly LiveRun[];
  /** Processes of attempts on this host. */
  readonly processes: number;
}

/** What `down` would leave behind. Works with any part dead. */
export async function unfinished(home: string): Promise<Unfinished> {
  const mesh = await localMeshOrNone(home);
  const processes = attemptProcesses(meshPaths(home).agentState).length;
  // A dead server has no runs to tell of, and must not keep the rest from being ended.
  if (mesh === null || !isAlive(mesh.server)) return { runs: [], processes };
  const open = await openIfAny({}, 'down');
  try {
    const runs = open === null ? [] : await liveRuns(open.connection);
    return { runs: runs.filter((run) => run.view.state !== 'ended'), processes };
  } finally {
    await open?.close();
  }
}

export function refusal({ runs, processes }: Unfinished): MeshError | null {
  if (runs.length === 0 && processes === 0) return null;
  const names = runs.map((run) => run.view.id);
  const what =
    names.length > 0
      ? `${names.length === 1 ? 'run' : 'runs'} ${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''} ${names.length === 1 ? 'has' : 'have'} not ended`
      : 'benchmarks still run on this host';
  return new MeshError(
    'busy',
    `${what}: benchmesh down --stop stops them first, --force leaves them to the next benchmesh up`,
  );
}
