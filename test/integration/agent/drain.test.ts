/** Signals of the agent as a service: a drain loses nothing, a second TERM is a proven stop (I4, I5, I8). */
import { existsSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { isRunning, processesWithEnvironment } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import {
  AGENT,
  attemptSpec,
  RUN,
  startTestMesh,
  step,
  type AgentProcess,
  type TestMesh,
} from './support/agent-process.ts';

const FLAGS = ['--slots', '1', '--on-term', 'drain'];

let mesh: TestMesh;
let agent: AgentProcess;

beforeEach(async () => {
  mesh = await startTestMesh();
  agent = await mesh.start(FLAGS);
});

afterEach(async () => {
  await mesh.close();
});

/** Prints, waits for the file `go`, prints again. */
const waits = (): AttemptSpec =>
  attemptSpec([
    step(
      `echo $$ > ${mesh.dir}/pid; echo before; while [ ! -e ${mesh.dir}/go ]; do sleep 0.02; done; echo after`,
    ),
    step('echo cleaned', { step: 'teardown' }),
  ]);

const go = (): Promise<void> => writeFile(join(mesh.dir, 'go'), '');

async function begun(spec: AttemptSpec): Promise<void> {
  await mesh.startAttempt(spec);
  await until(async () => (await mesh.log(spec)).both.length > 0, 'its first line');
}

const pid = (): number => Number(readFileSync(join(mesh.dir, 'pid'), 'utf8'));

const said = (part: string): Promise<true> =>
  until(() => agent.stderr().includes(part) || null, `"${part}" in ${agent.stderr()}`);

test('TERM: what runs ends by itself and is stored, what waits and what comes is given back, exit 0', async () => {
  const running = waits();
  const queued = attemptSpec([step('true')]);
  await begun(running);
  await mesh.startAttempt(queued);
  await mesh.wait('attempt.accepted', (_data, { subject }) => subject.includes(queued.task));
  agent.child.kill('SIGTERM');
  await mesh.wait('agent.draining');
  const late = attemptSpec([step('true')]);
  await mesh.startAttempt(late);
  for (const spec of [queued, late]) {
    const { data } = await mesh.exited(spec);
    expect(data).toMatchObject({
      outcome: 'skipped',
      stage: 'provision',
      class: 'drained',
      steps: [],
      proven: true,
    });
    expect(data.reason).toContain('drains');
  }
  await said(`waits for ${running.run}/${running.task}#1 (run) to end`);
  expect(isRunning(pid())).toBe(true);
  await go();
  expect((await mesh.exited(running)).data).toMatchObject({ outcome: 'passed', stop: null });
  expect((await mesh.log(running)).stdout.toString()).toBe('before\nafter\ncleaned\n');
  const end = await agent.exited;
  expect(end.code).toBe(0);
  expect(end.stderr).toMatch(/SIGTERM: draining; .*\n.*drained\n$/s);
  await mesh.wait('agent.stopping');
});

test('a start that crosses the drain of an idle agent is given back, not left to it', async () => {
  agent.child.kill('SIGTERM');
  await mesh.wait('agent.draining');
  const spec = attemptSpec([step('true')]);
  await mesh.startAttempt(spec);
  expect((await agent.exited).code).toBe(0);
  expect((await mesh.exited(spec)).data).toMatchObject({ outcome: 'skipped', class: 'drained' });
});

test('a drain ends with the process: the next agent starts what it is given', async () => {
  agent.child.kill('SIGTERM');
  expect((await agent.exited).code).toBe(0);
  await mesh.start(FLAGS);
  const spec = attemptSpec([step('true')]);
  await mesh.startAttempt(spec);
  expect((await mesh.exited(spec)).data.outcome).toBe('passed');
});

test('a commanded drain holds over a restart, and is said again', async () => {
  const given = async (): Promise<void> => {
    const spec = attemptSpec([step('true')]);
    await mesh.startAttempt(spec);
    expect((await mesh.exited(spec)).data).toMatchObject({ outcome: 'skipped', class: 'drained' });
  };
  const order = { by: 'somebody', reason: 'repair' };
  await mesh.command(subjects.command(AGENT, 'drain', RUN), 'command.drain', order);
  expect((await mesh.wait('agent.draining')).data.reason).toBe('drained by somebody: repair');
  await given();
  await mesh.kill(agent);
  await mesh.start(FLAGS);
  await until(() => mesh.find('agent.draining').length === 2 || null, 'it to be said again');
  await given();
});

test('a drain taken back: it takes work again, also after a restart; a signal is not taken back', async () => {
  const passes = async (): Promise<void> => {
    const spec = attemptSpec([step('true')]);
    await mesh.startAttempt(spec);
    expect((await mesh.exited(spec)).data.outcome).toBe('passed');
  };
  const order = { by: 'somebody', reason: null };
  const send = (kind: 'drain' | 'undrain'): Promise<unknown> =>
    mesh.command(subjects.command(AGENT, kind, '-'), `command.${kind}`, order);
  await send('drain');
  await mesh.wait('agent.draining');
  await send('undrain');
  expect((await mesh.wait('agent.undrained')).data.reason).toBe('put back by somebody');
  await passes();
  await mesh.kill(agent);
  agent = await mesh.start(FLAGS);
  await passes();
  const running = waits();
  await begun(running);
  agent.child.kill('SIGTERM');
  await until(() => mesh.find('agent.draining').length === 2 || null, 'it to drain');
  await send('undrain');
  const late = attemptSpec([step('true')]);
  await mesh.startAttempt(late);
  expect((await mesh.exited(late)).data.class).toBe('drained');
  await go();
  expect((await agent.exited).code).toBe(0);
});

test('TERM twice: stopped with the reason, every process dead, given back; a third changes nothing', async () => {
  const spec = attemptSpec(
    [
      step(
        `trap '' TERM; setsid sh -c "trap '' TERM; echo $$ > ${mesh.dir}/pid; exec sleep 600" & echo on; sleep 600`,
        { env: { DRAIN_TEST: mesh.dir } },
      ),
      step('echo cleaned', { step: 'teardown' }),
    ],
    { graceMs: 300 },
  );
  await begun(spec);
  await until(() => existsSync(join(mesh.dir, 'pid')), 'the daemon');
  const alive = (): number[] => processesWithEnvironment('DRAIN_TEST', mesh.dir);
  expect(alive().length).toBeGreaterThan(2);
  for (const part of [': draining;', 'second SIGTERM: stopping']) {
    agent.child.kill('SIGTERM');
    await said(part);
  }
  agent.child.kill('SIGTERM');
  const end = await agent.exited;
  expect(end.code).toBe(0);
  expect(alive()).toEqual([]);
  const { data } = await mesh.exited(spec);
  expect(data).toMatchObject({ outcome: 'stopped', class: 'drained', proven: true, survivors: [] });
  expect(data.reason).toBe('stopped by agent a1: second SIGTERM while draining');
  expect(data.stop).toMatchObject({ by: 'agent a1' });
  expect((await mesh.log(spec)).stdout.toString()).toBe('on\ncleaned\n');
});

test('where nothing is proven, what the second TERM stopped is named, and not what ended before', async () => {
  await mesh.kill(agent);
  agent = await mesh.start([...FLAGS, '--rung', 'scan']);
  const before = attemptSpec([step('true')]);
  await mesh.startAttempt(before);
  expect((await mesh.exited(before)).data).toMatchObject({ outcome: 'passed', proven: false });
  const spec = waits();
  await begun(spec);
  for (const part of [': draining;', 'second SIGTERM: stopping']) {
    agent.child.kill('SIGTERM');
    await said(part);
  }
  const end = await agent.exited;
  expect(end.code).not.toBe(0);
  expect(end.stderr).toContain(`nothing is left of ${spec.run}/${spec.task}#1: see`);
});

test('SIGUSR2 ends the agent at once, in a drain too: the next one adopts the same process', async () => {
  const spec = waits();
  await begun(spec);
  const before = pid();
  agent.child.kill('SIGTERM');
  await said('waits for');
  agent.child.kill('SIGUSR2');
  expect((await agent.exited).code).toBe(0);
  expect(isRunning(before)).toBe(true);
  agent = await mesh.start(FLAGS);
  expect(mesh.find('agent.started').at(-1)?.data.adopted).toBe(1);
  await go();
  expect((await mesh.exited(spec)).data.outcome).toBe('passed');
  expect(Number(await readFile(join(mesh.dir, 'pid'), 'utf8'))).toBe(before);
});

test('a drain waits for a server that is away until all is stored', async () => {
  const spec = waits();
  await begun(spec);
  await mesh.server.kill();
  agent.child.kill('SIGTERM');
  await said('waits for');
  await go();
  await until(() => !isRunning(pid()), 'the benchmark to end');
  await said('log and files');
  expect(agent.child.exitCode).toBe(null);
  await mesh.server.start();
  expect((await agent.exited).code).toBe(0);
  expect((await mesh.exited(spec)).data.outcome).toBe('passed');
  expect((await mesh.log(spec)).stdout.toString()).toBe('before\nafter\ncleaned\n');
});
