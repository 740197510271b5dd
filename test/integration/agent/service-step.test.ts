/** Service and check steps through a real agent: a real server beside a real client. */
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { AttemptSpec, StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { ReadySpec } from '#protocol/messages/attempt/check-spec.ts';
import { isRunning } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';
import {
  attemptSpec,
  ROOT,
  startTestMesh,
  step,
  type AgentProcess,
  type TestMesh,
} from './support/agent-process.ts';

const SERVER = join(ROOT, 'test/fixtures/slow-server.mjs');
let mesh: TestMesh;
let agent: AgentProcess;
let port: number;

beforeAll(async () => {
  mesh = await startTestMesh();
  agent = await mesh.start(['--slots', '2']);
});
afterAll(async () => {
  await mesh.close();
});
afterEach(() => {
  port = 0;
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port: free } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return free;
}

interface How {
  readonly traits?: string;
  readonly ms?: number;
  readonly ready?: ReadySpec;
  readonly readyMs?: number;
  readonly change?: Partial<StepSpec>;
}

async function service({
  traits = '',
  ms = 2_000,
  ready,
  readyMs = 60_000,
  change,
}: How = {}): Promise<StepSpec> {
  port = await freePort();
  const http: ReadySpec = { kind: 'http', url: `http://127.0.0.1:${port}/`, contains: 'pong' };
  return step(`exec ${process.execPath} ${SERVER} ${port} ${ms} ${traits}`, {
    step: 'service',
    service: { ready: ready ?? http, readyMs },
    ...change,
  });
}

const curl = (path = '/'): string =>
  `${process.execPath} -e "fetch('http://127.0.0.1:${port}${path}').then((r)=>r.text()).then((t)=>console.log(t))"`;

async function pidIn(spec: AttemptSpec, file: string): Promise<number> {
  const path = join(mesh.state, 'attempts', spec.run, `${spec.task}.1`, file);
  return Number(await until(async () => (await readFile(path, 'utf8')).trim() || null, file));
}

test('the run begins when the server is ready; it is ended and proven before the teardown', async () => {
  const server = await service();
  const spec = attemptSpec([
    server,
    step(curl()),
    step('kill -0 $(cat server) && echo alive || echo gone', { step: 'teardown' }),
  ]);
  await mesh.startAttempt(spec);
  const { data } = await mesh.exited(spec);
  expect(data).toMatchObject({ outcome: 'passed', proven: true, survivors: [] });
  expect(data.steps.map(({ id }) => id)).toEqual(['run', 'service', 'teardown']);
  const log = (await mesh.log(spec)).stdout.toString();
  expect(log).toContain('ready to serve');
  expect(log).toContain('pong');
  expect(log).toMatch(/gone\n$/);
  expect(data.logBytes).toBe((await mesh.log(spec)).both.length);
  const names = data.automatic?.map(({ name }) => name);
  expect(names).toEqual([
    'step.service.duration',
    'step.run.duration',
    'step.teardown.duration',
    'step.service.ready',
  ]);
  const ready = data.automatic?.find(({ name }) => name === 'step.service.ready');
  expect(ready?.value).toBeGreaterThanOrEqual(2);
});

test('one that dies in the middle fails the attempt at its stage, and the run is stopped', async () => {
  const server = await service({ ms: 0 });
  const spec = attemptSpec([server, step(`${curl('/die')}; sleep 100000`)]);
  await mesh.startAttempt(spec);
  const { data } = await mesh.exited(spec);
  expect(data).toMatchObject({
    outcome: 'failed',
    stage: 'service',
    class: 'exit',
    reason: 'service: exit status 9 while it was needed: out of memory, or so',
    stderrTail: { step: 'service', text: 'out of memory, or so' },
    proven: true,
  });
  expect(data.steps.map(({ id, signal }) => [id, signal])).toEqual([
    ['service', null],
    ['run', 'SIGTERM'],
  ]);
});

test('one that ignores TERM is killed after its grace, and a daemon it leaked with it', async () => {
  const server = await service({ ms: 0, traits: 'deaf leak', change: { graceMs: 200 } });
  const spec = attemptSpec([server, step(curl())]);
  await mesh.startAttempt(spec);
  const { data } = await mesh.exited(spec);
  expect(data).toMatchObject({ outcome: 'passed', proven: true, survivors: [] });
  expect(data.steps[1]).toMatchObject({ id: 'service', signal: 'SIGKILL' });
  expect(isRunning(await pidIn(spec, 'daemon'))).toBe(false);
  expect((await mesh.log(spec)).stderr.toString()).toContain('never heard of it');
});

test('readiness by port and by line', async () => {
  const line = await service({ ms: 50, ready: { kind: 'line', text: 'ready to' } });
  const first = attemptSpec([line, step(curl())]);
  await mesh.startAttempt(first);
  expect((await mesh.exited(first)).data.outcome).toBe('passed');
  const other = await service({ ms: 50 });
  const byPort: ReadySpec = { kind: 'port', host: '127.0.0.1', port };
  const second = attemptSpec([
    { ...other, service: { ready: byPort, readyMs: 60_000 } },
    step(curl()),
  ]);
  await mesh.startAttempt(second);
  expect((await mesh.exited(second)).data.outcome).toBe('passed');
});

test('one that is not ready in time, and one that ends before it is', async () => {
  const late = attemptSpec([await service({ ms: 100_000, readyMs: 300 }), step('echo never')]);
  await mesh.startAttempt(late);
  const { data } = await mesh.exited(late);
  expect(data).toMatchObject({ outcome: 'timed_out', stage: 'service', class: 'timeout' });
  expect(data.reason).toMatch(/^service: not ready within 300 ms: http: .*ECONNREFUSED/);
  const ended = attemptSpec([
    { ...(await service()), argv: ['/bin/sh', '-c', 'echo no GPU >&2'] },
    step('echo never'),
  ]);
  await mesh.startAttempt(ended);
  expect((await mesh.exited(ended)).data).toMatchObject({
    outcome: 'failed',
    stage: 'service',
    reason: 'service: exit status 0 before it was ready: no GPU',
  });
});

test('a stop ends the run and the server at once, within one grace', async () => {
  const server = await service({ ms: 0, traits: 'leak' });
  const spec = attemptSpec([server, step('echo on; sleep 100000')]);
  await mesh.startAttempt(spec);
  await mesh.wait(
    'attempt.step_started',
    (each, seen) => each.id === 'run' && seen.subject.includes(spec.task),
  );
  await mesh.stop(spec.run, spec.task);
  const { data } = await mesh.exited(spec);
  expect(data).toMatchObject({ outcome: 'stopped', proven: true, survivors: [] });
  expect(isRunning(await pidIn(spec, 'daemon'))).toBe(false);
});

test('an agent that is killed: the next one adopts the server and the run', async () => {
  const server = await service({ ms: 0 });
  const spec = attemptSpec([
    server,
    step(`echo begun; until [ -e go ]; do sleep 0.05; done; ${curl()}`),
  ]);
  await mesh.startAttempt(spec);
  await until(async () => (await mesh.log(spec)).stdout.includes('begun'), 'the run');
  await mesh.kill(agent);
  agent = await mesh.start(['--slots', '2']);
  await until(() => mesh.of(spec, 'attempt.adopted').length === 2, 'both to be adopted');
  const pid = await pidIn(spec, 'server');
  expect(isRunning(pid)).toBe(true);

  await writeFile(join(mesh.state, 'attempts', spec.run, `${spec.task}.1`, 'go'), '');
  const { data } = await mesh.exited(spec);
  expect(data).toMatchObject({ outcome: 'passed', proven: true });
  const log = await mesh.log(spec);
  expect(log.stdout.toString()).toContain('pong');
  expect(log.both.length).toBe(data.logBytes);
  expect(isRunning(pid)).toBe(false);
});

test('a failed check fails the attempt at preflight; nothing else of it runs', async () => {
  const check = step('', {
    step: 'preflight',
    check: { kind: 'file', path: '/no/such/model' },
  });
  const spec = attemptSpec([check, step('echo run'), step('echo down', { step: 'teardown' })]);
  await mesh.startAttempt(spec);
  const { data } = await mesh.exited(spec);
  expect(data).toMatchObject({
    outcome: 'failed',
    stage: 'preflight',
    class: 'preflight',
    reason: 'file: /no/such/model does not exist',
    steps: [{ id: 'preflight', check: 'file', code: 1 }],
    logBytes: 0,
  });
});

test('a stop ends a check that hangs at once', async () => {
  const held = createServer();
  await new Promise<void>((resolve) => held.listen(0, '127.0.0.1', resolve));
  const { port: silent } = held.address() as AddressInfo;
  const url = `http://127.0.0.1:${silent}/`;
  const check = step('', {
    step: 'preflight',
    timeoutMs: 1_000_000,
    check: { kind: 'http', url, contains: null },
  });
  const spec = attemptSpec([check, step('echo run')]);
  await mesh.startAttempt(spec);
  await mesh.began(spec);
  await mesh.stop(spec.run, spec.task);
  expect((await mesh.exited(spec)).data).toMatchObject({
    outcome: 'stopped',
    steps: [{ code: 1 }],
  });
  held.close();
});
