/** `get`: a file of an attempt, while it runs and after; never anything else of the host. */
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { TestMesh } from '#test/support/mesh.ts';
import { until } from '#test/support/until.ts';

let mesh: TestMesh;
let run: string;
let task: string;
beforeAll(async () => {
  mesh = await TestMesh.create();
  await mesh.up();
  await mkdir(join(mesh.home, 'secrets'));
  await writeFile(join(mesh.home, 'secrets', 'key'), 'secret');
  const suite = await mesh.file(
    'get.yaml',
    `name: get
run:
  shell: |
    mkdir out; head -c 600000 /dev/zero > out/big; echo so far > log.txt
    ln -s ${mesh.home}/secrets/key link; ln -s ${mesh.home}/secrets dir; mkfifo pipe
    while [ ! -e ${mesh.home}/gate ]; do sleep 0.05; done
files: [log.txt]
`,
  );
  run = await mesh.submit(suite);
  task = (await mesh.json<{ tasks: { id: string }[] }>('tasks', run)).tasks[0]?.id ?? '';
  await until(
    async () => (await mesh.cli(['get', `${run}/${task}`, 'pipe'])).stderr.includes('no regular'),
    'the files of the attempt',
  );
});
afterAll(async () => {
  await mesh.dispose();
});

it('prints it and writes it, while it runs', async () => {
  expect(await mesh.ok('get', `${run}/${task}`, 'log.txt')).toBe('so far\n');
  const output = join(mesh.home, 'big');
  const facts = await mesh.json('get', `${run}/${task}/1`, './out/big', '--output', output);
  expect(facts).toMatchObject({ run, task, n: 1, bytes: 600_000, output });
  expect((await readFile(output)).equals(Buffer.alloc(600_000))).toBe(true);
});

it.each([
  '../../../../../secrets/key',
  '/etc/passwd',
  'link',
  'dir/key',
  'out',
  'pipe',
  'missing',
  '..',
])('refuses %s', async (path) => {
  const result = await mesh.cli(['get', `${run}/${task}`, path]);
  expect([result.status, result.stdout]).toEqual([5, '']);
});

it('needs --output with --json', async () => {
  expect((await mesh.cli(['get', `${run}/${task}`, 'log.txt', '--json'])).status).toBe(2);
});

it('prints what was kept, when the run has ended', async () => {
  await writeFile(join(mesh.home, 'gate'), '');
  const directory = await mesh.archived(run);
  expect(await mesh.ok('get', `${run}/${task}`, 'log.txt')).toBe('so far\n');
  expect((await mesh.cli(['get', `${run}/${task}`, 'out/big'])).status).toBe(5);
  await symlink('/etc/passwd', join(directory, 'elsewhere'));
  for (const path of ['../../../run.json', '/etc/passwd'])
    expect((await mesh.cli(['get', `${run}/${task}`, path])).status).toBe(5);
});
