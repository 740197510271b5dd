/** An operator's words and orders on runs and agents: what they change, and that they are kept. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunView } from '#protocol/fold/run-view.ts';
import type { TaskView } from '#protocol/fold/task-view.ts';
import type { AttemptView } from '#protocol/fold/attempt-view.ts';
import { TestMesh } from '#test/support/mesh.ts';
import { until } from '#test/support/until.ts';

const HELD = `name: held
axes: { item: [1, 2] }
needs: { exclusive: false }
grace: 1s
run: { shell: "while [ ! -e GO ]; do sleep 0.05; done" }
`;

/** Of three one passes; all do once it is mended. */
const FAILING = `name: failing
axes: { item: [good, bad, slow] }
needs: { exclusive: false }
grace: 1s
run:
  shell: |
    [ -e MENDED ] || [ $BENCHMESH_AXIS_ITEM = good ] || { [ $BENCHMESH_AXIS_ITEM = slow ] && sleep 60; exit 1; }
  timeout: 500ms
`;

describe('operate', () => {
  let mesh: TestMesh;
  beforeAll(async () => {
    mesh = await TestMesh.create();
    await mesh.up('--slots', '2');
  });
  afterAll(async () => {
    await mesh.dispose();
  });

  const tasksOf = async (run: string): Promise<TaskView[]> =>
    (await mesh.json<{ tasks: TaskView[] }>('tasks', run)).tasks;
  const viewOf = async (run: string): Promise<RunView> =>
    (await mesh.json<{ run: RunView }>('show', run)).run;
  /** A run whose tasks end when `go` is called. */
  const held = async (): Promise<{ run: string; go: () => Promise<void> }> => {
    const go = join(mesh.home, `go-${Math.trunc(performance.now())}`);
    const run = await mesh.submit(await mesh.file('held.yaml', HELD.replace('GO', go)));
    await until(async () => (await viewOf(run)).states.running === 2, 'both to run');
    return { run, go: () => writeFile(go, '') };
  };

  it('note: shown while it runs and after, in its directory, and refused once it has ended', async () => {
    const { run, go } = await held();
    const [first = { id: '' }] = await tasksOf(run);
    await mesh.ok('note', run, 'new cooling');
    await mesh.ok('note', `${run}/${first.id}`, 'loud\nfan');
    expect(await mesh.ok('show', run)).toMatch(/note .* by \S+@\S+: new cooling/);
    expect(await mesh.ok('show', `${run}/${first.id}`)).toMatch(/note .*: loud.*fan/);
    expect(await mesh.ok('events', run)).toContain('new cooling');
    expect((await mesh.cli(['note', `${run}/nothing`, 'x'])).status).toBe(5);
    expect((await mesh.cli(['note', run, ' '])).status).toBe(2);
    await go();
    const directory = await mesh.archived(run);
    const view = JSON.parse(await readFile(join(directory, 'run.json'), 'utf8')) as {
      run: RunView;
    };
    expect(view.run.notes.map(({ task, text }) => [task, text])).toEqual([
      [null, 'new cooling'],
      [first.id, 'loud\nfan'],
    ]);
    const late = await mesh.cli(['note', run, 'too late']);
    expect(late.status).toBe(9);
    expect(late.stderr).toContain('does not change any more');
    await mesh.ok('audit', run);
  });

  it('requeue: the attempt is proven gone, the next one follows, and none is counted', async () => {
    const { run, go } = await held();
    const [first = { id: '' }] = await tasksOf(run);
    const target = `${run}/${first.id}`;
    expect((await mesh.cli(['requeue', run])).status).toBe(2);
    const { status, stdout } = await mesh.cli(['requeue', target, '--reason', 'throttled']);
    expect(status, stdout).toBe(0);
    expect(stdout).toContain(`task ${target} is requeued: zero survivors, proven`);
    expect(await mesh.ok('show', run)).toMatch(/requeue .*task .*: throttled \(dead\)/);
    await until(async () => (await tasksOf(run))[0]?.state === 'running', 'it to run again');
    const second = `${run}/${(await tasksOf(run))[1]?.id ?? ''}`;
    await mesh.ok('pause', second);
    const waits = await mesh.cli(['requeue', second, '--json']);
    expect(waits.status, waits.stdout).toBe(0);
    expect(JSON.parse(waits.stdout)).toMatchObject({ paused: { whole: false } });
    expect(waits.stderr).toContain(`benchmesh resume ${second} lets it go on`);
    await mesh.ok('resume', second);
    await go();
    await mesh.archived(run);
    expect((await viewOf(run)).outcomes).toEqual({ passed: 2 });
    const { attempts } = await mesh.json<{ attempts: AttemptView[] }>('show', target);
    expect(attempts.map(({ outcome }) => outcome)).toEqual(['stopped', 'passed']);
    expect(attempts[0]?.reason).toMatch(/^requeued by \S+: throttled$/);
    expect((await mesh.cli(['requeue', target])).status).toBe(9);
    await mesh.ok('audit', run);
  });

  it('retry and resume: what did not pass runs again as a run that names the first', async () => {
    const mended = join(mesh.home, 'mended');
    const suite = await mesh.file('failing.yaml', FAILING.replace('MENDED', mended));
    const first = await mesh.submit(suite);
    await mesh.archived(first);
    expect((await viewOf(first)).outcomes).toEqual({ failed: 1, passed: 1, timed_out: 1 });
    const failed = (await tasksOf(first)).filter(({ outcome }) => outcome === 'failed');

    expect((await mesh.cli(['retry', first, '--class', 'oom'])).status).toBe(5);
    const again = ['retry', first, '--failed', '--class', 'exit'];
    const { status, stderr } = await mesh.cli(again);
    expect(status, stderr).toBe(3);
    const second = /run (\S+): 1 task/.exec(stderr)?.[1] ?? '';
    expect((await tasksOf(second)).map(({ id }) => id)).toEqual(failed.map(({ id }) => id));
    expect(await mesh.ok('show', second)).toContain(`retry of   ${first}`);
    expect(await mesh.ok('show', first)).toContain(`retried as run ${second}`);

    await writeFile(mended, '');
    const resumed = await mesh.json<{ as: string; waiting: number }>('resume', first);
    expect(resumed.waiting).toBe(2);
    expect(await mesh.ok('show', first)).toContain(`retried as run ${resumed.as}`);
    await mesh.archived(resumed.as);
    expect(await viewOf(resumed.as)).toMatchObject({ retryOf: first, outcomes: { passed: 2 } });
    expect((await mesh.cli(['resume', resumed.as])).status).toBe(9);
    await mesh.ok('audit', resumed.as);
  });

  it('cordon: nothing new goes there, agents and explain say why, and uncordon lets it', async () => {
    expect((await mesh.cli(['cordon', 'nobody'])).status).toBe(5);
    expect(await mesh.ok('cordon', 'local-1', '--reason', 'loud')).toContain('nothing new');
    const suite = await mesh.file('short.yaml', 'run: { shell: "true" }\n');
    const run = await mesh.submit(suite);
    expect(await mesh.ok('agents')).toMatch(/local-1 +cordoned[^]*cordoned by \S+: loud/);
    const [first = { id: '' }] = await tasksOf(run);
    expect(await mesh.ok('explain', `${run}/${first.id}`)).toContain('loud');
    await mesh.kill9('coordinator');
    await mesh.up('--slots', '2');
    expect(await mesh.ok('explain', 'local-1')).toContain('loud');
    expect((await viewOf(run)).states.pending).toBe(1);
    await mesh.ok('uncordon', 'local-1');
    await mesh.archived(run);
    expect(await mesh.ok('agents')).not.toContain('cordoned');
  });
});
