/** One attempt after another through a real agent: commands in, events, logs and files out. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { attemptSpec, startTestMesh, step, type TestMesh } from './support/agent-process.ts';

let mesh: TestMesh;

beforeAll(async () => {
  mesh = await startTestMesh();
  await mesh.start(['--slots', '2']);
});

afterAll(async () => {
  await mesh.close();
});

test('a trivial attempt is three events: accepted, step_started, exited', async () => {
  const spec = attemptSpec([step('true')]);
  const { id } = await mesh.startAttempt(spec);
  const accepted = await mesh.wait('attempt.accepted', (data) => data.command === id);
  expect(accepted.seq).toBe(1);
  const exited = await mesh.wait('attempt.exited', (_data, { subject }) =>
    subject.includes(spec.task),
  );
  expect(exited.data).toMatchObject({ outcome: 'passed', reason: null, logBytes: 0, proven: true });
  expect(
    mesh.events
      .filter(({ subject }) => subject.includes(`.${spec.task}.`))
      .map(({ message }) => message.name),
  ).toEqual(['attempt.accepted', 'attempt.step_started', 'attempt.exited']);
});

test('output is stored before exited, with both streams told apart', async () => {
  const spec = attemptSpec([step('printf out; printf err >&2')]);
  await mesh.startAttempt(spec);
  const exited = await mesh.wait('attempt.exited', (_data, { subject }) =>
    subject.includes(spec.task),
  );
  expect(exited.data.logBytes).toBe(6);
  const log = await mesh.log(spec);
  expect([log.stdout.toString(), log.stderr.toString()]).toEqual(['out', 'err']);
});
