/** Tasks that want more memory than they were given, and get it with the next attempt: real agents and processes. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { AttemptView } from '#protocol/fold/attempt-view.ts';
import type { TaskView } from '#protocol/fold/task-view.ts';
import { TestMesh } from '#test/support/mesh.ts';

/** dd takes a buffer of just that size, and says so where there is no room for it. */
const SUITE = `name: hungry
needs: { memory: 64MiB, exclusive: false }
retries: { exit: { most: 3, memory: x2 } }
run:
  shell: |
    ulimit -v $((BENCHMESH_MEMORY_MIB * 1024))
    exec dd if=/dev/zero of=/dev/null bs=100M count=1
`;
const NEVER = `name: never
needs: { memory: 64MiB, exclusive: false }
retries: { exit: { most: 5, memory: x1000 } }
run: { shell: 'exit 1' }
`;

let mesh: TestMesh;
beforeAll(async () => {
  mesh = await TestMesh.create();
  await mesh.up('--slots', '1');
});
afterAll(async () => {
  await mesh.dispose();
});

const run = async (name: string, text: string): Promise<{ run: string; task: TaskView }> => {
  const id = await mesh.submit(await mesh.file(name, text));
  await mesh.archived(id);
  const { tasks } = await mesh.json<{ tasks: TaskView[] }>('tasks', id);
  const [task] = tasks;
  if (task === undefined) throw new Error('no task');
  return { run: id, task };
};

it('passes with the second attempt, which needs and has twice as much; all say so', async () => {
  const file = await mesh.file('hungry.yaml', SUITE);
  expect(await mesh.ok('plan', file)).toContain('retries after exit: with memory x2');
  const { run: id, task } = await run('hungry.yaml', SUITE);
  expect(task).toMatchObject({ outcome: 'passed', attempts: 2, needs: { memoryMiB: 128 } });
  expect(await mesh.ok('tasks', id)).toContain('128 MiB of memory');
  const target = `${id}/${task.id}`;
  expect(await mesh.ok('show', target)).toContain('128 MiB of memory, 1 slot, raised');
  expect(await mesh.ok('events', id)).toContain('exit, with 128 MiB of memory');
  const { attempts } = await mesh.json<{ attempts: AttemptView[] }>('show', target);
  expect(attempts.map(({ outcome }) => outcome)).toEqual(['failed', 'passed']);
  expect(attempts[0]?.stderrTail?.text).toContain('memory exhausted');
  const rows = await readFile(join(mesh.home, 'results', id, 'attempts.ndjson'), 'utf8');
  const specs = rows
    .trim()
    .split('\n')
    .map((row) => (JSON.parse(row) as { spec: AttemptSpec }).spec);
  expect(specs.map(({ n, needs }) => [n, needs.memoryMiB])).toEqual([
    [1, 64],
    [2, 128],
  ]);
  await mesh.ok('audit', id);
});

it('is not tried again where no host could give more: it ends, and says why', async () => {
  const { task } = await run('never.yaml', NEVER);
  expect(task).toMatchObject({ outcome: 'failed', attempts: 2, class: 'exit' });
  // The second had all that there is.
  expect(task.message).toMatch(
    /not tried again, it would be unplaceable: .* of memory; the nearest/,
  );
});
