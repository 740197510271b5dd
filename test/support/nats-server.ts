/**
 * A real nats-server for a test file, in its own folder on its own port, that can be killed and
 * started again. `close` ends it by pid and fails if it, or a file of it, is still there.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog, type Log } from '#protocol/runtime/log.ts';
import { connect, type MeshConnection } from '#protocol/nats/connection.ts';
import { readCredential } from '#protocol/nats/credential.ts';
import { startServer, stopServer, type RunningServer } from '#protocol/nats/server/embedded-server.ts';
import {
  identityOf,
  isAlive,
  commandLineOf,
  pidsByCommandLine,
} from '#protocol/runtime/process-identity.ts';
import { ensureStreams } from '#protocol/nats/streams/streams.ts';
import { until } from './until.ts';

export interface TestServer {
  /** What stands for `$BENCHMESH_HOME`. */
  readonly home: string;
  readonly url: string;
  readonly credentialFile: string;
  pid(): number;
  /** A connection that `close` closes. */
  connect(name?: string, log?: Log): Promise<MeshConnection>;
  /** kill -9; resolves when the process is gone. */
  kill(): Promise<void>;
  /** Starts it again on the same store and port. */
  start(): Promise<void>;
  /** kill -9 and start again. */
  restart(): Promise<void>;
  signal(name: NodeJS.Signals): void;
  close(): Promise<void>;
}

export interface TestServerOptions {
  /** Makes the mesh's streams and buckets. Default true. */
  readonly streams?: boolean;
  /** JetStream's limit on disk. Default 2 GiB. */
  readonly maxStoreBytes?: number;
}

export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const home = await mkdtemp(join(tmpdir(), 'benchmesh-test-'));
  const maxStoreBytes = options.maxStoreBytes ?? 2 * 1024 ** 3;
  const endGuard = guard(home);
  const connections: MeshConnection[] = [];
  const launch = (): Promise<RunningServer> => startServer({ home, log: silentLog, maxStoreBytes });
  let server = await launch();

  const dial = async (name = 'test', log: Log = silentLog): Promise<MeshConnection> => {
    const credential = await readCredential(server.credentialFile);
    const connection = await connect({
      url: server.url,
      credential,
      name,
      log,
      deadlineMs: 20_000,
    });
    connections.push(connection);
    return connection;
  };
  const kill = async (): Promise<void> => {
    const identity = identityOf(server.pid);
    if (identity === null) return;
    process.kill(server.pid, 'SIGKILL');
    await until(() => !isAlive(identity), 'the server to be gone');
  };
  const start = async (): Promise<void> => {
    server = await launch();
  };

  const close = async (): Promise<void> => {
    await Promise.all(connections.map((connection) => connection.close()));
    await stopServer(home);
    const left = pidsByCommandLine(home).map((pid) => `${pid} ${commandLineOf(pid)}`);
    await rm(home, { recursive: true, force: true });
    endGuard();
    if (left.length > 0) throw new Error(`processes left of ${home}: ${left.join('; ')}`);
  };

  if (options.streams !== false) {
    try {
      const connection = await dial('setup');
      await ensureStreams(connection, { totalBytes: maxStoreBytes });
      await connection.close();
    } catch (error) {
      await close();
      throw error;
    }
  }
  return {
    home,
    url: server.url,
    credentialFile: server.credentialFile,
    pid: () => server.pid,
    connect: dial,
    kill,
    start,
    restart: async () => {
      await kill();
      await start();
    },
    signal: (name) => {
      process.kill(server.pid, name);
    },
    close,
  };
}

/**
 * Ends the server and removes its folder when this process dies without `close`, killed by a
 * runner's time-out for one: the guard reads a pipe that only we hold open.
 */
function guard(home: string): () => void {
  const script =
    'read -r line; pid=$(cat "$GUARDED/server/server.pid") || exit 0; ' +
    'grep -q "$GUARDED" "/proc/$pid/cmdline" && kill -9 "$pid"; rm -rf "$GUARDED"';
  const child = spawn('sh', ['-c', script], {
    // Not an argument: the check for left processes looks at command lines.
    env: { ...process.env, GUARDED: home },
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  child.unref();
  return () => {
    child.stdin.destroy();
  };
}
