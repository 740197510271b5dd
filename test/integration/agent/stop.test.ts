/** Stops: what is named as ended is dead, what was overtaken never starts (I5, I6). */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { MessageOf } from '#protocol/messages/envelope.ts';
import { isAlive, identityOf } from '#protocol/runtime/process-identity.ts';
import { isRunning } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';
import {
  attemptSpec,
  RUN,
  startTestMesh,
  step,
  type AgentProcess,
  type Sent,
  type TestMesh,
} from './support/agent-process.ts';

let mesh: TestMesh;
let agent: AgentProcess;

beforeEach(async () => {
  mesh = await startTestMesh();
  agent = await mesh.start(['--slots', '2']);
});

afterEach(async () => {
  await mesh.close();
});

const done = (stop: Sent): Promise<MessageOf<'command.stop_done'>> =>
  mesh.wait('command.stop_done', (_data, { subject }) => subject.endsWith(stop.id));

const HOLD = 'echo $$ > pid; echo ready; exec sleep 600';

test('a stop of a run ends what runs and what waits, and names both', async () => {
  const running = [
    attemptSpec([step(HOLD)]),
    attemptSpec([step(`trap '' TERM; ${HOLD}`)], { graceMs: 200 }),
  ];
  const waiting = attemptSpec([step('true')]);
  const other = attemptSpec([step('true')], { run: '2026-01-02_03-04-05-othr' });
  for (const spec of [...running, waiting]) await mesh.startAttempt(spec);
  for (const spec of running)
    await until(async () => (await mesh.log(spec)).both.length > 0, 'ready');
  const pids = await Promise.all(
    running.map(async (spec) => {
      const file = join(mesh.state, 'attempts', spec.run, `${spec.task}.1`, 'pid');
      return identityOf(Number(await readFile(file, 'utf8')));
    }),
  );
  const stop = await mesh.stop(RUN, null);
  const { data } = await done(stop);
  expect(pids.map((pid) => pid !== null && isAlive(pid))).toEqual([false, false]);
  expect(
    data.attempts.map(({ task, signal, proven, survivors }) => ({
      task,
      signal,
      proven,
      survivors,
    })),
  ).toEqual(
    expect.arrayContaining([
      { task: running[0]?.task, signal: 'SIGTERM', proven: true, survivors: [] },
      { task: running[1]?.task, signal: 'SIGKILL', proven: true, survivors: [] },
      { task: waiting.task, signal: null, proven: true, survivors: [] },
    ]),
  );
  expect(data.attempts.find(({ task }) => task === waiting.task)?.processes).toBe(0);
  for (const spec of [...running, waiting]) {
    const exited = await mesh.exited(spec);
    expect(exited.data).toMatchObject({
      outcome: 'stopped',
      stop: { by: 'tester', reason: 'a test' },
    });
  }
  const received = await mesh.wait('command.received', (_data, { subject }) =>
    subject.endsWith(stop.id),
  );
  expect(received.data).toEqual({ kind: 'stop', attempts: 3, run: RUN });
  expect(mesh.namesOf(waiting)).toEqual(['attempt.accepted', 'attempt.exited']);
  await mesh.startAttempt(other);
  expect((await mesh.exited(other)).data.outcome).toBe('passed');
});

test('a stop of what is not here is answered too', async () => {
  const { data } = await done(await mesh.stop(RUN, 'no-such-task'));
  expect(data).toEqual({ run: RUN, task: 'no-such-task', attempts: [] });
});

test('a start overtaken by the stop never runs; one that knows the stop does', async () => {
  const stop = await mesh.stop(RUN, null);
  await done(stop);
  const overtaken = attemptSpec([step('touch ran')]);
  const resumed = attemptSpec([step('touch ran')]);
  await mesh.startAttempt(overtaken, { afterStop: stop.sequence - 1 });
  await mesh.startAttempt(resumed, { afterStop: stop.sequence });
  expect((await mesh.exited(overtaken)).data).toMatchObject({ outcome: 'stopped', steps: [] });
  expect((await mesh.exited(resumed)).data.outcome).toBe('passed');
  expect(existsSync(join(mesh.state, 'attempts', RUN, `${overtaken.task}.1`))).toBe(false);
});

test('after a restart the agent still knows the stop', async () => {
  const stop = await mesh.stop(RUN, null);
  await done(stop);
  await mesh.kill(agent);
  await mesh.start();
  const overtaken = attemptSpec([step('touch ran')]);
  await mesh.startAttempt(overtaken, { afterStop: 0 });
  expect((await mesh.exited(overtaken)).data).toMatchObject({ outcome: 'stopped', steps: [] });
});

test('the teardown runs after a stop, and a second stop with now kills at once', async () => {
  const gentle = attemptSpec([step(HOLD), step('echo cleaned', { step: 'teardown' })]);
  await mesh.startAttempt(gentle);
  await until(async () => (await mesh.log(gentle)).both.length > 0, 'ready');
  await done(await mesh.stop(RUN, gentle.task));
  expect((await mesh.log(gentle)).stdout.toString()).toContain('cleaned');
  const stubborn = attemptSpec(
    [step(`trap '' TERM; ${HOLD}`), step('echo cleaned', { step: 'teardown' })],
    {
      graceMs: 3_600_000,
    },
  );
  await mesh.startAttempt(stubborn);
  await until(async () => (await mesh.log(stubborn)).both.length > 0, 'ready');
  const first = await mesh.stop(RUN, stubborn.task);
  await mesh.wait('attempt.stopping', (data) => data.command === first.id);
  const second = await mesh.stop(RUN, stubborn.task, { now: true });
  const [one, two] = await Promise.all([done(first), done(second)]);
  expect(one.data.attempts).toEqual(two.data.attempts);
  expect(one.data.attempts[0]).toMatchObject({ signal: 'SIGKILL', proven: true });
  expect((await mesh.log(stubborn)).stdout.toString()).not.toContain('cleaned');
});

test('a stop published while the agent is dead completes by itself when it is back', async () => {
  const spec = attemptSpec([step(`trap '' TERM; ${HOLD}`)], { graceMs: 100 });
  await mesh.startAttempt(spec);
  await until(async () => (await mesh.log(spec)).both.length > 0, 'ready');
  await mesh.kill(agent);
  const stop = await mesh.stop(RUN, null);
  await mesh.start();
  const { data } = await done(stop);
  expect(data.attempts).toMatchObject([{ task: spec.task, proven: true, survivors: [] }]);
  expect((await mesh.exited(spec)).data.outcome).toBe('stopped');
});

test('what waits when the agent dies does not begin before it has read what came meanwhile', async () => {
  const running = [1, 2].map(() => attemptSpec([step('echo $$; exec sleep 1')]));
  const waiting = attemptSpec([step('touch begun; exec sleep 600')]);
  const other = attemptSpec([step('true')], { run: '2026-01-02_03-04-05-othr' });
  for (const spec of [...running, waiting, other]) await mesh.startAttempt(spec);
  for (const spec of running)
    await until(async () => (await mesh.log(spec)).both.length > 0, 'ready');
  await mesh.wait('attempt.accepted', (_data, { subject }) => subject.includes(waiting.task));
  await mesh.kill(agent);
  await mesh.stop(RUN, null);
  for (const spec of running) {
    const pid = Number((await mesh.log(spec)).both);
    await until(() => !isRunning(pid), 'a slot that is free when it is back');
  }
  await mesh.start(['--slots', '2']);
  expect((await mesh.exited(waiting)).data).toMatchObject({ outcome: 'stopped', steps: [] });
  expect(mesh.of(waiting, 'attempt.step_started')).toEqual([]);
  expect((await mesh.exited(other)).data.outcome).toBe('passed');
});

test('a stop in the middle of which the agent dies completes by itself, with one done', async () => {
  const spec = attemptSpec([step(`trap '' TERM; ${HOLD}`)], { graceMs: 1_500 });
  await mesh.startAttempt(spec);
  await until(async () => (await mesh.log(spec)).both.length > 0, 'ready');
  const stop = await mesh.stop(RUN, null);
  await mesh.wait('attempt.stopping', (data) => data.command === stop.id);
  await mesh.kill(agent);
  await mesh.start();
  const { data } = await done(stop);
  expect(data.attempts).toMatchObject([{ task: spec.task, signal: 'SIGKILL', proven: true }]);
  expect(mesh.find('command.stop_done')).toHaveLength(1);
  expect(mesh.of(spec, 'attempt.stopping')).toHaveLength(1);
});
