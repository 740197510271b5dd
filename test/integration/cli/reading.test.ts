/** Commands that read and stop, on one mesh. */
import { appendFile, cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ProgressView } from '#protocol/fold/progress/progress-view.ts';
import type { TaskView } from '#protocol/fold/task-view.ts';
import { newRunId } from '#protocol/messages/ids.ts';
import { TestMesh } from '#test/support/mesh.ts';
import { until } from '#test/support/until.ts';

/** Writes only when its gate is there. */
const GATED = `name: gated
axes:
  k: [1, 2]
run:
  shell: |
    while [ ! -e "{{suite.dir}}/gate" ]; do sleep 0.05; done
    echo "out {{k}}"; echo "err {{k}}" >&2
`;

interface Progress {
  readonly progress: ProgressView;
}

describe('reading', () => {
  let mesh: TestMesh;
  beforeAll(async () => {
    mesh = await TestMesh.create();
    await mesh.up();
  });
  afterAll(async () => {
    await mesh.dispose();
  });

  it('follows logs from pending to the outcome, and tells the states apart', async () => {
    const run = await mesh.submit(await mesh.file('gated.yaml', GATED));
    const { tasks } = await mesh.json<{ tasks: TaskView[] }>('tasks', run);
    const [first, second] = tasks.map((task) => task.id);
    const follow = mesh.start(['logs', `${run}/${first ?? ''}`, '-f']);
    await until(
      () => follow.stderr().includes('started on local-1, 0 bytes so far'),
      'the first to start',
    );
    const pending = await mesh.cli(['logs', `${run}/${second ?? ''}`]);
    expect(pending.stderr).toContain('is pending: nothing of it has started');
    const all = mesh.start(['logs', run, '-f', '--timestamps']);
    await writeFile(join(mesh.home, 'gate'), '');
    const one = await follow.ended;
    expect([one.status, one.stdout]).toEqual([0, 'out 1\nerr 1\n']);
    expect(one.stderr).toContain(`task ${run}/${first ?? ''} passed`);
    const both = await all.ended;
    expect(both.stderr).toContain(`run ${run} passed`);
    const lines = both.stdout
      .trim()
      .split('\n')
      .sort((a, b) => (a.slice(25) < b.slice(25) ? -1 : 1));
    expect(lines.map((line) => line.replace(/^\S+Z /, ''))).toEqual(
      [
        `${first ?? ''}#1 | err 1`,
        `${first ?? ''}#1 | out 1`,
        `${second ?? ''}#1 | err 2`,
        `${second ?? ''}#1 | out 2`,
      ].sort(),
    );
    await mesh.archived(run);
    expect(await mesh.ok('logs', `${run}/${first ?? ''}/1`, '--raw', '--stderr')).toBe('err 1\n');
    const json = (await mesh.ok('logs', `${run}/${first ?? ''}`, '--stdout', '--json'))
      .trim()
      .split('\n');
    const text = json.map((line) =>
      Buffer.from((JSON.parse(line) as { base64: string }).base64, 'base64').toString(),
    );
    expect(text.join('')).toBe('out 1\n');
  });

  it('stop: not found is 5, ended is 9, one task leaves the others', async () => {
    expect((await mesh.cli(['stop', newRunId(new Date(0))])).status).toBe(5);
    const slow = await mesh.file(
      'two.yaml',
      'name: two\naxes: {k: [1, 2]}\nneeds: {exclusive: false}\nrun:\n  shell: if [ {{k}} = 1 ]; then sleep 600; fi; echo done\n',
    );
    const run = await mesh.submit(slow);
    const tasks = async (): Promise<TaskView[]> =>
      (await mesh.json<{ tasks: TaskView[] }>('tasks', run)).tasks;
    await until(
      async () => (await tasks()).some((task) => task.state === 'running'),
      'a task to run',
    );
    const first = (await tasks()).find((task) => task.axes['k'] === 1)?.id ?? '';
    const stop = await mesh.cli(['stop', `${run}/${first}`, '--reason', 'too long']);
    expect(stop.status, stop.stderr).toBe(0);
    expect(stop.stdout).toMatch(
      /agent local-1: 1 attempt, \d+ process(es)?, TERM, gone in .*, proof (cgroup|subreaper)/,
    );
    await mesh.archived(run);
    expect((await tasks()).map((task) => task.outcome).sort()).toEqual(['passed', 'stopped']);
    const again = await mesh.cli(['stop', run]);
    expect([again.status, again.stderr.trim().split('\n').length]).toEqual([9, 1]);
    expect((await mesh.cli(['logs', `${run}/${first}`, '-f'])).stderr).toContain('too long');
  });

  it('audit finds what was changed', async () => {
    const run = await mesh.submit(
      await mesh.file('hello.yaml', 'name: hello\nrun: [echo, hello]\n'),
    );
    const directory = await mesh.archived(run);
    expect(await mesh.ok('audit', run)).toContain('ok');
    const copy = join(mesh.home, 'copy');
    await cp(directory, join(copy, run), { recursive: true });
    const { tasks } = await mesh.json<{ tasks: TaskView[] }>('tasks', run);
    await appendFile(join(copy, run, 'logs', tasks[0]?.id ?? '', '1.log'), 'more');
    const table = join(copy, run, 'tasks.ndjson');
    await writeFile(table, (await readFile(table, 'utf8')).replace('"passed"', '"failed"'));
    const audit = await mesh.cli(['audit', run, '--results', copy]);
    expect(audit.status).toBe(1);
    expect(audit.stdout).toContain(
      'tasks.ndjson[0].outcome: the log says "passed", found "failed"',
    );
    expect(audit.stdout).toMatch(/logs\/\w+\/1\.bytes: the log says 6, found 10/);
  });

  it('logs of a directory that lacks one says which', async () => {
    const run = await mesh.submit(
      await mesh.file('hello.yaml', 'name: hello\nrun: [echo, hello]\n'),
    );
    const copy = join(mesh.home, 'lacking');
    await cp(await mesh.archived(run), join(copy, run), { recursive: true });
    const { tasks } = await mesh.json<{ tasks: TaskView[] }>('tasks', run);
    const file = join(copy, run, 'logs', tasks[0]?.id ?? '', '1.log');
    await rm(file);
    const logs = await mesh.cli(['logs', run, '--results', copy]);
    expect([logs.status, logs.stdout]).toEqual([1, '']);
    expect(logs.stderr).toContain(`${file} is missing`);
  });

  it('Ctrl-C on a stop says that the stop stays', async () => {
    const stubborn = 'name: stubborn\nrun:\n  shell: trap "" TERM; while :; do sleep 0.1; done\n';
    const run = await mesh.submit(await mesh.file('stubborn.yaml', stubborn));
    await until(async () => (await mesh.ok('show', run)).includes('local-1'), 'the run to run');
    const stop = mesh.start(['stop', run, '--grace', '60s']);
    await until(async () => (await mesh.ok('show', run)).includes('(open)'), 'the stop');
    stop.process.kill('SIGINT');
    const { status, stderr } = await stop.ended;
    expect([status, stderr]).toEqual([130, expect.stringContaining('stays stored and is obeyed')]);
    await mesh.ok('stop', run, '--now');
  });

  it('audit of a live run agrees with the coordinator', async () => {
    const run = await mesh.submit(
      await mesh.file('slow.yaml', 'name: slow\nrun: [sleep, "600"]\n'),
    );
    await until(async () => (await mesh.ok('show', run)).includes('local-1'), 'the run to run');
    expect(await mesh.ok('audit', run)).toContain("the coordinator's view");
    await mesh.ok('stop', run, '--now');
  });

  it('agents, doctor and events answer', async () => {
    const { agents } = await mesh.json<{ agents: { agent: string; state: string }[] }>('agents');
    expect(agents).toMatchObject([{ agent: 'local-1', state: 'ready' }]);
    const { ok, checks } = await mesh.json<{
      ok: boolean;
      checks: { name: string; status: string }[];
    }>('doctor');
    expect(ok, JSON.stringify(checks)).toBe(true);
    expect(checks.map((check) => check.name)).toEqual(
      expect.arrayContaining([
        'server',
        'streams',
        'clock',
        'coordinator',
        'agent local-1',
        'log',
        'state',
      ]),
    );
    const run = await mesh.submit(
      await mesh.file('hello.yaml', 'name: hello\nrun: [echo, hello]\n'),
    );
    await mesh.archived(run);
    const events = (await mesh.ok('events', run, '--json')).trim().split('\n');
    const names = events.map(
      (line) => (JSON.parse(line) as { message: { name: string } }).message.name,
    );
    expect([names[0], names.at(-1)]).toEqual(['run.submitted', 'run.ended']);
    const plan = await mesh.ok('plan', join(mesh.home, 'hello.yaml'));
    expect(plan).toContain('hello: 1 task: 1 cell x 1 repeat');
  });

  it('progress: while it runs, until its end, and of its directory, which says the same', async () => {
    const text = `name: half
axes: { k: [1, 2] }
repeats: 2
retries: { exit: 1 }
run:
  shell: |
    [ {{k}} = 1 ] && exit 0
    [ $BENCHMESH_REPEAT$BENCHMESH_ATTEMPT = 22 ] || exit 1
    until [ -e "{{suite.dir}}/on" ]; do sleep 0.02; done
    exit 1
`;
    const run = await mesh.submit(await mesh.file('half.yaml', text));
    await until(
      async () => (await mesh.ok('progress', run)).includes('75.0 % ended, 50.0 % passed'),
      'three of four to end',
    );
    const early = await mesh.json<Progress>('progress', run);
    expect(early.progress).toMatchObject({
      ...{ id: run, state: 'running', tasks: 4, outcomes: { passed: 2, failed: 1 } },
      cells: { total: 2, covered: 2, passed: 1, whole: 1 },
      recoveries: { count: 2, classes: { exit: 2 }, tasks: 2, passed: 0 },
      left: { kind: 'about', basis: 3, tasks: 1, known: 1 },
      utilisation: { agents: 1 },
    });
    expect(early.progress.rate?.ended).toBe(3);
    const watching = mesh.start(['progress', run, '--watch', '--json']);
    await until(() => watching.stdout().includes('\n'), 'the first line');
    await writeFile(join(mesh.home, 'on'), '');
    const { status, stdout } = await watching.ended;
    expect(status).toBe(3);
    const lines = stdout.trim().split('\n');
    const last = JSON.parse(lines.at(-1) ?? '') as Progress;
    expect(last.progress).toMatchObject({ state: 'ended', outcome: 'failed', left: null });

    const directory = await mesh.archived(run);
    const elsewhere = join(mesh.home, 'elsewhere');
    const inLog = await mesh.json<Progress>('progress', run, '--results', elsewhere);
    const env = { BENCHMESH_HOME: elsewhere };
    const results = join(directory, '..');
    const apart = await mesh.cli(['progress', run, '--json', '--results', results], { env });
    expect([apart.status, apart.stderr]).toEqual([0, '']);
    expect(JSON.parse(apart.stdout)).toEqual(inLog);
    expect(inLog).toEqual(last);
    expect(inLog.progress.utilisation?.ratio).toBeGreaterThan(0);
    expect((await mesh.cli(['progress', 'nosuch'])).status).toBe(5);
  });

  it('show and runs say what no coordinator has recorded', async () => {
    const run = await mesh.submit(
      await mesh.file('slow.yaml', 'name: slow\nrun: [sleep, "600"]\n'),
    );
    await until(async () => (await mesh.ok('show', run)).includes('local-1'), 'the run to run');
    expect(await mesh.ok('show', run)).toMatch(/elapsed +.* at its last event\n/);
    await mesh.kill9('coordinator');
    const stop = await mesh.cli(['stop', run, '--now', '--reason', 'not needed']);
    expect(stop.status, stop.stderr).toBe(0);
    const show = await mesh.cli(['show', run]);
    expect(show.stderr).toMatch(
      /^stop by .*: not needed; stored, done on local-1, not recorded yet\nno coordinator leads: /,
    );
    const runs = await mesh.cli(['runs']);
    expect([runs.status, runs.stderr]).toEqual([
      0,
      expect.stringContaining('no coordinator leads'),
    ]);
    await mesh.up();
    await mesh.archived(run);
    expect((await mesh.cli(['show', run])).stderr).toBe('');
  });

  it('doctor says what is dead and what to do', async () => {
    await mesh.kill9('coordinator');
    const doctor = await mesh.cli(['doctor']);
    expect(doctor.status).toBe(1);
    expect(doctor.stdout).toMatch(/fail +local mesh: coordinator not running\n +benchmesh up/);
    await mesh.up();
    expect((await mesh.cli(['doctor'])).status).toBe(0);
  });
});
