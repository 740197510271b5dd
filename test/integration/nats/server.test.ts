import { spawn, type ChildProcess } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect, type ConnectOptions, type MeshConnection } from '#protocol/nats/connection.ts';
import { createNkeyFile, readCredential } from '#protocol/nats/credential.ts';
import {
  findRunning,
  startServer,
  stopServer,
  type RunningServer,
  type StartServerOptions,
} from '#protocol/nats/server/embedded-server.ts';
import { identityOf, isAlive } from '#protocol/runtime/process-identity.ts';
import { publishEvent } from '#protocol/nats/publisher.ts';
import { freePort, probePort } from '#protocol/nats/server/server-probe.ts';
import { compareStreams, ensureStreams } from '#protocol/nats/streams/streams.ts';
import { silentLog } from '#protocol/runtime/log.ts';
import { fetchOldServer } from '#test/support/old-nats-server.ts';
import { until } from '#test/support/until.ts';

describe('embedded server', () => {
  let home: string;
  const closing: (() => Promise<unknown>)[] = [];

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'benchmesh-server-'));
  });
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
    await stopServer(home);
    await rm(home, { recursive: true, force: true });
  });

  const start = (options: Partial<StartServerOptions> = {}): Promise<RunningServer> =>
    startServer({ home, log: silentLog, maxStoreBytes: 1024 ** 3, ...options });
  const dial = async (
    server: RunningServer,
    options: Partial<ConnectOptions> = {},
  ): Promise<MeshConnection> => {
    const connection = await connect({
      url: server.url,
      credential: await readCredential(server.credentialFile),
      name: 'test',
      log: silentLog,
      deadlineMs: 10_000,
      ...options,
    });
    closing.push(() => connection.close());
    return connection;
  };
  const killHard = async (pid: number): Promise<void> => {
    const identity = identityOf(pid);
    process.kill(pid, 'SIGKILL');
    await until(() => identity === null || !isAlive(identity), 'the server to be gone');
  };

  it('is found again, stopped cleanly, and keeps its port, credential and data', async () => {
    const first = await start();
    expect(first.started).toBe(true);
    expect(await findRunning(home)).toMatchObject({ pid: first.pid, url: first.url });
    expect((await start()).started).toBe(false);
    const connection = await dial(first);
    await ensureStreams(connection, { totalBytes: first.maxStoreBytes });
    await publishEvent(connection, 'bm.v1.evt.run.r', new Uint8Array(1));
    expect(await stopServer(home)).toBe('ended');
    expect(await stopServer(home)).toBe('absent');
    expect(await findRunning(home)).toBeNull();
    const second = await start();
    expect(second.url).toBe(first.url);
    expect(second.pid).not.toBe(first.pid);
    await connection.whenConnected();
    expect(await compareStreams(connection, { totalBytes: second.maxStoreBytes })).toEqual([]);
    expect((await publishEvent(connection, 'bm.v1.evt.run.r', new Uint8Array(1))).kind).toBe(
      'stored',
    );
  });

  it('started by many at once is one process, that all find', async () => {
    const servers = await Promise.all(Array.from({ length: 5 }, () => start()));
    expect(servers.filter(({ started }) => started)).toHaveLength(1);
    expect(new Set(servers.map(({ pid }) => pid)).size).toBe(1);
  });

  it('comes back on its port after kill -9, with what is left of the dead one in place', async () => {
    const first = await start();
    const connection = await dial(first);
    await killHard(first.pid);
    await until(() => !connection.isConnected(), 'the break');
    const second = await start();
    expect(second.url).toBe(first.url);
    await connection.whenConnected();
    expect(connection.isConnected()).toBe(true);
  });

  it('is found when its pid file is lost, not started twice', async () => {
    const first = await start();
    await rm(join(home, 'server', 'server.pid'));
    expect(await start()).toMatchObject({ started: false, pid: first.pid });
  });

  it('refuses a port that is taken, by name', async () => {
    const port = await freePort();
    const other = createServer().listen(port, '127.0.0.1');
    closing.push(() => new Promise((resolve) => other.close(resolve)));
    await expect(start({ port })).rejects.toMatchObject({ code: 'port_taken' });
    await expect(start({ port })).rejects.toThrow(String(port));
    expect((await probePort(port, 200)).kind).toBe('other');
  });

  it('keeps secrets from other users', async () => {
    const server = await start();
    for (const file of [server.credentialFile, join(home, 'server', 'nats-server.conf')]) {
      expect((await stat(file)).mode & 0o077, file).toBe(0);
    }
    const seed = (await readFile(server.credentialFile, 'utf8')).split('\n')[1] ?? '';
    expect(await readFile(join(home, 'server', 'nats-server.conf'), 'utf8')).not.toContain(seed);
    expect(await readFile(`/proc/${server.pid}/cmdline`, 'utf8')).not.toContain(seed);
  });

  it('never runs a program whose checksum is wrong, and mends the copy', async () => {
    const first = await start();
    await stopServer(home);
    const program =
      (await readFile(`/proc/self/cmdline`, 'utf8')) &&
      join(home, 'server', 'nats-server-cc108336c7de');
    await writeFile(program, '#!/bin/sh\ntouch ran\n');
    await chmod(program, 0o700);
    const second = await start();
    expect(second.url).toBe(first.url);
    expect((await stat(program)).size).toBeGreaterThan(1e6);
    await expect(stat(join(home, 'server', 'ran'))).rejects.toThrow();
  });

  it('names what cannot be run or written', async () => {
    await expect(start({ binary: '/nonexistent/nats-server' })).rejects.toMatchObject({
      code: 'server_binary',
    });
    await expect(start({ binary: '/bin/true' })).rejects.toMatchObject({ code: 'server_binary' });
    await writeFile(join(home, 'file'), '');
    await expect(start({ home: join(home, 'file') })).rejects.toMatchObject({
      code: 'state_unwritable',
    });
  });

  describe('a connection', () => {
    it('to nobody fails by its deadline, with the address', async () => {
      const port = await freePort();
      const dialing = connect({
        url: `nats://127.0.0.1:${port}`,
        credential: null,
        name: 't',
        log: silentLog,
        deadlineMs: 300,
      });
      await expect(dialing).rejects.toMatchObject({ code: 'mesh_unreachable' });
      await expect(dialing).rejects.toThrow(String(port));
    });

    it('without a deadline waits until the server is there, or until aborted', async () => {
      const first = await start();
      await stopServer(home);
      const waiting = dial(first, { deadlineMs: 60_000 });
      await start();
      expect((await waiting).isConnected()).toBe(true);
      const abort = new AbortController();
      const hopeless = connect({
        url: `nats://127.0.0.1:${await freePort()}`,
        credential: null,
        name: 't',
        log: silentLog,
        signal: abort.signal,
      });
      abort.abort();
      await expect(hopeless).rejects.toMatchObject({ code: 'mesh_unreachable' });
    });

    it('with a wrong credential is refused at once', async () => {
      const server = await start();
      const file = join(home, 'stranger');
      await createNkeyFile(file);
      await expect(dial(server, { credential: await readCredential(file) })).rejects.toMatchObject({
        code: 'not_permitted',
      });
      await expect(dial(server, { credential: null })).rejects.toMatchObject({
        code: 'not_permitted',
      });
    });

    it('tells when it breaks and when it is back', async () => {
      const server = await start();
      const connection = await dial(server);
      const seen: string[] = [];
      connection.onStatus((status) => seen.push(status));
      await killHard(server.pid);
      await until(() => seen.includes('disconnected'), 'the break');
      expect((await connection.request('x', new Uint8Array(), { timeoutMs: 1_000 })).kind).toBe(
        'disconnected',
      );
      await start();
      await until(() => seen.includes('reconnected'), 'the return');
      await connection.close();
      expect(seen).toEqual(['disconnected', 'reconnected', 'closed']);
    });

    it('to a server without JetStream is refused', async () => {
      const server = await start();
      const port = await freePort();
      const bare = spawnServer(await programOf(server), ['-a', '127.0.0.1', '-p', String(port)]);
      closing.push(() => endChild(bare));
      await until(async () => (await probePort(port)).kind === 'nats', 'the bare server');
      const dialing = connect({
        url: `nats://127.0.0.1:${port}`,
        credential: null,
        name: 't',
        log: silentLog,
        deadlineMs: 5_000,
      });
      await expect(dialing).rejects.toMatchObject({ code: 'jetstream_disabled' });
    });

    it('to a server too old is refused, naming both versions', async ({ skip }) => {
      const old = await fetchOldServer(home);
      if ('missing' in old) skip(old.missing);
      if (!('file' in old)) return;
      await expect(start({ binary: old.file })).rejects.toMatchObject({ code: 'server_too_old' });
      const port = await freePort();
      const child = spawnServer(old.file, [
        '-js',
        '-a',
        '127.0.0.1',
        '-p',
        String(port),
        '-sd',
        join(home, 'old-store'),
      ]);
      closing.push(() => endChild(child));
      await until(async () => (await probePort(port)).kind === 'nats', 'the old server');
      const dialing = connect({
        url: `nats://127.0.0.1:${port}`,
        credential: null,
        name: 't',
        log: silentLog,
        deadlineMs: 5_000,
      });
      await expect(dialing).rejects.toMatchObject({ code: 'server_too_old' });
      await expect(dialing).rejects.toThrow(/2\.(9|10)\..*2\.11/);
    });
  });

  describe('streams', () => {
    it('that differ in a field we need are refused with field and values, sizes are only told', async () => {
      const server = await start();
      const connection = await dial(server);
      const manager = await jetstreamManager(connection.nats);
      const limits = { totalBytes: server.maxStoreBytes };
      await manager.streams.add({
        name: 'BM_EVENTS',
        subjects: ['bm.v1.evt.>'],
        allow_direct: true,
      });
      await expect(ensureStreams(connection, limits)).rejects.toMatchObject({
        code: 'stream_config_mismatch',
      });
      await expect(ensureStreams(connection, limits)).rejects.toThrow(
        /BM_EVENTS: (subjects|discard)/,
      );
      const fields = (await compareStreams(connection, limits)).filter(
        ({ stream }) => stream === 'BM_EVENTS',
      );
      expect(fields.map(({ field }) => field).sort()).toEqual(['discard', 'max_bytes', 'subjects']);
      await manager.streams.delete('BM_EVENTS');
      expect(await ensureStreams(connection, limits)).toEqual([]);
      const smaller = await ensureStreams(connection, { totalBytes: server.maxStoreBytes / 2 });
      expect(new Set(smaller.map(({ field }) => field))).toEqual(new Set(['max_bytes']));
    });

    it('larger than the server allows are refused', async () => {
      const server = await start({ maxStoreBytes: 64 * 1024 * 1024 });
      const connection = await dial(server);
      await expect(ensureStreams(connection, { totalBytes: 1024 ** 3 })).rejects.toMatchObject({
        code: 'disk_full',
      });
    });

    it('at their limit refuse the next event and keep the old ones', async () => {
      const server = await start({ maxStoreBytes: 64 * 1024 * 1024 });
      const connection = await dial(server);
      await ensureStreams(connection, { totalBytes: 8 * 1024 * 1024 });
      const body = new Uint8Array(256 * 1024);
      const outcomes: string[] = [];
      while (outcomes.length < 20 && outcomes.at(-1) !== 'full') {
        outcomes.push((await publishEvent(connection, 'bm.v1.evt.run.r', body)).kind);
      }
      expect(outcomes.at(-1)).toBe('full');
      expect(outcomes.filter((kind) => kind === 'stored').length).toBe(outcomes.length - 1);
      const tooLarge = await publishEvent(
        connection,
        'bm.v1.evt.run.r',
        new Uint8Array(9 * 1024 * 1024),
      );
      expect(tooLarge.kind).toBe('rejected');
      expect((await publishEvent(connection, 'bm.v1.evt.unknown', body)).kind).toBe('unavailable');
    });
  });
});

async function programOf(server: RunningServer): Promise<string> {
  return (await readFile(`/proc/${server.pid}/cmdline`, 'utf8')).split('\0')[0] ?? '';
}

function spawnServer(file: string, args: string[]): ChildProcess {
  return spawn(file, args, { stdio: 'ignore' });
}

function endChild(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.on('close', () => {
      resolve();
    });
    child.kill('SIGKILL');
  });
}
