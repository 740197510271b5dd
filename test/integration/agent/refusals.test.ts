/** Agents that must not start, or must not take more: one clear line and a documented exit status. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXIT } from '#protocol/messages/errors.ts';
import { until } from '#test/support/until.ts';
import {
  AGENT,
  attemptSpec,
  spawnAgent,
  startTestMesh,
  step,
  type AgentProcess,
  type Exit,
  type TestMesh,
} from './support/agent-process.ts';

let mesh: TestMesh;
let agent: AgentProcess;

beforeAll(async () => {
  mesh = await startTestMesh();
  agent = await mesh.start();
});

afterAll(async () => {
  await mesh.close();
});

async function refused(flags: readonly string[]): Promise<Exit> {
  const exit = await spawnAgent(flags).exited;
  expect(exit.stderr.trim().split('\n')).toHaveLength(1);
  expect(exit.stderr).not.toMatch(/^\s+at /m);
  return exit;
}

test('a second agent on the same state folder is refused, naming the pid of the first', async () => {
  const exit = await refused(mesh.flags());
  expect(exit.code).toBe(EXIT.failed);
  expect(exit.stderr).toContain(`pid ${agent.pid}`);
});

test('a second state folder under the same id is refused, and the first goes on', async () => {
  const exit = await refused(mesh.flags(AGENT, join(mesh.dir, 'other')));
  expect(exit.code).toBe(EXIT.failed);
  expect(exit.stderr).toContain(`agent id ${AGENT} belongs to another state folder`);
  const spec = attemptSpec([step('true')]);
  await mesh.startAttempt(spec);
  expect((await mesh.exited(spec)).data.outcome).toBe('passed');
});

test('a state folder of another agent is refused', async () => {
  const state = join(mesh.dir, 'named');
  await mkdir(state);
  await writeFile(
    join(state, 'agent.json'),
    JSON.stringify({ id: 'b2', instance: 'x', incarnation: 1 }),
  );
  const exit = await refused(mesh.flags('a2', state));
  expect([exit.code, exit.stderr]).toEqual([
    EXIT.usage,
    expect.stringContaining('belongs to agent b2'),
  ]);
});

test('a state folder that cannot be written is refused', async () => {
  await writeFile(join(mesh.dir, 'file'), '');
  const exit = await refused(mesh.flags('a2', join(mesh.dir, 'file', 'state')));
  expect([exit.code, exit.stderr]).toEqual([
    EXIT.failed,
    expect.stringContaining('cannot be used'),
  ]);
});

test('a wrong credential is refused as not permitted', async () => {
  const credential = join(mesh.dir, 'wrong.json');
  await writeFile(credential, '{"user":"nobody","password":"wrong"}');
  const flags = ['--id', 'a2', '--state', join(mesh.dir, 'a2'), '--server', mesh.server.url];
  const exit = await refused([...flags, '--credential', credential]);
  expect([exit.code, exit.stderr]).toEqual([
    EXIT.notPermitted,
    expect.stringContaining('refuses the credential'),
  ]);
});

test('a server that is too old is refused', async () => {
  const info = {
    server_id: 'x',
    version: '2.9.10',
    proto: 1,
    host: 'x',
    port: 1,
    headers: true,
    max_payload: 1048576,
    jetstream: true,
  };
  const old = createServer((socket) => {
    socket.write(`INFO ${JSON.stringify(info)}\r\n`);
    socket.on('data', (data) => {
      if (data.toString().includes('PING')) socket.write('PONG\r\n');
    });
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => {
    old.listen(0, '127.0.0.1', resolve);
  });
  const address = old.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const exit = await refused([
    '--id',
    'a2',
    '--state',
    join(mesh.dir, 'a3'),
    '--server',
    `nats://127.0.0.1:${port}`,
  ]);
  old.close();
  expect([exit.code, exit.stderr]).toEqual([EXIT.unreachable, expect.stringContaining('2.9.10')]);
});

test.each([[['--slots', '0']], [['--rung', 'magic']], [['--no-such-flag']]])(
  'wrong flags %j are usage',
  async (extra) => {
    const exit = await spawnAgent([...mesh.flags('a2', join(mesh.dir, 'a4')), ...extra]).exited;
    expect(exit.code).toBe(EXIT.usage);
  },
);

test('a server that does not answer is waited for, and the log says so', async () => {
  const state = join(mesh.dir, 'waiting');
  const waiting = spawnAgent(['--id', 'a5', '--state', state, '--server', 'nats://127.0.0.1:1']);
  await until(
    async () => (await readFile(join(state, 'agent.log'), 'utf8')).includes('not reachable'),
    'the log line',
  );
  waiting.child.kill('SIGTERM');
  expect(await waiting.exited).toMatchObject({ code: 0, stderr: '' });
});

const isRoot = process.getuid?.() === 0;

test.skipIf(!isRoot)(
  `a full disk of the state folder fails attempts, keeps the agent up, loses nothing${isRoot ? '' : ' (skipped: mounting a tmpfs needs root)'}`,
  async () => {
    const full = await startTestMesh();
    await mkdir(full.state, { recursive: true });
    try {
      execFileSync('/usr/bin/mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', full.state]);
    } catch (error) {
      await full.close();
      process.stderr.write(`skipped: no tmpfs can be mounted here (${String(error)})\n`);
      return;
    }
    try {
      const one = await full.start();
      const before = attemptSpec([step('true')]);
      await full.startAttempt(before);
      await full.exited(before);
      // It must not fill what the agent frees: the first to find the disk full gives its reserve up.
      const filled = join(full.dir, 'filled');
      const filler = attemptSpec([
        step(`dd if=/dev/zero of=fill bs=64k 2>/dev/null; touch ${filled}; sleep 600`),
      ]);
      await full.startAttempt(filler);
      await until(() => existsSync(filled), 'a full disk');
      const refusal = await until(async () => {
        const next = attemptSpec([step('true')]);
        await full.startAttempt(next);
        const { data } = await full.exited(next);
        return data.outcome === 'failed' ? data : null;
      }, 'an attempt to fail');
      expect(refusal).toMatchObject({ class: 'disk' });
      expect(refusal.reason).toContain('disk');
      const stop = await full.stop(filler.run, filler.task, { now: true });
      const done = await full.wait('command.stop_done', (_data, { subject }) =>
        subject.endsWith(stop.id),
      );
      expect(done.data.attempts).toMatchObject([{ proven: true, survivors: [] }]);
      expect(one.child.exitCode).toBe(null);
      execFileSync('rm', [join(full.state, 'attempts', filler.run, `${filler.task}.1`, 'fill')]);
      await until(async () => {
        const again = attemptSpec([step('true')]);
        await full.startAttempt(again);
        return (await full.exited(again)).data.outcome === 'passed';
      }, 'attempts to pass again');
    } finally {
      await full.close().catch(() => undefined);
      execFileSync('/usr/bin/umount', ['-l', full.state], { stdio: 'ignore' });
      execFileSync('rm', ['-rf', full.dir]);
    }
  },
);
