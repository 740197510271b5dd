/**
 * The local mesh of one user as files under `$BENCHMESH_HOME`, and how it ends. Who starts it is
 * the CLI (cli/mesh/); who ends it is the CLI (`down`) or its own coordinator after an idle minute.
 *
 *   <home>/mesh.json        who runs: pid and start time of each part, addresses, log files
 *   <home>/mesh.<n>         the lock: whoever starts or ends parts holds it
 *   <home>/server/          nats-server: config, credential, store, log
 *   <home>/agent/           state folder of the agent `local-1`
 *   <home>/logs/            coordinator.log, agent.log and what they print
 *   <home>/results/         the directories of finished runs
 *
 * 1. Parts are started and ended only under the lock: a `run` that comes while the mesh ends waits,
 *    then finds none and starts one.
 * 2. A process is signalled only if pid and start time are those of the file.
 * 3. A mesh that stays (`up`) is never ended by idleness: `stays` is read under the lock.
 */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { errnoOf, toError } from '../messages/errors.ts';
import { makeFolder } from './make-folder.ts';
import type { Log } from './log.ts';

export const LOCAL_AGENT = 'local-1';
export const LOCAL_COORDINATOR = 'local';
/** Name of the lock in the home folder. */
export const MESH_LOCK = 'mesh';

const Part = z.object({
  pid: z.number().int().positive(),
  /** Opaque; equal only for the same process of the same boot. */
  startTime: z.string(),
  logFile: z.string(),
});

export const MeshFile = z.object({
  version: z.literal(1),
  /** Started by `up`: ends only by `down`. Else it ends by itself when idle. */
  stays: z.boolean(),
  bootId: z.string(),
  server: Part.extend({ url: z.string(), credentialFile: z.string() }),
  coordinator: Part.extend({
    id: z.string(),
    resultsDir: z.string(),
    /** As `up` was told; kept when it is started again. */
    cordonAfter: z.number().int().nonnegative().optional(),
  }).nullable(),
  agent: Part.extend({
    id: z.string(),
    stateDir: z.string(),
    /** As `up` was told; kept when the agent is started again. */
    slots: z.number().int().positive().nullable(),
    rung: z.enum(['auto', 'cgroup', 'subreaper', 'scan']),
    /** Likewise; `key=value` each. */
    labels: z.array(z.string()).optional(),
    /** Likewise. */
    reservedCpus: z.string().optional(),
  }).nullable(),
});
export type MeshFile = z.infer<typeof MeshFile>;

export interface MeshPaths {
  readonly home: string;
  readonly file: string;
  readonly logs: string;
  readonly agentState: string;
  readonly results: string;
}

export function meshPaths(home: string): MeshPaths {
  return {
    home,
    file: join(home, 'mesh.json'),
    logs: join(home, 'logs'),
    agentState: join(home, 'agent'),
    results: join(home, 'results'),
  };
}

/** What the home folder says of its mesh. The file is removed by who takes the mesh down in order. */
export type RecordedMesh =
  | { readonly kind: 'absent' }
  | { readonly kind: 'found'; readonly mesh: MeshFile }
  /** There is, or was, a mesh, and nobody can say where. */
  | { readonly kind: 'unreadable'; readonly reason: string };

export async function recordedMesh(home: string): Promise<RecordedMesh> {
  let text: string;
  try {
    text = await readFile(meshPaths(home).file, 'utf8');
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'absent' };
    return { kind: 'unreadable', reason: toError(error).message };
  }
  try {
    const parsed = MeshFile.safeParse(JSON.parse(text));
    if (parsed.success) return { kind: 'found', mesh: parsed.data };
  } catch {
    // Said below.
  }
  return { kind: 'unreadable', reason: 'its content is damaged' };
}

/** Null where no local mesh is recorded, or the file is unreadable. */
export async function readMeshFile(home: string): Promise<MeshFile | null> {
  const recorded = await recordedMesh(home);
  return recorded.kind === 'found' ? recorded.mesh : null;
}

/** Complete or not at all. */
export async function writeMeshFile(home: string, mesh: MeshFile): Promise<void> {
  const { file } = meshPaths(home);
  await makeFolder(home, 0o700);
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, `${JSON.stringify(mesh, null, 2)}\n`, { mode: 0o600 });
  await rename(temporary, file);
}

interface Identity {
  readonly pid: number;
  readonly startTime: string;
}

/** What the layers above lend: see protocol/nats/process-identity, folder-lock, embedded-server. */
export interface EndParts {
  readonly isAlive: (identity: Identity) => boolean;
  readonly tryLock: (
    dir: string,
    name: string,
  ) => Promise<{ kind: 'held'; lock: { release(): Promise<void> } } | { kind: 'busy' }>;
  readonly stopServer: (home: string) => Promise<unknown>;
}

export interface EndOptions {
  readonly parts: EndParts;
  readonly log: Log;
  /** `idle`: the coordinator's own; a mesh that stays is kept. `down`: the user's. */
  readonly reason: 'idle' | 'down';
  /** The caller holds the mesh lock already. */
  readonly locked?: boolean;
  /** How long a part may take to end before it is killed. Default 10 s. */
  readonly graceMs?: number;
}

export type EndResult =
  /** Every part but the caller itself is gone. */
  | { readonly kind: 'ended'; readonly killed: readonly string[] }
  /** No mesh was recorded. */
  | { readonly kind: 'absent' }
  /** It stays: somebody said `up`. */
  | { readonly kind: 'kept' }
  /** Somebody is starting or ending it right now. */
  | { readonly kind: 'busy' };

/**
 * Ends the local mesh: agent, coordinator (unless it is the caller), server, in this order, each
 * verified gone. Attempts that still run go on without their agent (I8): who must not leave any
 * asks before. Called by the coordinator, it must give up its lease first and exit afterwards.
 */
export async function endLocalMesh(home: string, options: EndOptions): Promise<EndResult> {
  const { parts } = options;
  if (options.locked === true) return await endLocked(home, options);
  const attempt = await parts.tryLock(home, MESH_LOCK);
  if (attempt.kind === 'busy') return { kind: 'busy' };
  try {
    return await endLocked(home, options);
  } finally {
    await attempt.lock.release();
  }
}

async function endLocked(home: string, options: EndOptions): Promise<EndResult> {
  const { parts, log, reason, graceMs = 10_000 } = options;
  const mesh = await readMeshFile(home);
  if (mesh === null) return { kind: 'absent' };
  if (reason === 'idle' && mesh.stays) return { kind: 'kept' };
  const killed: string[] = [];
  for (const name of ['agent', 'coordinator'] as const) {
    const part = mesh[name];
    if (part === null || part.pid === process.pid) continue;
    const how = await endProcess(part, parts.isAlive, graceMs);
    log.info({ part: name, pid: part.pid, how }, 'part of the local mesh ended');
    if (how === 'killed') killed.push(name);
  }
  await parts.stopServer(home);
  await rm(meshPaths(home).file, { force: true });
  log.info({ home, reason }, 'local mesh ended');
  return { kind: 'ended', killed };
}

async function endProcess(
  identity: Identity,
  isAlive: (identity: Identity) => boolean,
  graceMs: number,
): Promise<'absent' | 'ended' | 'killed'> {
  if (!isAlive(identity)) return 'absent';
  signal(identity.pid, 'SIGTERM');
  // A stopped process takes no TERM.
  signal(identity.pid, 'SIGCONT');
  if (await goneWithin(identity, isAlive, graceMs)) return 'ended';
  signal(identity.pid, 'SIGKILL');
  await goneWithin(identity, isAlive, 5_000);
  return 'killed';
}

async function goneWithin(
  identity: Identity,
  isAlive: (identity: Identity) => boolean,
  ms: number,
): Promise<boolean> {
  const deadline = performance.now() + ms;
  while (isAlive(identity)) {
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
  return true;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone already: that is what was wanted.
  }
}
