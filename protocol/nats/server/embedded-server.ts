/**
 * The local mesh's own nats-server: one per home folder, in its own session, found again by whoever
 * comes later. It outlives who started it (I8).
 *
 * 1. Start is under a lock: of two that start at once one starts, the other finds it running.
 * 2. A restart keeps store and port, so connected clients come back by themselves. Only after a
 *    reboot may a port that others took meanwhile be replaced.
 * 3. A process is ours if its command line names our config file; a pid alone proves nothing.
 * 4. Ready means: our server name answers on the port. nats-server opens it after JetStream's
 *    recovery, so a client that connects finds its streams.
 */
import { spawn } from 'node:child_process';
import { open, readFile, rm, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { MeshError } from '../../messages/errors.ts';
import type { Log } from '../../runtime/log.ts';
import { pause } from '../connection.ts';
import { tryLock, type FolderLock } from '../../runtime/folder-lock.ts';
import {
  bootId,
  commandLineOf,
  identityOf,
  isAlive,
  pidsByCommandLine,
} from '../../runtime/process-identity.ts';
import { findServerBinary } from './server-binary.ts';
import {
  defaultStoreBytes,
  guarded,
  makeServerDir,
  newServerName,
  readSettings,
  serverPaths,
  writeConfig,
  writeSettings,
  type ServerPaths,
  type ServerSettings,
} from './server-files.ts';
import { freePort, isPortFree, probePort } from './server-probe.ts';

/** How long a live server may be silent before it is replaced. */
const SILENT_MS = 15_000;

export interface StartServerOptions {
  /** `$BENCHMESH_HOME`; the server lives in `<home>/server`. */
  readonly home: string;
  readonly log: Log;
  /** 0 or absent: the port it had, or at first a free one. */
  readonly port?: number;
  /** Program to run, wins over the bundled one: `BENCHMESH_NATS_SERVER`. */
  readonly binary?: string;
  /** JetStream's limit on disk; kept from the first start on. */
  readonly maxStoreBytes?: number;
  /** How long start and recovery may take. Default 60 s. */
  readonly readyMs?: number;
  /** PATH to search for a nats-server; default this process's. */
  readonly path?: string;
}

export interface RunningServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly credentialFile: string;
  readonly logFile: string;
  readonly version: string;
  /** What `ensureStreams` derives its byte limits from. */
  readonly maxStoreBytes: number;
  /** False where it was running already. */
  readonly started: boolean;
}

/**
 * Starts the home's server, or finds it running. Rejects with MeshError `port_taken`,
 * `server_binary`, `server_too_old`, `state_unwritable`, `disk_full` or `start_failed`.
 */
export async function startServer(options: StartServerOptions): Promise<RunningServer> {
  const paths = serverPaths(options.home);
  const readyMs = options.readyMs ?? 60_000;
  await makeServerDir(paths);
  const lock = await takeLock(paths, readyMs);
  try {
    const running = (await findRunning(options.home)) ?? (await awaitSilent(options.home, paths));
    if (running !== null) {
      if (options.port !== undefined && options.port !== 0 && options.port !== running.port) {
        throw new MeshError(
          'port_taken',
          `the server of ${options.home} already runs on port ${running.port}, not ${options.port}: stop it first`,
        );
      }
      return running;
    }
    return await guarded(paths.dir, () => launch(options, paths, readyMs));
  } finally {
    await lock.release();
  }
}

/** The home's server if it runs and answers, else null. */
export async function findRunning(home: string): Promise<RunningServer | null> {
  const paths = serverPaths(home);
  const settings = await readSettings(paths);
  if (settings === null) return null;
  const probe = await probePort(settings.port);
  if (probe.kind !== 'nats' || probe.name !== settings.name) return null;
  const pid = await findPid(paths);
  return pid === null
    ? null
    : describe(paths, settings, { pid, version: probe.version, started: false });
}

/**
 * Ends the home's server: TERM, then KILL after `graceMs`. Resolves when the process is gone, with
 * how: `absent` where none ran.
 */
export async function stopServer(
  home: string,
  graceMs = 10_000,
): Promise<'absent' | 'ended' | 'killed'> {
  const paths = serverPaths(home);
  const pid = await findPid(paths);
  const identity = pid === null ? null : identityOf(pid);
  if (identity === null) return 'absent';
  signal(identity.pid, 'SIGTERM');
  if (await goneWithin(identity, graceMs)) return 'ended';
  signal(identity.pid, 'SIGKILL');
  await goneWithin(identity, 5_000);
  return 'killed';
}

async function takeLock(paths: ServerPaths, waitMs: number): Promise<FolderLock> {
  const deadline = performance.now() + waitMs;
  for (;;) {
    const attempt = await guarded(paths.dir, () => tryLock(paths.dir, 'start-lock'));
    if (attempt.kind === 'held') return attempt.lock;
    if (performance.now() > deadline) {
      throw new MeshError(
        'start_failed',
        `process ${attempt.owner.pid} has been starting the server of ${paths.dir} for over ${Math.round(waitMs / 1000)} s`,
      );
    }
    await pause(50);
  }
}

/**
 * Threads that run at once. The server is a guest on a host that measures: half the CPUs are enough for
 * it, and on two CPUs one alone took a fifth less CPU time than both for the same messages.
 */
function serverThreads(cpus: number): number {
  return Math.max(1, Math.floor(cpus / 2));
}

async function launch(
  options: StartServerOptions,
  paths: ServerPaths,
  readyMs: number,
): Promise<RunningServer> {
  const binary = await findServerBinary({
    stateDir: paths.dir,
    explicit: options.binary ?? null,
    path: options.path ?? process.env['PATH'] ?? null,
  });
  const settings = await chooseSettings(options, paths);
  await writeSettings(paths, settings);
  await writeConfig(paths, settings);
  await rm(paths.pid, { force: true });
  const logFrom = await sizeOf(paths.log);
  const logFile = await open(paths.log, 'a', 0o600);
  let exited: string | null = null;
  let pid: number | undefined;
  try {
    const child = spawn(binary.file, ['-c', paths.config], {
      detached: true,
      stdio: ['ignore', logFile.fd, logFile.fd],
      cwd: paths.dir,
      env: { GOMAXPROCS: String(serverThreads(availableParallelism())), ...process.env },
    });
    child.on('error', (error) => {
      exited = error.message;
    });
    child.on('exit', (code, signalName) => {
      exited ??= signalName ?? `exit status ${code ?? 'unknown'}`;
    });
    child.unref();
    pid = child.pid;
  } finally {
    await logFile.close();
  }
  options.log.info({ pid, port: settings.port, binary: binary.file }, 'nats-server started');
  const deadline = performance.now() + readyMs;
  for (;;) {
    const probe = await probePort(settings.port);
    if (pid !== undefined && probe.kind === 'nats' && probe.name === settings.name) {
      return describe(paths, settings, { pid, version: probe.version, started: true });
    }
    // `exited` is set by events; the compiler cannot see that.
    const end = exited as string | null;
    if (end !== null) throw await startFailure(paths, settings, { end, logFrom });
    if (performance.now() > deadline) {
      if (pid !== undefined) signal(pid, 'SIGKILL');
      throw await startFailure(paths, settings, {
        end: `no answer within ${Math.round(readyMs / 1000)} s`,
        logFrom,
      });
    }
    await pause(15);
  }
}

/**
 * A server of ours that lives but does not answer is given time (it may be recovering, or starved);
 * if it never answers it is ended, since its store cannot be opened twice.
 */
async function awaitSilent(home: string, paths: ServerPaths): Promise<RunningServer | null> {
  const pid = await findPid(paths);
  const identity = pid === null ? null : identityOf(pid);
  if (identity === null) return null;
  const deadline = performance.now() + SILENT_MS;
  while (isAlive(identity) && performance.now() < deadline) {
    const running = await findRunning(home);
    if (running !== null) return running;
    await pause(50);
  }
  signal(identity.pid, 'SIGTERM');
  signal(identity.pid, 'SIGCONT');
  if (await goneWithin(identity, 5_000)) return null;
  signal(identity.pid, 'SIGKILL');
  await goneWithin(identity, 5_000);
  return null;
}

async function chooseSettings(
  options: StartServerOptions,
  paths: ServerPaths,
): Promise<ServerSettings> {
  const kept = await readSettings(paths);
  const boot = bootId();
  const asked = options.port === undefined || options.port === 0 ? null : options.port;
  let port = asked ?? kept?.port ?? (await freePort());
  if (!(await isPortFree(port))) {
    if (asked !== null || kept === null || kept.boot === boot)
      throw portTaken(port, asked !== null);
    options.log.warn({ port }, 'the port of before the reboot is taken, choosing another');
    port = await freePort();
  }
  return {
    port,
    boot,
    name: kept?.name ?? newServerName(),
    maxStoreBytes:
      kept?.maxStoreBytes ?? options.maxStoreBytes ?? (await defaultStoreBytes(paths.dir)),
  };
}

function portTaken(port: number, asked: boolean): MeshError {
  const advice = asked
    ? 'choose another'
    : 'end what listens there (the local mesh keeps its port so that its agents find it again)';
  return new MeshError(
    'port_taken',
    `port ${port} on 127.0.0.1 is taken by another process: ${advice}`,
  );
}

/** Why a server that was started does not run, in its own words. */
async function startFailure(
  paths: ServerPaths,
  settings: ServerSettings,
  failure: { readonly end: string; readonly logFrom: number },
): Promise<MeshError> {
  const { end, logFrom } = failure;
  const text = await readFile(paths.log, 'utf8').catch(() => '');
  const lines = Buffer.from(text).subarray(logFrom).toString('utf8').trim().split('\n');
  if (lines.some((line) => line.includes('address already in use')))
    return portTaken(settings.port, true);
  const fatal = lines.findLast((line) => line.includes('[FTL]')) ?? lines.at(-1) ?? '';
  if (fatal.includes('no space left on device')) {
    return new MeshError('disk_full', `the disk of ${paths.dir} is full: free some space`);
  }
  return new MeshError(
    'start_failed',
    `nats-server did not start (${end}): ${fatal.trim()}; see ${paths.log}`,
  );
}

/** The pid of a live server that runs our config; from its pid file, else by looking around. */
async function findPid(paths: ServerPaths): Promise<number | null> {
  const text = await readFile(paths.pid, 'utf8').catch(() => '');
  const pid = Number.parseInt(text, 10);
  if (Number.isInteger(pid) && isOurs(paths, pid)) return pid;
  return pidsByCommandLine(paths.config).find((other) => isOurs(paths, other)) ?? null;
}

function isOurs(paths: ServerPaths, pid: number): boolean {
  return identityOf(pid) !== null && commandLineOf(pid).endsWith(`-c ${paths.config}`);
}

async function goneWithin(
  identity: NonNullable<ReturnType<typeof identityOf>>,
  ms: number,
): Promise<boolean> {
  const deadline = performance.now() + ms;
  while (isAlive(identity)) {
    if (performance.now() > deadline) return false;
    await pause(15);
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

async function sizeOf(file: string): Promise<number> {
  return (await stat(file).catch(() => ({ size: 0 }))).size;
}

function describe(
  paths: ServerPaths,
  settings: ServerSettings,
  found: { readonly pid: number; readonly version: string; readonly started: boolean },
): RunningServer {
  return {
    url: `nats://127.0.0.1:${settings.port}`,
    port: settings.port,
    credentialFile: paths.credential,
    logFile: paths.log,
    maxStoreBytes: settings.maxStoreBytes,
    ...found,
  };
}
