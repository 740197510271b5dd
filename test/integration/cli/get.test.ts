/** `get`: a file of an attempt, while it runs and after; never anything else of the host. */
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
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
    head -c 6000000 /dev/zero | tr '\\0' a > a; head -c 6000000 /dev/zero | tr '\\0' b > b
    while [ ! -e ${mesh.home}/gate ]; do
      for letter in a b; do cp $letter next; mv next turns; sleep 0.02; done
    done
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

it('never makes one file of two, where it is replaced while it is read', async () => {
  const output = join(mesh.home, 'turns');
  await rm(output, { force: true });
  const { status, stderr } = await mesh.cli(['get', `${run}/${task}`, 'turns', '-o', output]);
  if (status === 6) expect(stderr).toContain('turns was replaced while it was read: ask again');
  const text = status === 6 ? '' : await readFile(output, 'latin1');
  expect([status, new Set(text).size]).toEqual(status === 6 ? [6, 0] : [0, 1]);
});

it('leaves what was at --output as it is, where it cannot write all of the file', async () => {
  const output = join(mesh.home, 'mine');
  await writeFile(output, 'mine');
  for (const path of ['missing', 'pipe'])
    expect((await mesh.cli(['get', `${run}/${task}`, path, '-o', output])).status).toBe(5);
  expect(await readFile(output, 'utf8')).toBe('mine');
  await mesh.ok('get', `${run}/${task}`, 'log.txt', '-o', output);
  expect(await readFile(output, 'utf8')).toBe('so far\n');
});

it('keeps a FIFO that it was to write to, and a failure', async () => {
  const fifo = join(mesh.home, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const reading = readFile(fifo, 'utf8');
  expect((await mesh.cli(['get', `${run}/${task}`, 'missing', '-o', fifo])).status).toBe(5);
  expect(await reading).toBe('');
  expect((await stat(fifo)).isFIFO()).toBe(true);
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
  for (const path of ['../../../run.json', '/etc/passwd', '.', 'log.txt/more'])
    expect((await mesh.cli(['get', `${run}/${task}`, path])).status).toBe(5);
});
