/** The agent dies and comes back: what ran goes on, nothing starts twice, no byte is lost (I7, I8). */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  attemptSpec,
  startTestMesh,
  step,
  type AgentProcess,
  type TestMesh,
} from './support/agent-process.ts';
import { until } from '#test/support/until.ts';

let mesh: TestMesh;
let agent: AgentProcess;

beforeEach(async () => {
  mesh = await startTestMesh();
  agent = await mesh.start(['--slots', '3']);
});

afterEach(async () => {
  await mesh.close();
});

/** Appends its pid, prints, waits for the file `go`, and ends with a status. */
const script = (dir: string, name: string, status: number): string => `
  echo $$ >> ${dir}/${name}.pids; echo before
  while [ ! -e ${dir}/go ]; do sleep 0.02; done
  echo after; touch ${dir}/${name}.over; exit ${status}`;

test('three running attempts are adopted: same pids, right exit codes, whole logs', async () => {
  const specs = ['a', 'b', 'c'].map((name, index) =>
    attemptSpec([step(script(mesh.dir, name, index)), step('echo cleaned', { step: 'teardown' })]),
  );
  for (const spec of specs) await mesh.startAttempt(spec);
  for (const spec of specs)
    await until(async () => (await mesh.log(spec)).both.length > 0, 'before');
  await mesh.kill(agent);
  await mesh.start(['--slots', '3']);
  expect(mesh.find('agent.started').at(-1)?.data.adopted).toBe(3);
  await writeFile(join(mesh.dir, 'go'), '');
  const ends = await Promise.all(specs.map((spec) => mesh.exited(spec)));
  expect(ends.map(({ data }) => data.steps[0]?.code)).toEqual([0, 1, 2]);
  for (const [index, name] of ['a', 'b', 'c'].entries()) {
    const spec = specs[index] ?? attemptSpec([]);
    expect(
      (await readFile(join(mesh.dir, `${name}.pids`), 'utf8')).trim().split('\n'),
    ).toHaveLength(1);
    expect((await mesh.log(spec)).stdout.toString()).toBe('before\nafter\ncleaned\n');
    expect(mesh.of(spec, 'attempt.adopted')).toMatchObject([
      { data: { step: 'run', alive: true } },
    ]);
    const elapsed = mesh.events.flatMap(({ message, subject }) =>
      subject.includes(`.${spec.task}.`) && 'elapsedMs' in message.data
        ? [message.data.elapsedMs]
        : [],
    );
    expect(elapsed).toEqual([...elapsed].sort((x, y) => x - y));
  }
});

test('an adopted step without output holds up neither the log of the next one nor a drain', async () => {
  const gate = `touch ${mesh.dir}/begun; while [ ! -e ${mesh.dir}/go ]; do sleep 0.02; done`;
  const spec = attemptSpec([step(gate, { step: 'setup' }), step('echo ran')]);
  await mesh.startAttempt(spec);
  await until(() => existsSync(join(mesh.dir, 'begun')), 'the silent step');
  await mesh.kill(agent);
  agent = await mesh.start(['--slots', '3', '--on-term', 'drain']);
  await writeFile(join(mesh.dir, 'go'), '');
  expect((await mesh.exited(spec)).data.outcome).toBe('passed');
  expect((await mesh.log(spec)).stdout.toString()).toBe('ran\n');
  agent.child.kill('SIGTERM');
  expect((await agent.exited).code).toBe(0);
});

test('a step that ended while no agent lived: its status is learned, the next step goes on', async () => {
  const spec = attemptSpec([
    step(script(mesh.dir, 'a', 7)),
    step(`echo $$ >> ${mesh.dir}/teardown.pids`, { step: 'teardown' }),
  ]);
  await mesh.startAttempt(spec);
  await until(async () => (await mesh.log(spec)).both.length > 0, 'before');
  await mesh.kill(agent);
  await writeFile(join(mesh.dir, 'go'), '');
  await until(() => existsSync(join(mesh.dir, 'a.over')), 'the step to be over');
  expect(existsSync(join(mesh.dir, 'teardown.pids'))).toBe(false);
  await mesh.start();
  const exited = await mesh.exited(spec);
  expect(exited.data).toMatchObject({
    outcome: 'failed',
    class: 'exit',
    steps: [{ code: 7 }, { code: 0 }],
  });
  expect((await mesh.log(spec)).stdout.toString()).toBe('before\nafter\n');
  expect((await readFile(join(mesh.dir, 'teardown.pids'), 'utf8')).trim().split('\n')).toHaveLength(
    1,
  );
});

test('kill -9 at any moment: every attempt runs once and ends once, with its whole log', async () => {
  const count = 60;
  const specs = Array.from({ length: count }, (_, index) =>
    attemptSpec([step(`echo ${index} >> ${mesh.dir}/ran; seq 200; exit $(( ${index} % 2 ))`)]),
  );
  const sending = (async () => {
    for (const spec of specs) await mesh.startAttempt(spec);
  })();
  for (const ended of [5, 20, 35, 50]) {
    await until(() => mesh.find('attempt.exited').length >= ended, `${ended} ends`);
    await mesh.kill(agent);
    agent = await mesh.start(['--slots', '3']);
  }
  await sending;
  const ends = await Promise.all(specs.map((spec) => mesh.exited(spec)));
  expect(ends.map(({ data }) => data.outcome)).toEqual(
    specs.map((_, index) => (index % 2 === 0 ? 'passed' : 'failed')),
  );
  const ran = (await readFile(join(mesh.dir, 'ran'), 'utf8')).trim().split('\n').map(Number);
  expect(ran.sort((a, b) => a - b)).toEqual(specs.map((_, index) => index));
  const expected = Array.from({ length: 200 }, (_, index) => `${index + 1}\n`).join('');
  for (const spec of specs) {
    expect(mesh.of(spec, 'attempt.exited')).toHaveLength(1);
    const seqs = mesh.events
      .filter(({ subject }) => subject.includes(`.${spec.task}.`))
      .map(({ message }) => message.seq);
    expect(seqs).toEqual(seqs.map((_, index) => index + 1));
    await until(
      async () => (await mesh.log(spec)).both.length === expected.length,
      'the whole log',
    );
    expect((await mesh.log(spec)).stdout.toString()).toBe(expected);
  }
});

test('20 MB with kill -9 of agent and server in the middle: exact', async () => {
  const spec = attemptSpec([
    step(`head -c 20000000 /dev/urandom > data; for i in $(seq 0 19); do
      dd if=data bs=1000000 skip=$i count=1 2>/dev/null; sleep 0.1; done`),
  ]);
  await mesh.startAttempt(spec);
  await until(async () => (await mesh.log(spec)).both.length > 3_000_000, 'a part');
  await mesh.kill(agent);
  await mesh.start();
  await until(async () => (await mesh.log(spec)).both.length > 8_000_000, 'more');
  await mesh.server.restart();
  const exited = await mesh.exited(spec);
  expect(exited.data).toMatchObject({ outcome: 'passed', logBytes: 20_000_000, logGaps: [] });
  await until(async () => (await mesh.log(spec)).both.length === 20_000_000, 'the whole log');
  const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
  const data = await readFile(join(mesh.state, 'attempts', spec.run, `${spec.task}.1`, 'data'));
  expect(sha((await mesh.log(spec)).stdout)).toBe(sha(data));
});

test('SIGTERM ends the agent in order; what runs goes on and is adopted', async () => {
  const spec = attemptSpec([step(script(mesh.dir, 'a', 0))]);
  await mesh.startAttempt(spec);
  await until(async () => (await mesh.log(spec)).both.length > 0, 'before');
  agent.child.kill('SIGTERM');
  expect(await agent.exited).toMatchObject({ code: 0, stderr: '' });
  await mesh.wait('agent.stopping');
  await mesh.start();
  await writeFile(join(mesh.dir, 'go'), '');
  expect((await mesh.exited(spec)).data.outcome).toBe('passed');
  expect((await readFile(join(mesh.dir, 'a.pids'), 'utf8')).trim().split('\n')).toHaveLength(1);
});

test('what was queued begins once when the agent comes back with more slots, and is not adopted', async () => {
  await mesh.kill(agent);
  agent = await mesh.start(['--slots', '1']);
  const long = attemptSpec([step(`while [ ! -e ${mesh.dir}/go ]; do sleep 0.02; done`)]);
  await mesh.startAttempt(long);
  await mesh.began(long);
  const queued = ['a', 'b', 'c'].map((name) =>
    attemptSpec([step(`echo ${name} >> ${mesh.dir}/starts; sleep 0.2`)]),
  );
  for (const spec of queued) await mesh.startAttempt(spec);
  for (const { task } of queued)
    await mesh.wait('attempt.accepted', (_data, { subject }) => subject.includes(`.${task}.`));
  await mesh.kill(agent);
  await mesh.start(['--slots', '8']);
  for (const spec of queued) {
    const { data } = await mesh.exited(spec);
    expect([data.outcome, data.reason]).toEqual(['passed', null]);
    expect(mesh.of(spec, 'attempt.adopted')).toEqual([]);
  }
  const starts = await readFile(join(mesh.dir, 'starts'), 'utf8');
  expect(starts.trim().split('\n').sort()).toEqual(['a', 'b', 'c']);
  await writeFile(join(mesh.dir, 'go'), '');
  expect((await mesh.exited(long)).data.outcome).toBe('passed');
});
