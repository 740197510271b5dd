/**
 * The embedded server's folder, `<home>/server/`:
 *
 *   settings.json     chosen once, kept: port, name, storage limit (a restart keeps its address)
 *   nats-server.conf  generated at each start, 0600
 *   credential        the seed of the mesh's own user, 0600
 *   server.pid        written by nats-server itself
 *   nats-server.log   its log, appended; at LOG_BYTES it is renamed to a name with the time, and the one
 *                     before goes: nats-server does both itself
 *   nats-server.out   what it prints outside of its log: why a start failed, a panic; the one of the start
 *                     before that said something as nats-server.out.1
 *   store/            JetStream's files
 */
import { randomBytes } from 'node:crypto';
import { readFile, rename, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromSeed } from '@nats-io/nkeys';
import { z } from 'zod';
import { errnoOf, MeshError, toError } from '../../messages/errors.ts';
import { makeFolder } from '../../runtime/make-folder.ts';
import { createNkeyFile, parseCredential } from '../credential.ts';

export interface ServerPaths {
  readonly dir: string;
  readonly settings: string;
  readonly config: string;
  readonly credential: string;
  readonly pid: string;
  readonly log: string;
  readonly output: string;
  readonly store: string;
}

export function serverPaths(home: string): ServerPaths {
  const dir = join(home, 'server');
  return {
    dir,
    settings: join(dir, 'settings.json'),
    config: join(dir, 'nats-server.conf'),
    credential: join(dir, 'credential'),
    pid: join(dir, 'server.pid'),
    log: join(dir, 'nats-server.log'),
    output: join(dir, 'nats-server.out'),
    store: join(dir, 'store'),
  };
}

const Settings = z.object({
  port: z.number().int().min(1).max(65535),
  /** The server's name: tells it apart from whoever else answers on the port. */
  name: z.string(),
  /** Boot in which the port was chosen. */
  boot: z.string(),
  /** JetStream's limit on disk, in bytes; what the stream limits are derived from. */
  maxStoreBytes: z.number().int().positive(),
});
export type ServerSettings = z.infer<typeof Settings>;

/** Null where no server has been set up, or its settings are unreadable. */
export async function readSettings(paths: ServerPaths): Promise<ServerSettings | null> {
  try {
    const parsed = Settings.safeParse(JSON.parse(await readFile(paths.settings, 'utf8')));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

export async function writeSettings(paths: ServerPaths, settings: ServerSettings): Promise<void> {
  await writeWhole(paths.settings, `${JSON.stringify(settings, null, 2)}\n`);
}

export function newServerName(): string {
  return `benchmesh-${randomBytes(6).toString('hex')}`;
}

const GIB = 1024 ** 3;

/** Half of what is free, at least 1 GiB and at most 16. */
export async function defaultStoreBytes(dir: string): Promise<number> {
  const { bavail, bsize } = await statfs(dir);
  return Math.round(Math.min(16 * GIB, Math.max(GIB, (bavail * bsize) / 2)));
}

/** Makes the folder. Rejects with MeshError `state_unwritable` or `disk_full` naming it. */
export async function makeServerDir(paths: ServerPaths): Promise<void> {
  await guarded(paths.dir, async () => {
    await makeFolder(paths.store, 0o700);
  });
}

/** Runs what writes under `dir`, with its failure named. */
export async function guarded<T>(dir: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (error instanceof MeshError) throw error;
    if (errnoOf(error) === 'ENOSPC' || errnoOf(error) === 'EDQUOT') {
      throw new MeshError('disk_full', `the disk of ${dir} is full: free some space`, error);
    }
    throw new MeshError(
      'state_unwritable',
      `${dir} cannot be written: ${toError(error).message}`,
      error,
    );
  }
}

/** As the other parts of the local mesh: so much, and the one before. */
const LOG_BYTES = 32 * 1024 * 1024;

export const MAX_PAYLOAD_BYTES = 8 * 1024 * 1024;

/** Writes the config of a server on loopback that only the mesh's own credential can use. */
export async function writeConfig(paths: ServerPaths, settings: ServerSettings): Promise<void> {
  const publicKey = await ensureCredential(paths);
  const lines = [
    '# Generated at each start of the local mesh; changes are lost.',
    `server_name: ${quote(settings.name)}`,
    'host: "127.0.0.1"',
    `port: ${settings.port}`,
    `pid_file: ${quote(paths.pid)}`,
    `log_file: ${quote(paths.log)}`,
    `logfile_size_limit: ${LOG_BYTES}`,
    'logfile_max_num: 2',
    `max_payload: ${MAX_PAYLOAD_BYTES}`,
    'max_connections: 4096',
    'write_deadline: "10s"',
    'lame_duck_duration: "30s"',
    'lame_duck_grace_period: "1s"',
    'authorization {',
    `  users: [ { nkey: ${publicKey} } ]`,
    // The default of 2 s is too short for a host whose benchmarks leave a client no CPU.
    '  timeout: 15',
    '}',
    'jetstream {',
    `  store_dir: ${quote(paths.store)}`,
    `  max_file_store: ${settings.maxStoreBytes}`,
    `  max_memory_store: ${64 * 1024 * 1024}`,
    '}',
  ];
  await writeWhole(paths.config, `${lines.join('\n')}\n`);
}

/** The public key of the credential file, made if missing. */
async function ensureCredential(paths: ServerPaths): Promise<string> {
  try {
    const credential = parseCredential(await readFile(paths.credential, 'utf8'));
    if (credential?.kind === 'nkey') return fromSeed(credential.seed).getPublicKey();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  return (await createNkeyFile(paths.credential)).publicKey;
}

/** Complete or not at all: a reader never sees half of it. */
async function writeWhole(file: string, text: string): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, text, { mode: 0o600 });
  await rename(temporary, file);
}

function quote(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
