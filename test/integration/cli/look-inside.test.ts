/** What is asked of an agent itself: an attempt as it is now. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { InspectReply } from '#protocol/messages/agent/agent-api.ts';
import { TestMesh } from '#test/support/mesh.ts';
import { until } from '#test/support/until.ts';

let mesh: TestMesh;
let run: string;
let ids: string[];

beforeAll(async () => {
  mesh = await TestMesh.create();
  await mesh.up('--slots', '1');
  const suite = await mesh.file(
    'inside.yaml',
    `name: inside
phases: [warmup, measure]
axes: { item: [busy, waits] }
checkpoint: { files: [state], every: 200ms }
run:
  shell: |
    [ {{item}} = waits ] && exit 0
    printf 'phase measure\\nprogress 0.25\\n' >> $BENCHMESH_REPORT
    echo 12345 > state.tmp; mv state.tmp state
    echo to the log
    (while :; do :; done) &
    setsid sh -c 'sleep 987 & exec sleep 654' < /dev/null > /dev/null 2>&1 &
    while [ ! -e ${mesh.home}/gate ]; do sleep 0.05; done
`,
  );
  run = await mesh.submit(suite);
  ids = (await mesh.json<{ tasks: { id: string }[] }>('tasks', run)).tasks.map(({ id }) => id);
  await until(async () => (await inspected()).checkpoint !== null, 'its checkpoint');
});
afterAll(async () => {
  await mesh.dispose();
});

async function inspected(): Promise<InspectReply> {
  const result = await mesh.cli(['inspect', `${run}/${ids[0] ?? ''}`, '--json']);
  if (result.status !== 0) throw new Error(result.stderr);
  return InspectReply.parse(JSON.parse(result.stdout));
}

it('inspect: the whole tree, its use of the CPU, where it is and what is stored of it', async () => {
  const seen = await inspected();
  expect(seen).toMatchObject({ run, task: ids[0], n: 1, agent: 'local-1', state: 'run' });
  expect(seen).toMatchObject({ step: 'run', phase: 'measure', progress: 0.25, slots: [0] });
  expect(seen).toMatchObject({ stopping: false, logBytes: 'to the log\n'.length });
  expect(seen.checkpoint).toEqual({ number: 1, files: 1, bytes: 6 });
  const [step] = seen.steps;
  const commands = seen.processes.map(({ command }) => command);
  // The daemons have left its session; one of them its parent, too.
  expect(commands).toEqual(expect.arrayContaining(['sleep 987', 'sleep 654']));
  expect(seen.processes.map(({ pid }) => pid)).toContain(step?.pid);
  expect(seen.processes.map(({ pid }) => pid)).not.toContain(step?.meshrun);
  const busiest = seen.processes.toSorted((a, b) => (b.cpuPercent ?? 0) - (a.cpuPercent ?? 0))[0];
  expect(busiest?.state).toBe('R');
  expect(busiest?.cpuPercent).toBeGreaterThan(5);
  expect(busiest?.cpuSeconds).toBeGreaterThan(0);
});

it('inspect: in words', async () => {
  const text = await mesh.ok('inspect', run.slice(-4) + `/${ids[0] ?? ''}/1`);
  expect(text).toMatch(/^attempt .* on local-1: run\n {2}step run, measure 25%, /);
  expect(text).toContain('checkpoint 1: 1 file (6 B)');
  expect(text).toContain('└ sleep 987');
});

it('inspect: one that waits has no process, and one that is not there is not found', async () => {
  const waiting = await mesh.json<InspectReply>('inspect', `${run}/${ids[1] ?? ''}`);
  expect(waiting).toMatchObject({ state: 'accepted', step: null, processes: [], slots: [] });
  expect((await mesh.cli(['inspect', `${run}/${ids[0] ?? ''}/2`])).status).toBe(5);
  expect((await mesh.cli(['inspect', run])).status).toBe(2);
});

it("exec: a command's output and status are the command's", async () => {
  const result = await mesh.cli(['exec', 'local-1', '--', 'uname', '-a']);
  expect([result.status, result.stderr]).toEqual([0, '']);
  expect(result.stdout).toContain('Linux');
  const value = await mesh.cli(['exec', 'local-1', '--json', '--', 'df', '-h']);
  expect(JSON.parse(value.stdout)).toMatchObject({
    kind: 'exec',
    agent: 'local-1',
    argv: ['df', '-h'],
    end: { kind: 'exited' },
    survivors: [],
  });
  const events = await mesh.ok('events');
  expect(events).toMatch(
    /agent\.exec_ended {2,}agent local-1 {2}by \S+@\S+: uname -a: exit status 0/,
  );
});

it('exec: one clear line and a status of its own for what does not run', async () => {
  const cases: readonly (readonly [string[], number])[] = [
    [['local-1', '--', 'uname', '-a', '--x'], 4],
    [['local-1', 'uname', '-a'], 2],
    [['local-1'], 2],
    [['local-1', '--timeout', '2m', '--', 'uname', '-a'], 2],
    [['nobody', '--', 'uname', '-a'], 7],
    [['a.b', '--', 'uname', '-a'], 5],
  ];
  for (const [args, status] of cases) {
    const result = await mesh.cli(['exec', ...args]);
    expect([args, result.status, result.stdout]).toEqual([args, status, '']);
  }
  expect(await mesh.ok('events')).toMatch(/agent\.exec_refused .* it permits "uname -a"/);
});

it('drain: what waits is given back, nothing new begins, and --undo ends that', async () => {
  const waiting = `${run}/${ids[1] ?? ''}`;
  const attempts = async (): Promise<readonly { outcome: string | null }[]> =>
    (await mesh.json<{ attempts: { outcome: string | null }[] }>('show', waiting)).attempts;
  const state = async (): Promise<string | undefined> =>
    (await mesh.json<{ agents: { state: string }[] }>('agents')).agents[0]?.state;
  expect(await mesh.json('drain', 'local-1', '--reason', 'new driver')).toMatchObject({
    kind: 'drain',
    agent: 'local-1',
    state: 'draining',
    idle: false,
  });
  expect(await state()).toBe('draining');
  await until(async () => (await attempts())[0]?.outcome === 'skipped', 'it to be given back');
  expect(await mesh.ok('drain', 'local-1')).toMatch(
    /takes nothing new; what runs ends by itself\n$/,
  );
  expect(await attempts()).toHaveLength(1);
  expect(await mesh.ok('drain', 'local-1', '--undo')).toBe('agent local-1 takes work again\n');
  expect(await state()).toBe('ready');
  await until(async () => (await attempts()).length === 2, 'it to be started again');
  expect(await mesh.ok('events')).toMatch(/agent\.draining .* drained by \S+@\S+: new driver\n/);
  expect((await mesh.cli(['drain', 'nobody'])).status).toBe(5);
  expect((await mesh.cli(['drain', 'local-1', '--undo', '--wait'])).status).toBe(2);
});

it('inspect: an agent that is not there is named', async () => {
  await mesh.kill9('agent');
  const result = await mesh.cli(['inspect', `${run}/${ids[0] ?? ''}`]);
  expect([result.status, result.stdout]).toEqual([7, '']);
  expect(result.stderr).toMatch(/^benchmesh: agent local-1 does not answer inspect: [^\n]*\n$/);
  await mesh.up();
});

it('inspect: adopted by the next agent it is the same; when it has ended, that is said', async () => {
  expect((await inspected()).processes.map(({ command }) => command)).toContain('sleep 987');
  await writeFile(join(mesh.home, 'gate'), '');
  await mesh.archived(run);
  const result = await mesh.cli(['inspect', `${run}/${ids[0] ?? ''}`]);
  expect([result.status, result.stdout]).toEqual([9, '']);
  expect(result.stderr).toMatch(/has ended \(passed\)/);
});
