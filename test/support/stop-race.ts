/** One round of a stop racing with starts, with everything that must hold afterwards. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { TaskView } from '#protocol/fold/task-view.ts';
import type { TestMesh } from './mesh.ts';
import { until } from './until.ts';

const SUITE = `name: race
axes:
  cell: [CELLS]
needs:
  exclusive: false
run:
  shell: echo {{cell}} >> "{{suite.dir}}/started"; sleep 0.03; [ ! -e "{{suite.dir}}/slow" ] || sleep 0.1
`;

/**
 * `frozen`: the coordinator sleeps while the stop is given and obeyed (I6 needs none). On waking it
 * hears of ended tasks before it hears of the stop, and gives starts that the stop has overtaken.
 */
export async function stopInTheMiddle(
  mesh: TestMesh,
  after: number,
  { frozen }: { readonly frozen: boolean },
): Promise<void> {
  const started = join(mesh.home, 'started');
  const slow = join(mesh.home, 'slow');
  for (const file of [started, slow]) await rm(file, { force: true });
  const count = async (): Promise<number> =>
    (await readFile(started, 'utf8').catch(() => '')).split('\n').length - 1;

  const cells = Array.from({ length: 500 }, (_, index) => index).join(', ');
  const run = await mesh.submit(await mesh.file('race.yaml', SUITE.replace('CELLS', cells)));
  const watch = mesh.start(['watch', run, '--json'], { deadlineMs: 120_000 });
  await until(async () => (await count()) >= after, `${after} tasks to have started`);

  const coordinator = await mesh.pid('coordinator');
  if (frozen) process.kill(coordinator, 'SIGSTOP');
  // They are to outlast the start of a command on a busy machine.
  await writeFile(slow, '');
  const stop = await mesh.cli(['stop', run]);
  const atDone = await count();
  if (frozen) process.kill(coordinator, 'SIGCONT');
  expect(stop.status, stop.stdout + stop.stderr).toBe(0);
  await mesh.archived(run);
  expect(await count(), 'no process starts after the stop is done').toBe(atDone);

  const states = (await watch.ended).stdout
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { run: { state: string } }).run.state);
  const stopping = states.indexOf('stopping');
  if (stopping >= 0) expect(states.slice(stopping)).not.toContain('running');

  const { tasks } = await mesh.json<{ tasks: TaskView[] }>('tasks', run, '--limit', '1000');
  expect(tasks).toHaveLength(500);
  expect(tasks.filter((task) => task.state !== 'ended')).toEqual([]);
  const outcomes = new Set(tasks.map((task) => task.outcome));
  expect([...outcomes].sort()).toEqual(['passed', 'stopped']);
  expect(tasks.filter((task) => task.outcome === 'passed').length).toBeLessThanOrEqual(atDone);
  await mesh.ok('audit', run);
}
