/** A host on which everything fails, beside one on which everything passes: real agents and processes. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RunView } from '#protocol/fold/run-view.ts';
import type { TaskView } from '#protocol/fold/task-view.ts';
import { startAgents } from '#test/support/fleet.ts';
import { TestMesh } from '#test/support/mesh.ts';
import { until } from '#test/support/until.ts';

const TASKS = 40;
/** The last 20 wait for the file, on a host where they pass. */
const suiteIn = (dir: string): string => `name: sick
axes: { item: [${Array.from({ length: TASKS }, (_, at) => at).join(', ')}] }
needs: { exclusive: false }
retries: { exit: 50 }
env: { ITEM: '{{item}}' }
run: { shell: 'sleep 0.4; [ -z "$SICK" ] && until [ $ITEM -lt 20 ] || [ -e ${dir}/go ]; do sleep 0.05; done' }
`;

let mesh: TestMesh;
let sick: { readonly end: () => Promise<void> };
beforeAll(async () => {
  mesh = await TestMesh.create();
  await mesh.up('--slots', '1');
  sick = await startAgents(mesh, ['sick'], { SICK: '1' });
});
afterAll(async () => {
  await sick.end();
  await mesh.dispose();
});

it('is cordoned with the tasks that failed there; what is left passes elsewhere', async () => {
  const run = await mesh.submit(await mesh.file('sick.yaml', suiteIn(mesh.home)));
  const agents = async (): Promise<string> => mesh.ok('agents');
  await until(async () => (await agents()).includes('cordoned by coordinator'), 'a cordon', 60_000);
  expect(await agents()).toMatch(/sick +cordoned[^]*5 different tasks in a row failed there/);
  expect(await agents()).not.toMatch(/local-1 +cordoned/);
  expect(await mesh.ok('doctor')).toMatch(
    /warn +agent sick: nothing new is started there: it is cordoned by coordinator: 5 different/,
  );
  const tasks = async (): Promise<TaskView[]> =>
    (await mesh.json<{ tasks: TaskView[] }>('tasks', run)).tasks;
  const waits = (await tasks()).findLast(({ state }) => state === 'pending')?.id ?? '';
  expect(await mesh.ok('explain', `${run}/${waits}`)).toMatch(
    /sick: it is cordoned by coordinator: 5 different tasks/,
  );
  await mesh.file('go', '');
  await mesh.kill9('coordinator');
  await mesh.up('--slots', '1');
  expect(await agents()).toMatch(/sick +cordoned/);
  await mesh.archived(run, 120_000);
  const { run: view } = await mesh.json<{ run: RunView }>('show', run);
  expect(view.outcomes).toEqual({ passed: TASKS });
  await mesh.ok('audit', run);
  await mesh.ok('uncordon', 'sick');
  expect(await agents()).not.toContain('cordoned');
});
