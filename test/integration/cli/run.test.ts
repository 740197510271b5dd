/** `run` and what is left of it: without a mesh, in the foreground, interrupted, detached. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TestMesh } from '#test/support/mesh.ts';
import { until } from '#test/support/until.ts';

const MATRIX = `name: matrix
axes:
  size: [1, 2]
repeats: 2
run: [sh, -c, "echo rate={{size}}0 op/s"]
metrics:
  - name: rate
    unit: op/s
    direction: higher
    regex: '^rate=(?<value>\\d+)'
`;
const SLOW = 'name: slow\ngrace: 1s\nrun: [sh, -c, "echo begun; exec sleep 600"]\n';

interface Results {
  readonly results: { axes: Record<string, number>; median: number; unit: string; count: number }[];
}

describe('run', () => {
  let mesh: TestMesh;
  beforeEach(async () => {
    mesh = await TestMesh.create();
  });
  afterEach(async () => {
    await mesh.dispose();
  });
  const runIdIn = (text: string): string =>
    /\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-\w{4}/.exec(text)?.[0] ?? '';

  it('starts a mesh, shows progress and results, and the run can be read without one', async () => {
    const suite = await mesh.file('matrix.yaml', MATRIX);
    const { status, stdout, stderr } = await mesh.cli(['run', suite]);
    expect(status, stderr).toBe(0);
    expect((await mesh.meshFile()).stays).toBe(false);
    expect(stderr).toContain('local mesh: started server, coordinator, agent');
    expect(stderr).toMatch(/\[4\/4\] passed size=\d #2/);
    expect(stdout).toMatch(/^size +metric +median +unit/);
    expect(stdout).toMatch(/\n +2 +rate +20 +op\/s ↑ +20 \.\. 20 +0\.0% +2\n/);
    const run = runIdIn(stdout);
    expect(stdout.trim().split('\n').at(-1)).toBe(join(mesh.home, 'results', run));
    await mesh.ok('down');
    const { results } = await mesh.json<Results>('results', 'latest');
    expect(results.map(({ axes, median, unit, count }) => ({ axes, median, unit, count }))).toEqual(
      [
        { axes: { size: 1 }, median: 10, unit: 'op/s', count: 2 },
        { axes: { size: 2 }, median: 20, unit: 'op/s', count: 2 },
      ],
    );
    expect(await mesh.ok('show', run.slice(-4))).toContain('4/4 tasks: 4 passed');
    expect(await mesh.ok('audit', run)).toContain('ok');
  });

  it('ends with 3 and says what failed and how to look', async () => {
    const suite = await mesh.file('bad.yaml', 'name: bad\nrun: [sh, -c, "echo oops; exit 4"]\n');
    const { status, stdout } = await mesh.cli(['run', suite]);
    expect(status).toBe(3);
    expect(stdout).toMatch(/failed \w+ .*\(run\/exit\)/);
    expect(stdout).toContain(`see: benchmesh logs ${runIdIn(stdout)}/`);
  });

  it('a run over its budget is stopped by the coordinator, verified, and says why', async () => {
    const text =
      'name: long\ngrace: 1s\naxes: { n: [1, 2] }\nrunBudget: 500ms\nretries: 3\nrun: [sleep, "600"]\n';
    const { status, stdout } = await mesh.cli(['run', await mesh.file('long.yaml', text)]);
    expect(status).toBe(1);
    const reason = "the run's budget of 0.5 s was used up";
    expect(stdout).toContain(`stopped by the coordinator: ${reason} (dead)`);
    const { run } = await mesh.json<{ run: unknown }>('show', 'latest');
    expect(run).toMatchObject({ outcome: 'stopped', outcomes: { timed_out: 2 }, reason });
    const { tasks } = await mesh.json<{ tasks: unknown[] }>('tasks', 'latest');
    expect(tasks).toMatchObject([
      { outcome: 'timed_out', attempts: 1, class: 'timeout' },
      { outcome: 'timed_out', message: reason },
    ]);
    await mesh.ok('audit', 'latest');
  });

  it('Ctrl-C stops the run and waits for the proof', async () => {
    const run = mesh.start(['run', await mesh.file('slow.yaml', SLOW)]);
    await until(() => run.stderr().includes('running'), 'the run to run');
    await until(
      async () => (await mesh.ok('logs', 'latest')).includes('begun'),
      'the child to run',
    );
    run.process.kill('SIGINT');
    const { status, stdout, stderr } = await run.ended;
    expect(status, stderr).toBe(130);
    expect(stderr).toMatch(/agent local-1: 1 attempt, .*proof (cgroup|subreaper)/);
    expect(stderr).toContain('zero survivors, proven');
    expect(stdout).toContain('stopped');
    const directory = stdout.trim().split('\n').at(-1) ?? '';
    expect(JSON.parse(await readFile(join(directory, 'run.json'), 'utf8'))).toMatchObject({
      run: { outcome: 'stopped', stops: [{ reason: 'interrupted (Ctrl-C)', result: 'dead' }] },
    });
  });

  it('a second Ctrl-C leaves the run to the mesh and says how to come back', async () => {
    // Ignores TERM, so that the stop takes its grace.
    const suite = await mesh.file(
      'stubborn.yaml',
      `name: stubborn\ngrace: 20s\nrun:\n  shell: trap '' TERM; echo begun; while :; do sleep 0.1; done\n`,
    );
    const run = mesh.start(['run', suite]);
    await until(() => run.stderr().includes('running'), 'the run to run');
    await until(
      async () => (await mesh.ok('logs', 'latest')).includes('begun'),
      'the child to run',
    );
    run.process.kill('SIGINT');
    await until(() => run.stderr().includes('stopping run'), 'the stop to be asked for');
    run.process.kill('SIGINT');
    const { status, stderr } = await run.ended;
    expect(status, stderr).toBe(130);
    expect(stderr).toContain(`benchmesh watch ${runIdIn(stderr)}`);
    const { run: view } = await mesh.json<{ run: { state: string } }>('show', 'latest');
    expect(['running', 'stopping']).toContain(view.state);
  });

  it('--if-busy: queue says behind what, reject ends with 6 and names it', async () => {
    await mesh.up();
    const slow = await mesh.submit(await mesh.file('slow.yaml', SLOW));
    const hello = await mesh.file('hello.yaml', 'name: hello\nrun: [echo, hello]\n');
    const queued = await mesh.cli(['run', hello, '--detach']);
    expect(queued.stderr).toContain(`queued behind ${slow}`);
    const rejected = await mesh.cli(['run', hello, '--if-busy', 'reject']);
    expect([rejected.status, rejected.stderr]).toEqual([6, expect.stringContaining(slow)]);
    await mesh.ok('stop', slow, '--now');
    await mesh.archived(queued.stdout.trim());
  });
});
