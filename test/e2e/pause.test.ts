/** pause ends what runs with its checkpoint and its proof; resume goes on with it, whoever died meanwhile. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunView } from '#protocol/fold/run-view.ts';
import type { TaskView } from '#protocol/fold/task-view.ts';
import type { AttemptView } from '#protocol/fold/attempt-view.ts';
import { TestMesh } from '#test/support/mesh.ts';
import { processesWithEnvironment } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';

/**
 * Counts to 60, on from its checkpoint; asked to end, it ends after the number it is at. Beyond 30 it
 * goes only when there is a file: never before it was paused.
 */
const COUNTING = `name: counting
axes: { item: [1, 2] }
grace: 20s
env: { PAUSED: "MARK" }
run:
  shell: |
    n=$(cat state 2>/dev/null || echo 0); end=
    trap 'end=yes' TERM
    while [ $n -lt 60 ] && [ -z "$end" ]; do
      [ $n -lt 30 ] || [ -e GO ] || { sleep 0.02; continue; }
      n=$((n + 1)); echo "at $n"; echo $n > state.tmp; mv state.tmp state; sleep 0.03
    done
    [ $n -eq 60 ]
checkpoint: { files: [state], every: 100ms }
`;
const WAITING = `name: waiting
axes: { item: [held, free] }
needs: { exclusive: false }
grace: 2s
run: { shell: "[ $BENCHMESH_AXIS_ITEM = free ] || sleep 600" }
`;

interface Shown {
  task: TaskView;
  attempts: AttemptView[];
}

describe('pause and resume', () => {
  let mesh: TestMesh;
  let mark: string;
  beforeAll(async () => {
    mesh = await TestMesh.create();
    mark = `pause-${mesh.home.split('-').at(-1) ?? ''}`;
    await mesh.up('--slots', '2');
  });
  afterAll(async () => {
    await mesh.dispose();
  });

  const alive = (): number[] => processesWithEnvironment('PAUSED', mark);
  const tasksOf = async (run: string): Promise<TaskView[]> =>
    (await mesh.json<{ tasks: TaskView[] }>('tasks', run)).tasks;
  const viewOf = async (run: string): Promise<RunView> =>
    (await mesh.json<{ run: RunView }>('show', run)).run;

  it('goes on from its checkpoint, after a restart of the coordinator too, and has not failed', async () => {
    const go = join(mesh.home, 'go');
    const suite = await mesh.file(
      'counting.yaml',
      COUNTING.replace('MARK', mark).replace('GO', go),
    );
    const run = await mesh.submit(suite);
    const [first = { id: '' }] = await tasksOf(run);
    const shown = () => mesh.json<Shown>('show', `${run}/${first.id}`);
    await until(
      async () => (await shown()).attempts.some(({ checkpoint }) => checkpoint !== null),
      'a checkpoint',
    );
    expect(alive().length).toBeGreaterThan(0);

    const paused = await mesh.cli(['pause', run, '--reason', 'the host is needed']);
    expect(alive()).toEqual([]);
    expect(paused.status, paused.stderr).toBe(0);
    expect(paused.stdout).toContain(`run ${run} is paused: zero survivors, proven`);

    const view = await viewOf(run);
    expect(view).toMatchObject({ state: 'paused', states: { pending: 2 } });
    expect(view.paused?.reason).toBe('the host is needed');
    expect(await mesh.ok('runs')).toMatch(/paused by \S+@/);
    expect(await mesh.ok('show', run)).toMatch(/paused by \S+@\S+: the host is needed/);
    expect(await mesh.ok('tasks', run, '--status', 'paused')).toMatch(/paused by \S+@/);
    expect(await mesh.ok('show', `${run}/${first.id}`)).toMatch(/attempt 1 .*paused by/);
    await mesh.kill9('coordinator');
    const watching = mesh.start(['watch', run]);
    await mesh.up('--slots', '2');
    expect(await viewOf(run)).toMatchObject({ state: 'paused', states: { pending: 2 } });
    await until(() => /paused by/.test(watching.stderr()), 'watch to say it');
    await writeFile(go, '');
    expect(await mesh.ok('resume', run)).toContain('2 tasks may start again');
    expect((await watching.ended).status).toBe(0);
    const directory = await mesh.archived(run);
    const text = await readFile(join(directory, 'run.json'), 'utf8');
    expect(JSON.parse(text)).toMatchObject({
      run: {
        outcome: 'passed',
        outcomes: { passed: 2 },
        paused: null,
        pauses: [{ result: 'dead' }],
      },
    });
    const { attempts } = await shown();
    expect(attempts).toMatchObject([
      { outcome: 'stopped', class: 'paused', proven: true, partial: true },
      { outcome: 'passed', resumed: { from: { n: 1 } } },
    ]);
    const said = (await mesh.ok('logs', `${run}/${first.id}`)).match(/at \d+/g);
    expect(said).toEqual(Array.from({ length: 60 }, (_, i) => `at ${i + 1}`));
    expect((await mesh.cli(['resume', run])).status).toBe(9);
  });

  it('of one task leaves the others alone; what is paused can be stopped', async () => {
    const run = await mesh.submit(await mesh.file('waiting.yaml', WAITING));
    const states = async (): Promise<string[]> => (await tasksOf(run)).map(({ state }) => state);
    await until(async () => (await states()).join() === 'running,ended', 'one to run, one to end');
    expect((await mesh.cli(['resume', run])).status).toBe(1);
    const [held = { id: '' }] = await tasksOf(run);
    const { stdout } = await mesh.cli(['pause', `${run}/${held.id}`, '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ kind: 'pause', task: held.id, verdict: 'dead' });
    expect(await viewOf(run)).toMatchObject({ state: 'running', pauses: [{ task: held.id }] });
    const [task] = await tasksOf(run);
    expect(task).toMatchObject({ state: 'pending', paused: { reason: null } });

    await mesh.ok('resume', `${run}/${held.id}`);
    await until(async () => (await states()).join() === 'running,ended', 'it to run again');
    await mesh.ok('pause', run);
    const stopped = await mesh.cli(['stop', run, '--reason', 'enough']);
    expect(stopped.status, stopped.stdout + stopped.stderr).toBe(0);
    await mesh.archived(run);
    expect(await viewOf(run)).toMatchObject({
      outcome: 'stopped',
      outcomes: { passed: 1, stopped: 1 },
      paused: null,
    });
    const [last] = await tasksOf(run);
    expect(last?.message).toMatch(/^stopped by \S+: enough$/);
    await mesh.ok('audit', run);
  });
});
