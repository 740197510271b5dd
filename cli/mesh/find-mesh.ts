/**
 * Which mesh a command talks to, in this order: `--server`, `BENCHMESH_SERVER`, the local mesh of
 * `$BENCHMESH_HOME`. Reading a finished run needs none: `openIfAny` then answers null. A local mesh
 * that is recorded and dead, or recorded unreadably, is not "none": its live runs are in its store,
 * and an answer from the finished runs alone would deny them.
 */
import { MeshError } from '#protocol/messages/errors.ts';
import { connect, pause, type MeshConnection } from '#protocol/nats/connection.ts';
import { readCredential } from '#protocol/nats/credential.ts';
import { isAlive } from '#protocol/runtime/process-identity.ts';
import {
  meshPaths,
  readMeshFile,
  recordedMesh,
  type MeshFile,
} from '#protocol/runtime/local-mesh.ts';
import { debugLog } from '../debug-log.ts';
import type { MeshFlags } from '../command.ts';
import { homeDir, namedResultsDir } from './home.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export type MeshTarget =
  | { readonly kind: 'server'; readonly url: string; readonly credentialFile: string | null }
  | { readonly kind: 'local'; readonly home: string };

/** Pure: where the flags and the environment point. */
export function targetOf(flags: MeshFlags, environment: Environment = process.env): MeshTarget {
  const url = flags.server ?? environment['BENCHMESH_SERVER'] ?? '';
  if (url === '') {
    if (flags.credential !== undefined)
      throw new MeshError('usage', '--credential needs --server or BENCHMESH_SERVER');
    return { kind: 'local', home: homeDir(environment) };
  }
  if (!/^((nats|tls):\/\/)?[^\s/@]+$/.test(url)) {
    throw new MeshError(
      'usage',
      `"${url}" is no server address: it must look like nats://host:4222 (credentials go into --credential FILE)`,
    );
  }
  const port = /:(\d+)$/.exec(url)?.[1];
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535))
    throw new MeshError('usage', `"${url}" is no server address: a port is from 1 to 65535`);
  const file = flags.credential ?? environment['BENCHMESH_CREDENTIAL'] ?? '';
  return { kind: 'server', url, credentialFile: file === '' ? null : file };
}

export interface OpenMesh {
  readonly connection: MeshConnection;
  readonly target: MeshTarget;
  /** mesh.json of a local mesh. */
  readonly mesh: MeshFile | null;
  close(): Promise<void>;
}

const CONNECT_MS = 5_000;
/** A local server that is alive answers; on a host busy with benchmarks it may take a while. */
const LOCAL_CONNECT_MS = 20_000;

/** Rejects with `mesh_unreachable`, naming where it looked. */
export async function openMesh(flags: MeshFlags, name: string): Promise<OpenMesh> {
  const target = targetOf(flags);
  if (target.kind === 'server') {
    return open(target, {
      url: target.url,
      credentialFile: target.credentialFile,
      name,
      mesh: null,
    });
  }
  const mesh = await localMesh(target.home);
  const { url, credentialFile } = mesh.server;
  if (!isAlive(mesh.server)) throw localIsDown(url);
  try {
    return await open(target, { url, credentialFile, name, mesh });
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== 'mesh_unreachable') throw error;
    throw localIsDown(url, error);
  }
}

function localIsDown(url: string, cause?: unknown): MeshError {
  return new MeshError(
    'mesh_unreachable',
    `the local mesh does not answer at ${url}: benchmesh up starts what is missing of it`,
    cause,
  );
}

async function localMesh(home: string): Promise<MeshFile> {
  const mesh = await localMeshOrNone(home);
  if (mesh !== null) return mesh;
  throw new MeshError(
    'mesh_unreachable',
    `no mesh is running: no --server, no BENCHMESH_SERVER, none in ${home}; start one with benchmesh up`,
  );
}

/** Null where none is recorded; rejects with `mesh_unreachable` where nobody can tell. */
export async function localMeshOrNone(home: string): Promise<MeshFile | null> {
  const recorded = await recordedMesh(home);
  if (recorded.kind === 'absent') return null;
  if (recorded.kind === 'found') return recorded.mesh;
  throw new MeshError(
    'mesh_unreachable',
    `${meshPaths(home).file} cannot be read (${recorded.reason}): it says where the mesh is; benchmesh up writes it again`,
  );
}

/** A server that is dead for this long does not come back by itself, nor is it being taken down. */
const SETTLE_MS = 500;

/**
 * Null where there is no mesh to ask: none was named, and none is recorded in the home folder.
 * Rejects with `mesh_unreachable` if one is and does not answer.
 */
export async function openIfAny(flags: MeshFlags, name: string): Promise<OpenMesh | null> {
  const target = targetOf(flags);
  if (target.kind === 'local') {
    const deadline = performance.now() + SETTLE_MS;
    for (;;) {
      const mesh = await localMeshOrNone(target.home);
      if (mesh === null) return null;
      // Between the end of the server and of its record is a moment: of `down`, or of a healing.
      if (isAlive(mesh.server) || performance.now() > deadline) break;
      await pause(50);
    }
  }
  return openMesh(flags, name);
}

async function open(
  target: MeshTarget,
  to: { url: string; credentialFile: string | null; name: string; mesh: MeshFile | null },
): Promise<OpenMesh> {
  const connection = await connect({
    url: to.url,
    credential: to.credentialFile === null ? null : await readCredential(to.credentialFile),
    name: `benchmesh ${to.name}`,
    log: debugLog,
    deadlineMs: to.mesh === null ? CONNECT_MS : LOCAL_CONNECT_MS,
  });
  return { connection, target, mesh: to.mesh, close: () => connection.close() };
}

/** Where finished runs lie: the flag, the environment, what the local mesh was told, its home. */
export async function resultsDirOf(flags: MeshFlags): Promise<string> {
  const named = namedResultsDir(flags.results);
  if (named !== null) return named;
  const home = homeDir();
  return (await readMeshFile(home))?.coordinator?.resultsDir ?? meshPaths(home).results;
}

/** `--server` and `--credential` of the mesh that was found, for a program that joins it. */
export async function serverArgs(flags: MeshFlags): Promise<string[]> {
  const target = targetOf(flags);
  const { url, credentialFile } =
    target.kind === 'server' ? target : (await localMesh(target.home)).server;
  return ['--server', url, ...(credentialFile === null ? [] : ['--credential', credentialFile])];
}
