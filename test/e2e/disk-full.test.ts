/**
 * A full disk (design section 6, I7): what has been recorded stays, what cannot be done is said in
 * one line with the documented exit status, and with space again everything is completed.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, type TestContext } from 'vitest';
import type { RunView } from '#protocol/fold/run-view.ts';
import type { TaskView } from '#protocol/fold/task-view.ts';
import { TestMesh } from '#test/support/mesh.ts';
import { isRunning } from '#test/support/processes.ts';
import { SmallDisk } from '#test/support/small-disk.ts';
import { until } from '#test/support/until.ts';

/** The second task writes more than the disk holds. */
const FILL = `name: fill
axes:
  what: [small, big, after]
logLimit: 1GiB
run:
  shell: |
    echo "begun {{what}}"
    if [ {{what}} = big ]; then head -c 200000000 /dev/zero | tr '\\0' x; fi
    echo "ends {{what}}"
`;
const PARTS = ['server', 'coordinator', 'agent'] as const;
const NOT_ARCHIVED = /cannot be archived yet: the disk is full/g;

describe('a full disk', () => {
  let mesh: TestMesh | null = null;
  let disk: SmallDisk | null = null;
  afterEach(async () => {
    await mesh?.dispose();
    disk?.unmount();
    mesh = null;
    disk = null;
  });

  function mount(context: TestContext, size: string): SmallDisk {
    disk = SmallDisk.mount(size);
    return disk ?? context.skip('no tmpfs can be mounted here: this needs root');
  }

  it(
    'under BENCHMESH_HOME loses nothing that was recorded',
    { timeout: 240_000 },
    async (context) => {
      const small = mount(context, '64m');
      const home = (mesh = await TestMesh.create({}, small.path));
      await home.up();
      const before = await home.submit(
        await home.file('hello.yaml', 'name: hello\nrun: [echo, hello]\n'),
      );
      await home.archived(before);

      const filled = await home.cli(['run', await home.file('fill.yaml', FILL)], {
        deadlineMs: 180_000,
      });
      expect(filled.status, filled.stdout + filled.stderr).toBe(3);
      expect(filled.stderr.match(NOT_ARCHIVED), filled.stderr).toHaveLength(1);
      expect(filled.stdout).toMatch(/failed \S+ what=big .*output was lost: the disk .*is full/);
      const run = (await home.json<{ run: RunView }>('show', 'latest')).run.id;
      const tasksNow = async (): Promise<unknown> =>
        (await home.json<{ tasks: TaskView[] }>('tasks', run)).tasks.map((task) => [
          task.axes['what'],
          task.outcome,
          task.class,
        ]);
      // What was delivered of the big one's output is given back, and may make room for the last.
      const isRefused = / what=after .*disk.* is full/.test(filled.stdout);
      const tasks = [
        ['small', 'passed', null],
        ['big', 'failed', 'disk'],
        ['after', ...(isRefused ? ['failed', 'disk'] : ['passed', null])],
      ];
      expect(await tasksNow()).toEqual(tasks);

      small.fill();
      const up = await home.cli(['up', '--detach']);
      expect([up.status, up.stdout]).toEqual([1, '']);
      expect(up.stderr).toBe(`benchmesh: the disk of ${home.home} is full: free some space\n`);
      for (const part of PARTS) expect(isRunning(await home.pid(part)), part).toBe(true);
      await home.ok('audit', before);
      expect(await home.ok('logs', before, '--raw')).toBe('hello\n');
      expect(await home.ok('runs')).toContain(run);
      const doctor = await home.cli(['doctor']);
      expect(doctor.status).toBe(1);
      expect(doctor.stdout).toMatch(/state: .* free/);

      // The worst moment to die.
      for (const part of PARTS) await home.kill9(part);
      expect(await home.ok('logs', before, '--raw')).toBe('hello\n');
      small.resize('512m');
      await home.up();
      const directory = await home.archived(run);
      expect(await tasksNow()).toEqual(tasks);
      for (const one of [before, run]) await home.ok('audit', one);
      expect(await home.ok('logs', run, '--stdout')).toMatch(/begun small\n.*ends small\n/s);
      await expectGapOnly(home, run, directory);
      const after = await home.cli(['run', join(home.home, 'hello.yaml')]);
      expect(after.status, after.stderr).toBe(0);
    },
  );

  it('under the results folder is said, and waited for', { timeout: 120_000 }, async (context) => {
    const small = mount(context, '300k');
    const results = join(small.path, 'results');
    const home = (mesh = await TestMesh.create({ BENCHMESH_RESULTS: results }));
    await home.up();
    const suite = "name: megabyte\nrun:\n  shell: head -c 1000000 /dev/zero | tr '\\0' x\n";
    const ended = await home.cli(['run', await home.file('megabyte.yaml', suite)]);
    expect(ended.status, ended.stdout + ended.stderr).toBe(1);
    expect(ended.stderr.match(NOT_ARCHIVED), ended.stderr).toHaveLength(1);
    expect(ended.stderr).toContain(results);
    expect(ended.stdout).toContain('passed');

    const { run } = await home.json<{ run: RunView }>('show', 'latest');
    expect(run.outcome).toBe('passed');
    expect((await home.ok('logs', run.id, '--raw')) === 'x'.repeat(1_000_000)).toBe(true);
    await home.ok('audit', run.id);
    small.resize('32m');
    await until(() => readFile(join(results, run.id, 'benchmesh.json')), 'the directory', 60_000);
    await home.ok('audit', run.id);
    await home.ok('watch', run.id);
    expect((await home.ok('logs', run.id, '--raw')) === 'x'.repeat(1_000_000)).toBe(true);
  });

  it(
    'keeps a run from its directory, and Ctrl-C then says what became of the run',
    { timeout: 120_000 },
    async (context) => {
      const small = mount(context, '300k');
      const home = (mesh = await TestMesh.create({
        BENCHMESH_RESULTS: join(small.path, 'results'),
      }));
      await home.up();
      const suite = "name: megabyte\nrun:\n  shell: head -c 1000000 /dev/zero | tr '\\0' x\n";
      const run = home.start(['run', await home.file('megabyte.yaml', suite)]);
      await until(() => run.stderr().match(NOT_ARCHIVED), 'run to say it', 60_000);
      run.process.kill('SIGINT');
      const { status, stdout, stderr } = await run.ended;
      expect(status).toBe(130);
      expect(stderr).toContain('has ended already (passed)');
      expect(stderr).not.toContain('stop');
      expect(stdout).toContain('passed');
    },
  );
});

/** The big log is whole but for what the disk refused, which is a gap of known bytes. */
async function expectGapOnly(mesh: TestMesh, run: string, directory: string): Promise<void> {
  const { tasks } = await mesh.json<{ tasks: TaskView[] }>('tasks', run);
  const big = tasks.find((task) => task.axes['what'] === 'big')?.id ?? '';
  const rows = (await readFile(join(directory, 'logs', big, '1.index'), 'utf8')).trim().split('\n');
  let next = 0;
  let gaps = 0;
  for (const row of rows) {
    const { offset, length, gapTo } = JSON.parse(row) as Record<string, number>;
    expect(offset).toBe(next);
    next = gapTo ?? next + (length ?? 0);
    if (gapTo !== undefined) gaps += 1;
  }
  expect(next).toBe('begun big\n'.length + 200_000_000 + 'ends big\n'.length);
  expect(gaps).toBeGreaterThan(0);
  const logs = await mesh.cli(['logs', `${run}/${big}`, '--raw']);
  expect(logs.stderr).toMatch(/gap: bytes \d+ to \d+ .*full disk/);
}
