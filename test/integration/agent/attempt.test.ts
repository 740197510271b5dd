/** One attempt after another through a real agent: commands in, events, logs and files out. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { MessageOf } from '#protocol/messages/envelope.ts';
import { newRunId } from '#protocol/messages/ids.ts';
import { filters, subjects } from '#protocol/messages/subjects.ts';
import { publishEvent } from '#protocol/nats/publisher.ts';
import { purgeSubject } from '#protocol/nats/streams/stream-purge.ts';
import { lastMessage } from '#protocol/nats/streams/stream-read.ts';
import { until } from '#test/support/until.ts';
import {
  AGENT,
  attemptSpec,
  RUN,
  startTestMesh,
  step,
  type TestMesh,
} from './support/agent-process.ts';

let mesh: TestMesh;

beforeAll(async () => {
  mesh = await startTestMesh();
  await mesh.start(['--slots', '2']);
});

afterAll(async () => {
  await mesh.close();
});

async function run(spec: AttemptSpec): Promise<MessageOf<'attempt.exited'>> {
  await mesh.startAttempt(spec);
  return mesh.exited(spec);
}

test('a trivial attempt is two events: step_started, which says who accepted it, and exited', async () => {
  const spec = attemptSpec([step('true')]);
  const exited = await run(spec);
  expect(exited.data).toMatchObject({ outcome: 'passed', reason: null, logBytes: 0, proven: true });
  expect(mesh.namesOf(spec)).toEqual(['attempt.step_started', 'attempt.exited']);
  expect(exited.seq).toBe(2);
  const { data } = await mesh.began(spec);
  expect(data.accepted).toMatchObject({ address: expect.stringMatching(/./) as string });
});

test('output is stored before exited, with both streams told apart', async () => {
  const spec = attemptSpec([
    step('printf one', { step: 'setup' }),
    step('printf out; printf err >&2'),
    step('printf two', { step: 'teardown' }),
  ]);
  const exited = await run(spec);
  expect(exited.data.logBytes).toBe(12);
  const log = await mesh.log(spec);
  expect([log.stdout.toString(), log.stderr.toString()]).toEqual(['oneouttwo', 'err']);
});

test('20 MB of random bytes on both streams arrive byte for byte', async () => {
  const script = `
    head -c 10000000 /dev/urandom > a; head -c 10000000 /dev/urandom > b
    cat a & cat b >&2 & wait`;
  const spec = attemptSpec([step(script)]);
  const exited = await run(spec);
  expect(exited.data).toMatchObject({ outcome: 'passed', logBytes: 20_000_000, logGaps: [] });
  await until(async () => (await mesh.log(spec)).both.length === 20_000_000, 'the whole log');
  const log = await mesh.log(spec);
  const work = join(mesh.state, 'attempts', spec.run, `${spec.task}.1`);
  const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
  expect(log.gaps).toBe(0);
  expect(sha(log.stdout)).toBe(sha(await readFile(join(work, 'a'))));
  expect(sha(log.stderr)).toBe(sha(await readFile(join(work, 'b'))));
});

test.each([
  ['exit', 'echo no such thing >&2; exit 3', 'exit', 'run: exit status 3: no such thing'],
  ['signal', 'kill -SEGV $$', 'signal', 'run: killed by SIGSEGV'],
])('a failure has stage, class and one line: %s', async (_name, script, klass, reason) => {
  const exited = await run(attemptSpec([step(script)]));
  expect(exited.data).toMatchObject({ outcome: 'failed', stage: 'run', class: klass, reason });
});

test('a program that is not there fails as exec, naming it', async () => {
  const exited = await run(attemptSpec([step('', { argv: ['no-such-program-x'] })]));
  expect(exited.data).toMatchObject({ outcome: 'failed', stage: 'run', class: 'exec' });
  expect(exited.data.reason).toContain('no-such-program-x');
});

test('a preflight that fails with onFail skip skips with its message, and nothing else runs', async () => {
  const preflight = {
    step: 'preflight',
    onFail: 'skip',
    message: 'sysbench is not installed',
  } as const;
  const spec = attemptSpec([
    step('', { argv: ['no-such-program-x'], ...preflight }),
    step('true'),
    step('true', { step: 'teardown' }),
  ]);
  const exited = await run(spec);
  expect(exited.data).toMatchObject({ outcome: 'skipped', reason: 'sysbench is not installed' });
  expect(exited.data.steps).toHaveLength(1);
});

test('the teardown has the folder of the attempt, though the first step could not be started', async () => {
  const many = Array.from({ length: 65_100 }, () => '');
  const spec = attemptSpec([
    step('', { step: 'setup', argv: ['/bin/echo', ...many] }),
    step('echo cleaned up', { step: 'teardown' }),
  ]);
  await mesh.startAttempt(spec);
  const { data } = await mesh.exited(spec);
  expect(data).toMatchObject({ outcome: 'failed', stage: 'setup', teardownFailure: null });
  expect((await mesh.log(spec)).stdout.toString()).toBe('cleaned up\n');
});

test('the budget ends it as timed_out, the teardown still runs and its failure changes nothing', async () => {
  const steps = [step('sleep 600'), step('echo oops >&2; exit 9', { step: 'teardown' })];
  const exited = await run(attemptSpec(steps, { budgetMs: 300 }));
  expect(exited.data).toMatchObject({
    outcome: 'timed_out',
    stage: 'run',
    class: 'timeout',
    teardownFailure: 'teardown: exit status 9: oops',
    proven: true,
    survivors: [],
  });
});

test('the environment says what the attempt is and nothing of the mesh', async () => {
  const spec = attemptSpec([step('env; echo dir=$PWD', { env: { MINE: '1' } })], {
    axes: { block_size: 64, 'cc-flags': '-O2' },
    suiteDir: '/tmp',
    budgetMs: 60_000,
  });
  await run(spec);
  const lines = (await mesh.log(spec)).stdout.toString().split('\n');
  const dir = join(mesh.state, 'attempts', spec.run, `${spec.task}.1`);
  expect(lines).toEqual(
    expect.arrayContaining([
      `BENCHMESH_RUN=${RUN}`,
      `BENCHMESH_TASK=${spec.task}`,
      'BENCHMESH_ATTEMPT=1',
      'BENCHMESH_SUITE_DIR=/tmp',
      'BENCHMESH_AXIS_BLOCK_SIZE=64',
      'BENCHMESH_AXIS_CC_FLAGS=-O2',
      'PYTHONUNBUFFERED=1',
      'MINE=1',
      `BENCHMESH_REPORT=${dir}.report`,
      `dir=${dir}`,
    ]),
  );
  expect(lines.some((line) => /^BENCHMESH_(CHECKPOINT|SERVER|HOME)=/.test(line))).toBe(false);
});

test('the report channel: phases forward only, progress, metrics, one malformed line said once', async () => {
  const script = `
    r=$BENCHMESH_REPORT
    echo 'phase prepare' >> $r; echo 'progress 0.5' >> $r
    echo '{"phase":"measure","metric":"tps","value":812.5,"unit":"tok/s"}' >> $r
    echo 'phase prepare' >> $r; echo 'nonsense' >> $r; echo 'phase unknown' >> $r
    printf 'metric late 3 ms' >> $r`;
  const spec = attemptSpec([step(script)], { phases: ['prepare', 'measure'] });
  const exited = await run(spec);
  expect(mesh.of(spec, 'attempt.phase').map(({ data }) => data.phase)).toEqual([
    'prepare',
    'measure',
  ]);
  expect(mesh.of(spec, 'attempt.report_malformed')).toHaveLength(1);
  expect(exited.data.metrics).toEqual([
    { name: 'tps', value: 812.5, unit: 'tok/s', direction: 'none' },
    { name: 'late', value: 3, unit: 'ms', direction: 'none' },
  ]);
});

test('metrics come from output and files; a missing required one fails stage collect', async () => {
  const metric = { unit: 's', direction: 'lower', required: true } as const;
  const regex = {
    kind: 'regex',
    pattern: 'took (?<value>[0-9.]+)',
    flags: '',
    stream: 'stdout',
  } as const;
  const metrics = [
    { ...metric, name: 'time', from: regex },
    {
      ...metric,
      name: 'rate',
      from: { kind: 'json_file', file: 'out.json', path: 'a[0].rate' } as const,
    },
  ];
  const script = `echo took 1.5; echo '{"a":[{"rate":7}]}' > out.json`;
  const good = await run(attemptSpec([step(script)], { metrics }));
  expect(good.data).toMatchObject({ outcome: 'passed' });
  expect(good.data.metrics.map(({ name, value }) => [name, value])).toEqual([
    ['time', 1.5],
    ['rate', 7],
  ]);
  const bad = await run(attemptSpec([step('echo nothing')], { metrics }));
  expect(bad.data).toMatchObject({ outcome: 'failed', stage: 'collect', class: 'result' });
});

test('the same content in another run is stored for itself: it stays when the first is purged', async () => {
  const files = { files: ['*.txt'] };
  const one = attemptSpec([step('echo same > r.txt')], files);
  const other = attemptSpec([step('echo same > r.txt')], { ...files, run: newRunId(new Date()) });
  await run(one);
  await run(other);
  const objectOf = ({ run }: AttemptSpec): { run: string; sha256: string } => {
    const [spec] = [one, other].filter((each) => each.run === run) as [AttemptSpec];
    const [event] = mesh.of(spec, 'attempt.file_stored');
    return { run, sha256: event?.data.file.sha256 ?? '' };
  };
  expect(objectOf(one).sha256).toBe(objectOf(other).sha256);
  const chunks = filters.chunksOf(AGENT, objectOf(one));
  expect(await purgeSubject(mesh.connection, 'BM_FILES', chunks)).toBe(1);
  const left = subjects.file(AGENT, objectOf(other), 0);
  expect((await lastMessage(mesh.connection, 'BM_FILES', left)).kind).toBe('found');
});

test('checkpoints and results are stored by hash; the next attempt begins with the checkpoint', async () => {
  const files = { checkpoints: ['ck/*.bin'], files: ['*.txt'] };
  const write = 'mkdir ck; head -c 600000 /dev/zero > ck/a.bin; echo hi > r.txt; exit 1';
  const first = attemptSpec([step(write)], files);
  await run(first);
  const [result] = mesh.of(first, 'attempt.file_stored').map(({ data }) => data.file);
  expect(result).toMatchObject({ kind: 'result', path: 'r.txt', chunks: 1 });
  const checkpoint = mesh.of(first, 'attempt.checkpointed')[0]?.data;
  expect(checkpoint).toMatchObject({ number: 1, files: [{ path: 'ck/a.bin', chunks: 3 }] });
  const object = { run: first.run, sha256: result?.sha256 ?? '' };
  const chunk = await lastMessage(mesh.connection, 'BM_FILES', subjects.file(AGENT, object, 0));
  expect(chunk.kind === 'found' && Buffer.from(chunk.message.data).toString()).toBe('hi\n');
  const again = attemptSpec([step('test -s ck/a.bin && echo $BENCHMESH_CHECKPOINT')], {
    ...files,
    task: first.task,
    n: 2,
    resume: [{ number: 1, files: checkpoint?.files ?? [], n: 1, agent: AGENT }],
  });
  await run(again);
  expect((await mesh.log(again)).stdout.toString().trim()).toMatch(/\.2\/ck\/a\.bin$/);
  expect(mesh.of(again, 'attempt.resumed')[0]?.data).toMatchObject({
    from: { n: 1, number: 1 },
    path: 'ck/a.bin',
    bytes: 600_000,
    problem: null,
  });
});

test('queued attempts start by priority, then arrival, on the slots there are', async () => {
  const hold = [step('sleep 600'), step('sleep 600')].map((each) => attemptSpec([each]));
  for (const spec of hold) await mesh.startAttempt(spec);
  for (const spec of hold) await mesh.began(spec);
  const low = attemptSpec([step('true')], { needs: { slots: 2, cpus: 0, exclusive: false } });
  const high = attemptSpec([step('true')], { needs: { slots: 2, cpus: 0, exclusive: false } });
  await mesh.startAttempt(low);
  await mesh.startAttempt(high, { priority: 5 });
  await mesh.wait('attempt.accepted', (_data, { subject }) => subject.includes(`.${high.task}.`));
  for (const spec of hold) await mesh.stop(spec.run, spec.task, { now: true });
  await Promise.all([low, high].map((spec) => mesh.exited(spec)));
  const order = mesh.events
    .filter(({ message }) => message.name === 'attempt.step_started')
    .map(({ subject }) => subject.split('.')[6]);
  expect(order.indexOf(high.task)).toBeLessThan(order.indexOf(low.task));
});

test('a repeated start is one attempt, a revoke of a queued one is its last word', async () => {
  const hold = attemptSpec([step('sleep 600')], { needs: { slots: 2, cpus: 0, exclusive: false } });
  await mesh.startAttempt(hold);
  await mesh.startAttempt(hold);
  await mesh.began(hold);
  const queued = attemptSpec([step('true')]);
  await mesh.startAttempt(queued);
  await mesh.wait('attempt.accepted', (_data, { subject }) => subject.includes(queued.task));
  const revoke = subjects.command(AGENT, 'revoke', RUN);
  for (const task of [queued.task, hold.task, 'never-seen'])
    await mesh.command(revoke, 'command.revoke', { run: RUN, task, n: 1 });
  expect((await mesh.exited(queued)).data).toMatchObject({
    outcome: 'skipped',
    class: 'drained',
    steps: [],
  });
  expect(mesh.namesOf(queued)).toEqual(['attempt.accepted', 'attempt.exited']);
  // Read after all of them: what has begun goes on until it is stopped.
  await mesh.stop(hold.run, hold.task, { now: true });
  expect((await mesh.exited(hold)).data.outcome).toBe('stopped');
  expect(mesh.namesOf(hold).filter((name) => name === 'attempt.step_started')).toHaveLength(1);
  expect(mesh.find('command.revoke_answered')).toEqual([]);
});

test('a message that cannot be read is answered, and the next one is handled', async () => {
  const subject = subjects.command(AGENT, 'start', RUN);
  const type = 'benchmesh.command.v9.start';
  const unknown = { specversion: '1.0', id: 'x', source: '/test', type, time: '', data: {} };
  await publishEvent(mesh.connection, subject, Buffer.from(JSON.stringify(unknown)));
  await publishEvent(mesh.connection, subject, Buffer.from('not json'));
  const misplaced = subjects.command(AGENT, 'drain', RUN);
  await mesh.command(misplaced, 'command.release', { run: RUN });
  await until(() => mesh.find('message.rejected').length === 3, 'three rejections');
  expect(mesh.find('message.rejected').map(({ data }) => data.type)).toEqual([
    type,
    null,
    'command.release',
  ]);
  expect(mesh.find('message.rejected')[0]?.data.reason).toContain('version 9 of command.start');
  expect((await run(attemptSpec([step('true')]))).data.outcome).toBe('passed');
});

test('release drops the folders of the run, twice is the same', async () => {
  // A run of its own: none is given work after its release.
  const released = '2026-01-02_03-04-05-gone';
  await run(attemptSpec([step('true')], { run: released }));
  const dir = join(mesh.state, 'attempts', released);
  expect(existsSync(dir)).toBe(true);
  const subject = subjects.command(AGENT, 'release', released);
  const release = () => mesh.command(subject, 'command.release', { run: released });
  await release();
  await until(() => !existsSync(dir), 'the folder to be gone');
  await release();
  const next = attemptSpec([step('true')], { run: '2026-01-02_03-04-05-next' });
  expect((await run(next)).data.outcome).toBe('passed');
});

test.each([
  ['nothing of it', 'true', 'file out.json: no file matches'],
  [
    'one that is too large',
    'echo 123456 > out.json',
    'file out.json: 7 bytes, more than the 4 it may have',
  ],
  ['a link', 'ln -s /etc/passwd out.json', 'file out.json: a link, which is not followed'],
])(
  'a required result, %s: failed at collect, for all that exit status 0',
  async (_what, script, reason) => {
    const fileRules = [{ path: 'out.json', maxBytes: 4, required: true }];
    const spec = attemptSpec([step(script)], { files: ['out.json'], fileRules });
    await run(spec);
    expect(mesh.of(spec, 'attempt.exited')[0]?.data).toMatchObject({
      outcome: 'failed',
      stage: 'collect',
      class: 'result',
      reason,
    });
  },
);

test('a required result that the teardown removes; one that is there', async () => {
  const fileRules = [{ path: '*.json', maxBytes: null, required: true }];
  const files = { files: ['*.json'], fileRules };
  const clean = { ...step('rm out.json'), step: 'teardown', id: 'teardown' } as const;
  const removed = attemptSpec([step('echo 1 > out.json'), clean], files);
  const kept = attemptSpec([step('echo 1 > out.json')], files);
  await run(removed);
  await run(kept);
  const endOf = (spec: AttemptSpec): unknown => mesh.of(spec, 'attempt.exited')[0]?.data;
  expect(endOf(removed)).toMatchObject({
    stage: 'collect',
    reason: 'file *.json: no file matches',
  });
  expect(endOf(kept)).toMatchObject({ outcome: 'passed', stage: null });
});

test('limits of a step bind its processes; one that cannot be set refuses the step, class exec', async () => {
  const limits = { each: { openFiles: 55, fileSize: 1_024 } };
  const spec = attemptSpec([
    step('ulimit -n', { step: 'setup', limits }),
    step('head -c 5000 /dev/zero > big', { limits }),
  ]);
  const exited = await run(spec);
  expect(exited.data).toMatchObject({ outcome: 'failed', stage: 'run' });
  expect((await mesh.log(spec)).stdout.toString()).toBe('55\n');
  const each = { openFiles: 99_999_999_999 };
  const refused = await run(attemptSpec([step('true', { limits: { each } })]));
  expect(refused.data).toMatchObject({
    outcome: 'failed',
    class: 'exec',
    reason: 'run: a limit of the step cannot be set here (EPERM): openFiles=99999999999',
  });
});
