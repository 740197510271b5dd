/**
 * Brings the local mesh up: server, coordinator, agent, whichever is missing. Idempotent, and so it
 * also heals a mesh of which parts have died: same store, same port, same state folders.
 *
 *   lock -> server -> streams -> coordinator -> agent -> all answer -> unlock
 *
 * 1. Everything happens under the mesh lock: of two that start at once, one starts, the other finds.
 * 2. mesh.json is written after each part, so that what was started is known whatever comes next.
 * 3. A part that lives but is not in mesh.json (the file was lost) is found by its command line.
 */
import { join } from 'node:path';
import { decode } from '#protocol/messages/envelope.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { connect, pause, type MeshConnection } from '#protocol/nats/connection.ts';
import { readCredential } from '#protocol/nats/credential.ts';
import { startServer, type RunningServer } from '#protocol/nats/server/embedded-server.ts';
import { tryLock, type FolderLock } from '#protocol/runtime/folder-lock.ts';
import {
  bootId,
  commandLineOf,
  identityOf,
  isAlive,
  pidsByCommandLine,
} from '#protocol/runtime/process-identity.ts';
import { call } from '#protocol/nats/rpc.ts';
import { lastMessage } from '#protocol/nats/streams/stream-read.ts';
import { ensureStreams, STREAMS } from '#protocol/nats/streams/streams.ts';
import {
  LOCAL_AGENT,
  LOCAL_COORDINATOR,
  MESH_LOCK,
  meshPaths,
  readMeshFile,
  recordedMesh,
  writeMeshFile,
  type MeshFile,
} from '#protocol/runtime/local-mesh.ts';
import { debugLog } from '../debug-log.ts';
import { guarded } from '#protocol/nats/server/server-files.ts';
import { programFile } from './programs.ts';
import { spawnPart, type PartCommand, type SpawnedPart } from './spawn-part.ts';

export interface StartOptions {
  readonly home: string;
  /** True for `up`; false leaves a mesh that stays as it is. */
  readonly stays: boolean;
  readonly resultsDir?: string;
  /** Different tasks that fail on a host in a row before it is cordoned; 0: never. */
  readonly cordonAfter?: number;
  readonly port?: number;
  readonly slots?: number;
  /** A list such as `0-1,8`. */
  readonly reservedCpus?: string;
  readonly rung?: 'auto' | 'cgroup' | 'subreaper' | 'scan';
  readonly labels?: readonly string[];
  /** How long the parts may take to answer. Default 60 s. */
  readonly readyMs?: number;
}

export interface StartedMesh {
  readonly mesh: MeshFile;
  /** Parts that were started now. */
  readonly started: readonly string[];
}

/** Idle time after which a mesh that `run` started ends itself. */
export const IDLE_EXIT_MS = 60_000;

/** Rejects with the MeshError of the part that does not start. */
export async function startLocalMesh(options: StartOptions): Promise<StartedMesh> {
  return underLock(options, () => new Starter(options).run());
}

/**
 * Starts what is missing of a mesh that is there; null when it has been taken down, which only the
 * lock tells: while somebody ends the parts, they look like parts that died.
 */
export async function healLocalMesh(options: StartOptions): Promise<StartedMesh | null> {
  return underLock(options, async () => {
    if ((await recordedMesh(options.home)).kind === 'absent') return null;
    return new Starter(options).run();
  });
}

async function underLock<T>(options: StartOptions, work: () => Promise<T>): Promise<T> {
  const lock = await lockMesh(options.home, options.readyMs ?? 60_000);
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

/** Takes the mesh lock; rejects with `start_failed` where somebody holds it for too long. */
export async function lockMesh(home: string, waitMs: number): Promise<FolderLock> {
  const deadline = performance.now() + waitMs;
  for (;;) {
    const attempt = await guarded(home, () => tryLock(home, MESH_LOCK));
    if (attempt.kind === 'held') return attempt.lock;
    if (performance.now() > deadline) {
      throw new MeshError(
        'start_failed',
        `process ${attempt.owner.pid} has been starting or ending the mesh of ${home} for over ${Math.round(waitMs / 1_000)} s`,
      );
    }
    await pause(30);
  }
}

class Starter {
  readonly #options: StartOptions;
  readonly #started: string[] = [];
  readonly #deadline: number;
  #before: MeshFile | null = null;

  constructor(options: StartOptions) {
    this.#options = options;
    this.#deadline = performance.now() + (options.readyMs ?? 60_000);
  }

  async run(): Promise<StartedMesh> {
    const { home, stays } = this.#options;
    this.#before = await readMeshFile(home);
    const server = await this.#server();
    const identity = identityOf(server.pid);
    let mesh: MeshFile = {
      version: 1,
      stays: stays || (this.#before?.stays ?? false),
      bootId: bootId(),
      server: {
        pid: server.pid,
        startTime: identity?.startTime ?? '',
        logFile: server.logFile,
        url: server.url,
        credentialFile: server.credentialFile,
      },
      coordinator: this.#before?.coordinator ?? null,
      agent: this.#before?.agent ?? null,
    };
    await guarded(home, () => writeMeshFile(home, mesh));
    const connection = await connect({
      url: server.url,
      credential: await readCredential(server.credentialFile),
      name: 'benchmesh up',
      log: debugLog,
      deadlineMs: 20_000,
    });
    try {
      await ensureStreams(connection, { totalBytes: server.maxStoreBytes });
      const coordinator = await this.#coordinator(mesh);
      mesh = { ...mesh, coordinator: coordinator.part };
      await guarded(home, () => writeMeshFile(home, mesh));
      const agent = await this.#agent(mesh);
      mesh = { ...mesh, agent: agent.part };
      await guarded(home, () => writeMeshFile(home, mesh));
      await this.#ready(coordinator.spawned, () => leads(connection));
      await this.#ready(agent.spawned, (pid) => isRegistered(connection, pid));
      return { mesh, started: this.#started };
    } finally {
      await connection.close();
    }
  }

  async #server(): Promise<RunningServer> {
    const { home, port, readyMs } = this.#options;
    const binary = process.env['BENCHMESH_NATS_SERVER'] ?? '';
    const server = await startServer({
      home,
      log: debugLog,
      ...(port === undefined ? {} : { port }),
      ...(readyMs === undefined ? {} : { readyMs }),
      ...(binary === '' ? {} : { binary }),
    });
    if (server.started) this.#started.push('server');
    return server;
  }

  async #coordinator(mesh: MeshFile): Promise<{
    part: NonNullable<MeshFile['coordinator']>;
    spawned: SpawnedPart | null;
  }> {
    const { home } = this.#options;
    const known = mesh.coordinator;
    if (known !== null && isAlive(known)) return { part: known, spawned: null };
    const paths = meshPaths(home);
    const resultsDir = this.#options.resultsDir ?? known?.resultsDir ?? paths.results;
    const cordonAfter = this.#options.cordonAfter ?? known?.cordonAfter;
    const logFile = join(paths.logs, 'coordinator.log');
    const about = {
      ...{ id: LOCAL_COORDINATOR, resultsDir, logFile },
      ...(cordonAfter === undefined ? {} : { cordonAfter }),
    };
    const found = findByCommandLine('coordinator.js', `--home ${home} `);
    if (found !== null) return { part: { ...found, ...about }, spawned: null };
    const spawned = await spawn(home, {
      name: 'coordinator',
      script: programFile('coordinator'),
      args: [
        ...['--id', LOCAL_COORDINATOR, '--server', mesh.server.url],
        ...['--credential', mesh.server.credentialFile],
        ...['--results', resultsDir, '--home', home, '--log-file', logFile],
        ...(cordonAfter === undefined ? [] : ['--cordon-after', String(cordonAfter)]),
        // A mesh that stays ignores its idle time: it may have been started by `run` (local-mesh 3).
        ...(mesh.stays ? [] : ['--idle-exit', String(IDLE_EXIT_MS)]),
      ],
      cwd: home,
      outputFile: join(paths.logs, 'coordinator.out'),
    });
    this.#started.push('coordinator');
    return { part: { pid: spawned.pid, startTime: spawned.startTime, ...about }, spawned };
  }

  async #agent(mesh: MeshFile): Promise<{
    part: NonNullable<MeshFile['agent']>;
    spawned: SpawnedPart | null;
  }> {
    const { home } = this.#options;
    const known = mesh.agent;
    if (known !== null && isAlive(known)) return { part: known, spawned: null };
    const paths = meshPaths(home);
    const slots = this.#options.slots ?? known?.slots ?? null;
    const rung = this.#options.rung ?? known?.rung ?? 'auto';
    const labels = [...(this.#options.labels ?? known?.labels ?? [])];
    const reservedCpus = this.#options.reservedCpus ?? known?.reservedCpus;
    const logFile = join(paths.logs, 'agent.log');
    const about = {
      ...{ id: LOCAL_AGENT, stateDir: paths.agentState, logFile, slots, rung, labels },
      ...(reservedCpus === undefined ? {} : { reservedCpus }),
    };
    const found = findByCommandLine('agent.js', `--state ${paths.agentState} `);
    if (found !== null) return { part: { ...found, ...about }, spawned: null };
    const spawned = await spawn(home, {
      name: 'agent',
      script: programFile('agent'),
      args: [
        ...['--id', LOCAL_AGENT, '--state', paths.agentState, '--server', mesh.server.url],
        ...['--credential', mesh.server.credentialFile, '--log-file', logFile],
        ...(slots === null ? [] : ['--slots', String(slots)]),
        ...(reservedCpus === undefined ? [] : ['--reserved-cpus', reservedCpus]),
        ...(rung === 'auto' ? [] : ['--rung', rung]),
        ...labels.flatMap((label) => ['--label', label]),
      ],
      cwd: home,
      outputFile: join(paths.logs, 'agent.out'),
    });
    this.#started.push('agent');
    return { part: { pid: spawned.pid, startTime: spawned.startTime, ...about }, spawned };
  }

  /** Waits for a part that was started now; one that lived already is not asked. */
  async #ready(
    spawned: SpawnedPart | null,
    isReady: (pid: number) => Promise<boolean>,
  ): Promise<void> {
    if (spawned === null) return;
    for (;;) {
      if (await isReady(spawned.pid)) return;
      const failure = await spawned.failure();
      if (failure !== null)
        throw new MeshError('start_failed', failure.replace(/^benchmesh[\w-]*: /, ''));
      if (performance.now() > this.#deadline) {
        throw new MeshError(
          'start_failed',
          `process ${spawned.pid} (${commandLineOf(spawned.pid)}) does not answer; see ${meshPaths(this.#options.home).logs}`,
        );
      }
      await pause(20);
    }
  }
}

/** On a full disk not even its output can be opened. */
function spawn(home: string, command: PartCommand): Promise<SpawnedPart> {
  return guarded(home, () => spawnPart(command));
}

async function leads(connection: MeshConnection): Promise<boolean> {
  try {
    await call(connection, 'info', {}, 1_000);
    return true;
  } catch (error) {
    if (error instanceof MeshError && error.retryable) return false;
    throw error;
  }
}

async function isRegistered(connection: MeshConnection, pid: number): Promise<boolean> {
  const last = await lastMessage(connection, STREAMS.events, subjects.hostEvents(LOCAL_AGENT));
  if (last.kind !== 'found') return false;
  const decoded = decode(last.message.data);
  if (decoded.kind !== 'ok') return false;
  const { message } = decoded;
  // A slow tool of the host may have answered since: then the last message is that change.
  if (message.name !== 'agent.started' && message.name !== 'agent.changed') return false;
  return message.data.registration.pid === pid;
}

function findByCommandLine(
  script: string,
  flag: string,
): { pid: number; startTime: string } | null {
  const pid = pidsByCommandLine(script).find((one) => `${commandLineOf(one)} `.includes(flag));
  return pid === undefined ? null : identityOf(pid);
}
