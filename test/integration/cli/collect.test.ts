/** `collect --again`: result files taken once more, of one that runs and of one that has ended. */
import { existsSync } from 'node:fs';
import { readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { AttemptView } from '#protocol/fold/attempt-view.ts';
import { TestMesh } from '#test/support/mesh.ts';
import { until } from '#test/support/until.ts';

let mesh: TestMesh;
let run: string;
let failed: string;
let running: string;

interface Collected {
  readonly outcome: string | null;
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  readonly lost: readonly { readonly path: string; readonly reason: string }[];
  readonly unfit: readonly { readonly path: string; readonly reason: string }[];
}

const work = (task: string): string => join(mesh.home, 'agent', 'attempts', run, `${task}.1`);
const attempt = async (task: string): Promise<AttemptView | undefined> =>
  (await mesh.json<{ attempts: AttemptView[] }>('show', `${run}/${task}`)).attempts[0];

async function collect(task: string, status: number): Promise<Collected> {
  const result = await mesh.cli(['collect', `${run}/${task}`, '--again', '--json']);
  expect([result.status, result.stderr]).toEqual([status, '']);
  return JSON.parse(result.stdout) as Collected;
}

beforeAll(async () => {
  mesh = await TestMesh.create();
  await mesh.up('--slots', '1');
  const suite = await mesh.file(
    'collect.yaml',
    `name: collect
axes: { item: [fails, runs] }
run:
  shell: |
    [ {{item}} = fails ] && { echo noted > log.txt; exit 0; }
    echo '{"score": 1}' > result.json
    touch begun
    while [ ! -e ${mesh.home}/gate ]; do echo more >> log.txt; sleep 0.01; done
    echo '{"score": 2}' > result.json
files:
  - log.txt
  - path: result.json
    required: true
    maxSize: 100B
    schema: { type: object, required: [score] }
metrics:
  - { name: score, unit: x, direction: higher, json: result.json, path: score, required: false }
`,
  );
  run = await mesh.submit(suite);
  const { tasks } = await mesh.json<{ tasks: { id: string }[] }>('tasks', run);
  failed = tasks[0]?.id ?? '';
  running = tasks[1]?.id ?? '';
  await until(() => existsSync(join(work(running), 'begun')), 'the second task to run');
});
afterAll(async () => {
  await mesh.dispose();
});

it('says what is missing still, and changes nothing', async () => {
  expect(await attempt(failed)).toMatchObject({ outcome: 'failed', stage: 'collect' });
  const collected = await collect(failed, 1);
  expect(collected.lost).toEqual([{ path: 'result.json', reason: 'no file matches' }]);
  expect(collected.files).toMatchObject([{ path: 'log.txt', bytes: 6 }]);
  expect(collected.outcome).toBe('failed');
});

it.each([
  ['x'.repeat(101), 'lost', '101 bytes, more than the 100 it may have'],
  ['{}', 'unfit', 'does not fit its schema: score: is missing'],
] as const)('says what is not as its suite wants it: %.10s', async (content, field, reason) => {
  await writeFile(join(work(failed), 'result.json'), content);
  const collected = await collect(failed, 1);
  expect(collected[field]).toEqual([{ path: 'result.json', reason }]);
});

it('takes what came late; outcome and metrics stay', async () => {
  await writeFile(join(work(failed), 'result.json'), '{"score": 7}');
  const before = await attempt(failed);
  const collected = await collect(failed, 0);
  expect(collected.files.map(({ path }) => path)).toEqual(['log.txt', 'result.json']);
  const after = await attempt(failed);
  expect(after?.files).toMatchObject([{ path: 'log.txt' }, { path: 'result.json', bytes: 12 }]);
  expect(after?.missingFiles).toEqual([]);
  expect(after).toMatchObject({ collected: { files: 2, isDone: true } });
  for (const key of ['outcome', 'stage', 'reason', 'elapsedMs', 'exited'] as const)
    expect([key, after?.[key]]).toEqual([key, before?.[key]]);
  const text = await mesh.ok('show', `${run}/${failed}`);
  expect(text).toMatch(/files taken once more by \S+@\S+/);
  expect(text).not.toContain('score');
});

it('takes what there is of one that runs, and nothing from outside of its folder', async () => {
  await symlink('/etc/passwd', join(work(running), 'passwd'));
  const first = await collect(running, 0);
  expect(first.outcome).toBeNull();
  expect(first.files.map(({ path }) => path)).toEqual(['log.txt', 'result.json']);
  const second = await collect(running, 0);
  const sizeOf = ({ files }: Collected): number =>
    files.find(({ path }) => path === 'log.txt')?.bytes ?? 0;
  expect(sizeOf(second)).toBeGreaterThan(sizeOf(first));
  expect(second.files).toHaveLength(2);
  const text = await mesh.ok('collect', `${run}/${running}/1`, '--again');
  expect(text).toMatch(/^attempt 1 of .* \(running\): 2 files kept; it goes on: /);
  expect(existsSync(`${work(running)}.collect`)).toBe(false);
});

it('one clear line and a status of its own where there is nothing to take', async () => {
  const cases: readonly (readonly [string[], number])[] = [
    [[`${run}/${running}/2`, '--again'], 5],
    [[`${run}/${running}`], 2],
    [[run, '--again'], 2],
    [['nothing/x', '--again'], 5],
  ];
  for (const [args, status] of cases) {
    const result = await mesh.cli(['collect', ...args]);
    expect([args, result.status, result.stdout]).toEqual([args, status, '']);
    expect(result.stderr.trim().split('\n')).toHaveLength(1);
  }
});

it('an agent that is not there is named; the next one has what the one before has forgotten', async () => {
  await mesh.kill9('agent');
  const result = await mesh.cli(['collect', `${run}/${failed}`, '--again']);
  expect([result.status, result.stdout]).toEqual([7, '']);
  expect(result.stderr).toMatch(/^benchmesh: agent local-1 does not answer collect: [^\n]*\n$/);
  await mesh.up();
  await writeFile(join(work(failed), 'result.json'), '{"score": 8}');
  expect((await collect(failed, 0)).files).toHaveLength(2);
  expect((await collect(running, 0)).files).toHaveLength(2);
});

it('the run directory has the last of each, audit agrees, and afterwards it says where they are', async () => {
  await writeFile(join(mesh.home, 'gate'), '');
  const directory = await mesh.archived(run);
  const kept = (task: string, path: string): Promise<string> =>
    readFile(join(directory, 'files', task, '1', path), 'utf8');
  expect(await kept(failed, 'result.json')).toBe('{"score": 8}');
  expect(await kept(failed, 'log.txt')).toBe('noted\n');
  expect(JSON.parse(await kept(running, 'result.json'))).toEqual({ score: 2 });
  expect(JSON.parse(await readFile(join(directory, 'benchmesh.json'), 'utf8'))).toMatchObject({
    complete: true,
  });
  const metrics = (await readFile(join(directory, 'metrics.ndjson'), 'utf8')).trim().split('\n');
  expect(metrics.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    { task: running, value: 2, partial: false },
  ]);
  await mesh.ok('audit', run);
  const result = await mesh.cli(['collect', `${run}/${failed}`, '--again']);
  expect([result.status, result.stdout]).toEqual([9, '']);
  expect(result.stderr).toContain(join(directory, 'files', failed, '1'));
  await rm(join(directory, 'files', failed), { recursive: true });
  const none = await mesh.cli(['collect', `${run}/${failed}`, '--again']);
  expect(none.stderr).toContain(`nothing was kept of the files of ${failed}/1`);
});
