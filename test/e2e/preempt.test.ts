/** A run of a higher priority takes the room of one that can resume: it goes on later, and ends right. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RunView } from '#protocol/fold/run-view.ts';
import type { TaskView } from '#protocol/fold/task-view.ts';
import type { AttemptView } from '#protocol/fold/attempt-view.ts';
import { TestMesh } from '#test/support/mesh.ts';
import { CountingRound } from '#test/support/counting-round.ts';
import { until } from '#test/support/until.ts';

let mesh: TestMesh;
beforeAll(async () => {
  mesh = await TestMesh.create();
});
afterAll(async () => {
  await mesh.dispose();
});

interface Shown {
  readonly task: TaskView;
  readonly attempts: readonly AttemptView[];
}

const urgent = (mark: string): string => `name: urgent
priority: 10
needs: { slots: 2, exclusive: false }
run: { shell: "while [ ! -e ${mark} ]; do sleep 0.05; done" }
`;

async function only(run: string): Promise<Shown> {
  const { tasks } = await mesh.json<{ tasks: { id: string }[] }>('tasks', run);
  return mesh.json<Shown>('show', `${run}/${tasks[0]?.id ?? ''}`);
}

const explained = async (run: string): Promise<string> =>
  mesh.ok('explain', `${run}/${(await only(run)).task.id}`);

it('ends it with its checkpoint, runs, and lets it go on from there', async () => {
  const round = new CountingRound(mesh, { to: 1_000, stepMs: 20, every: '100ms' });
  const low = await round.begin(['a1']);
  await until(async () => (await only(low)).task.state === 'running', 'the low one to run');
  const mark = join(mesh.home, 'go');
  const high = await mesh.submit(await mesh.file('urgent.yaml', urgent(mark)));
  await until(async () => (await only(high)).task.state === 'running', 'the high one', 60_000);
  const waits = (await only(low)).task;
  const { id } = (await only(high)).task;
  expect(waits).toMatchObject({ ended: null, preemptedBy: { run: high, task: id } });
  expect(await explained(low)).toContain(`it was pre-empted by ${high}/${id}`);
  await mesh.file('go', '');
  await mesh.ok('watch', high);
  await round.expectExact(low);
  const { run } = JSON.parse(
    await readFile(join(await mesh.archived(low), 'run.json'), 'utf8'),
  ) as { run: RunView };
  expect(run.requeues).toMatchObject([{ result: 'dead', preemptedBy: { run: high, task: id } }]);
  const { attempts } = await only(low);
  expect(attempts.map(({ outcome, class: failure }) => [outcome, failure])).toEqual([
    ['stopped', 'paused'],
    ['passed', null],
  ]);
}, 240_000);
