/** Several starts in one command, through a real agent that is killed while they run. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { acceptanceIn } from '#protocol/fold/attempt-fold.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { until } from '#test/support/until.ts';
import {
  AGENT,
  attemptSpec,
  RUN,
  startTestMesh,
  step,
  type TestMesh,
} from './support/agent-process.ts';

let mesh: TestMesh;

beforeAll(async () => {
  mesh = await startTestMesh();
});

afterAll(async () => {
  await mesh.close();
});

test('kill -9 among several starts of one command: each runs once, in their order', async () => {
  let agent = await mesh.start(['--slots', '2']);
  expect(mesh.find('agent.started')[0]?.data.registration.reads).toEqual(['command.starts']);
  const specs = Array.from({ length: 12 }, (_, at) =>
    attemptSpec([step(`echo ${at} >> ${mesh.dir}/ran; sleep 0.2`)]),
  );
  const starts = specs.map((spec) => ({
    ...{ id: `${spec.run}_${spec.task}_1`, spec },
    ...{ afterStop: 0, priority: 0 },
  }));
  const subject = subjects.command(AGENT, 'start', RUN);
  await mesh.command(subject, 'command.starts', { starts });
  for (const ended of [1, 5]) {
    await until(() => mesh.find('attempt.exited').length >= ended, `${ended} ends`);
    await mesh.kill(agent);
    agent = await mesh.start(['--slots', '2']);
  }
  for (const spec of specs) expect((await mesh.exited(spec)).data.outcome).toBe('passed');
  const accepted = mesh.events.flatMap(({ message }) => acceptanceIn(message)?.command ?? []);
  expect(accepted.toSorted()).toEqual(starts.map(({ id }) => id).toSorted());
  const ran = async (): Promise<number[]> =>
    (await readFile(join(mesh.dir, 'ran'), 'utf8')).trim().split('\n').map(Number);
  const all = specs.map((_, at) => at);
  expect((await ran()).toSorted((a, b) => a - b)).toEqual(all);
  // Two at a time, so that neighbours may change places.
  expect((await ran()).every((at, place) => Math.abs(at - place) <= 2)).toBe(true);

  // As a leader in doubt would store it again.
  await mesh.command(subject, 'command.starts', { starts });
  const next = attemptSpec([step('true')]);
  await mesh.startAttempt(next);
  expect((await mesh.exited(next)).data.outcome).toBe('passed');
  expect((await ran()).toSorted((a, b) => a - b)).toEqual(all);
});
