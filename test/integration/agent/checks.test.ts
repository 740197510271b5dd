/** The checks against real sockets, files and programs. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttp, type RequestListener } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { runCheck } from '#agent/checks/run-check.ts';
import type { CheckContext } from '#agent/checks/types.ts';
import type { CheckSpec } from '#protocol/messages/attempt/check-spec.ts';
import { isRunning } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';
import { readFileSync } from 'node:fs';

let cwd: string;
const servers: Server[] = [];
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'benchmesh-checks-'));
});
afterAll(async () => {
  await rm(cwd, { recursive: true });
});
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

const LONG_MS = 60_000;

function run(check: CheckSpec, change: Partial<CheckContext> = {}) {
  return runCheck(check, {
    cwd,
    env: { PATH: process.env['PATH'] ?? '' },
    timeoutMs: LONG_MS,
    signal: new AbortController().signal,
    lookAtGpus: () => Promise.resolve({ gpus: [], troubles: [] }),
    gpuIds: null,
    ...change,
  });
}

async function listen(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

const serve = (listener: RequestListener) => listen(createHttp(listener));
const http = (port: number, contains: string | null = null): CheckSpec => ({
  kind: 'http',
  url: `http://127.0.0.1:${port}/health`,
  contains,
});
const portOf = (port: number, free = false): CheckSpec => ({
  kind: 'port',
  host: '127.0.0.1',
  port,
  free,
});

describe('http', () => {
  test('a 2xx passes, another status and a refused connection do not', async () => {
    let status = 204;
    const port = await serve((_request, response) => {
      response.writeHead(status).end();
    });
    expect(await run(http(port))).toEqual({ ok: true });
    status = 503;
    const url = `http://127.0.0.1:${port}/health`;
    expect(await run(http(port))).toEqual({ ok: false, reason: `http: ${url} answers 503` });
    await new Promise((resolve) => servers.splice(0)[0]?.close(resolve));
    expect(await run(http(port))).toEqual({
      ok: false,
      reason: `http: ${url} cannot be reached (ECONNREFUSED)`,
    });
  });

  test('the text may lie across pieces of the body, and an endless body is not read to its end', async () => {
    const port = await serve((request, response) => {
      response.write('model is re');
      if (request.url === '/health') setImmediate(() => response.end('ady'));
    });
    expect(await run(http(port, 'is ready'))).toEqual({ ok: true });
    expect(await run(http(port, 'loaded'))).toMatchObject({ ok: false });
    const endless = await serve((_request, response) => {
      const more = () => {
        while (response.write('x'.repeat(65_536)));
      };
      response.on('drain', more);
      more();
    });
    expect(await run(http(endless, 'loaded'))).toMatchObject({ ok: false });
  });
});

describe('port', () => {
  test('someone listens, or no one does', async () => {
    const port = await listen(createServer());
    expect(await run(portOf(port))).toEqual({ ok: true });
    expect(await run(portOf(port, true))).toEqual({
      ok: false,
      reason: `port: something listens on 127.0.0.1:${port}, it must be free`,
    });
    await new Promise((resolve) => servers.splice(0)[0]?.close(resolve));
    expect(await run(portOf(port, true))).toEqual({ ok: true });
    expect(await run(portOf(port))).toEqual({
      ok: false,
      reason: `port: nothing listens on 127.0.0.1:${port}`,
    });
  });
});

describe('file and disk', () => {
  test('a file is looked for from the work folder', async () => {
    await writeFile(join(cwd, 'model.bin'), '');
    expect(await run({ kind: 'file', path: 'model.bin' })).toEqual({ ok: true });
    expect(await run({ kind: 'file', path: 'other.bin' })).toEqual({
      ok: false,
      reason: `file: ${cwd}/other.bin does not exist`,
    });
  });

  test('a disk has room or says how much', async () => {
    expect(await run({ kind: 'disk', path: null, minFreeMiB: 0 })).toEqual({ ok: true });
    const result = await run({ kind: 'disk', path: '/', minFreeMiB: 2 ** 40 });
    expect(result).toMatchObject({
      reason: expect.stringMatching(
        /^disk: [\d.]+ [GM]iB free at \/, 1073741824 GiB needed$/,
      ) as string,
    });
    expect(await run({ kind: 'disk', path: '/no-such', minFreeMiB: 0 })).toMatchObject({
      ok: false,
    });
  });
});

describe('exec', () => {
  const exec = (...argv: string[]): CheckSpec => ({ kind: 'exec', argv });
  test.each([
    [exec('true'), { ok: true }],
    [
      exec('sh', '-c', 'echo no model >&2; exit 3'),
      { ok: false, reason: 'exec: sh: exit status 3: no model' },
    ],
    [exec('no-such-program'), { ok: false, reason: 'exec: no-such-program: program not found' }],
  ])('%j', async (check, result) => {
    expect(await run(check)).toEqual(result);
  });

  test('runs in the work folder', async () => {
    expect(await run(exec('sh', '-c', 'test "$PWD" = "$1"', 'sh', cwd))).toEqual({ ok: true });
  });

  test('one that is ended at its time limit is killed', async () => {
    const check = exec('sh', '-c', 'echo $$ > pid; exec sleep 1000');
    expect(await run(check, { timeoutMs: 300 })).toMatchObject({ ok: false });
    const pid = Number(readFileSync(join(cwd, 'pid'), 'utf8'));
    await until(() => !isRunning(pid));
  });
});

describe('what hangs', () => {
  test('has failed at its time limit', async () => {
    const port = await serve(() => undefined);
    expect(await run(http(port), { timeoutMs: 50 })).toMatchObject({ ok: false });
    const lookAtGpus = () => new Promise<never>(() => undefined);
    const gpu: CheckSpec = { kind: 'gpu', name: null, minFreeVramMiB: null, driver: null };
    expect(await run(gpu, { timeoutMs: 50, lookAtGpus })).toEqual({
      ok: false,
      reason: 'gpu: no answer within 50 ms',
    });
  });

  test('is ended at once by a stop, however long its limit is', async () => {
    const port = await serve(() => undefined);
    const hangs: CheckSpec[] = [http(port), { kind: 'exec', argv: ['sleep', '1000'] }];
    for (const check of hangs) {
      const stop = new AbortController();
      const result = run(check, { signal: stop.signal });
      setImmediate(() => {
        stop.abort();
      });
      expect(await result).toMatchObject({ ok: false });
    }
  });
});
