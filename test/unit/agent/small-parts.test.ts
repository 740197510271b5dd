/** The pure parts around the actors: environment, report lines, globs, batches, commands. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { unstarted } from '#agent/attempt/attempt-folder.ts';
import { childEnv, inheritedEnv } from '#agent/attempt/child-env.ts';
import { globToRegExp } from '#agent/attempt/globs.ts';
import { parseReportLine } from '#agent/report/report-lines.ts';
import { readCommand } from '#agent/host/command-reader.ts';
import { notStartedOutcome } from '#agent/process/record/step-outcome.ts';
import { firstBatch } from '#agent/logs/log-batch.ts';
import { attemptPaths } from '#agent/state/state-folder.ts';
import { encode } from '#protocol/messages/envelope.ts';
import { parseChunks } from '#protocol/messages/attempt/log.ts';
import { specOf, stepOf } from './attempt-cases.ts';

describe('environment', () => {
  test('nothing of the mesh, of supervisors or of credentials is inherited', () => {
    const own = {
      PATH: '/bin',
      HOME: '/h',
      BENCHMESH_SERVER: 'x',
      NATS_URL: 'x',
      npm_config_token: 'x',
      CREDENTIALS_DIRECTORY: 'x',
      NOTIFY_SOCKET: 'x',
      HF_TOKEN: 'kept: a benchmark may need it',
    };
    expect(Object.keys(inheritedEnv(own)).sort()).toEqual(['HF_TOKEN', 'HOME', 'PATH']);
    expect(inheritedEnv({})['PATH']).toContain('/usr/bin');
  });

  test('docs/suite.md has every name', () => {
    const spec = specOf(['run'], {
      axes: { name: 1 },
      suiteDir: '/x',
      needs: { slots: 1, cpus: 1, exclusive: false, gpus: { count: 0 } },
    });
    const env = childEnv({
      inherited: {},
      spec,
      step: stepOf('run'),
      paths: attemptPaths('/s', spec),
      slot: 0,
      scratch: '/scratch',
      hostSetup: '/made',
      resources: {
        gpus: [],
        cpus: [0],
        host: { os: 'x', kernel: 'x', cpuModel: 'x', governor: null, maxMhz: null },
      },
      budgetMs: 1,
      checkpoint: '/c',
    });
    const docs = readFileSync('docs/suite.md', 'utf8');
    const section = docs.slice(docs.indexOf('## Environment'), docs.indexOf('## Services'));
    const names = Object.keys(env).filter((name) => name.startsWith('BENCHMESH_'));
    expect(names.length).toBeGreaterThan(15);
    expect(names.filter((name) => !section.includes(`\`${name}\``))).toEqual([]);
  });

  test('the suite has the last word', () => {
    const spec = specOf(['run'], { axes: { 'a-b': true } });
    const step = stepOf('run', { env: { PYTHONUNBUFFERED: '', PATH: '/mine' } });
    const ref = { run: spec.run, task: 't', n: 1 };
    const base = {
      inherited: { PATH: '/bin' },
      spec,
      step,
      paths: attemptPaths('/s', ref),
      slot: 3,
      scratch: '/scratch',
      hostSetup: null,
    };
    const env = childEnv({ ...base, budgetMs: null, checkpoint: null });
    expect(env).toMatchObject({
      PYTHONUNBUFFERED: '',
      PATH: '/mine',
      BENCHMESH_SLOT: '3',
      BENCHMESH_SCRATCH: '/scratch',
      BENCHMESH_AXIS_A_B: 'true',
    });
    expect(Object.keys(env)).not.toContain('BENCHMESH_BUDGET_MS');
    expect(Object.keys(env)).not.toContain('BENCHMESH_SUITE_DIR');
    expect(Object.keys(env)).not.toContain('BENCHMESH_HOST_SETUP');
    const prepared = childEnv({ ...base, hostSetup: '/made', budgetMs: null, checkpoint: null });
    expect(prepared['BENCHMESH_HOST_SETUP']).toBe('/made');
    expect(childEnv({ ...base, budgetMs: 5, checkpoint: '/c' })).toMatchObject({
      BENCHMESH_BUDGET_MS: '5',
      BENCHMESH_CHECKPOINT: '/c',
    });
  });
});

test.each([
  ['phase warmup', [{ kind: 'phase', phase: 'warmup' }]],
  ['  progress   0.25 ', [{ kind: 'progress', progress: 0.25 }]],
  ['metric tps 812.5 tok/s', [{ kind: 'metric', name: 'tps', value: 812.5, unit: 'tok/s' }]],
  ['metric big 1,234.5 B', [{ kind: 'metric', name: 'big', value: 1234.5, unit: 'B' }]],
  ['metric n 3', [{ kind: 'metric', name: 'n', value: 3, unit: '' }]],
  [
    '{"phase":"a","progress":1,"metric":"m","value":2}',
    [
      { kind: 'phase', phase: 'a' },
      { kind: 'progress', progress: 1 },
      { kind: 'metric', name: 'm', value: 2, unit: '' },
    ],
  ],
  ['', []],
])('report line %j', (line, expected) => {
  expect(parseReportLine(line)).toEqual(expected);
});

test.each([
  'hello',
  'phase',
  'phase a b',
  'progress x',
  'progress 2',
  'progress NaN',
  'metric a',
  'metric a x',
  'metric a Infinity',
  'metric a 0x10 s',
  'metric a 12k',
  'metric a 1,00 s',
  'progress 0x1',
  '{"phase":',
  '{}',
  '[1]',
  '{"metric":"a"}',
  'metric bad{name 1',
])('malformed report line %j', (line) => {
  expect(parseReportLine(line)).toMatchObject([{ kind: 'malformed' }]);
});

test.each([
  ['*.txt', ['a.txt'], ['a/b.txt', 'atxt', 'a.txt2']],
  ['ck/**', ['ck/a', 'ck/a/b'], ['ck', 'x/ck/a']],
  ['**/*.bin', ['a.bin', 'x/y/a.bin'], ['a.bins']],
  ['./out-?.{json,csv}', ['out-1.json', 'out-2.csv'], ['out-10.json', 'out-1.xml']],
  ['a+b(c).txt', ['a+b(c).txt'], ['aab(c).txt']],
])('glob %s', (pattern, matching, other) => {
  const expression = globToRegExp(pattern);
  expect(matching.filter((path) => !expression.test(path))).toEqual([]);
  expect(other.filter((path) => expression.test(path))).toEqual([]);
});

describe('log batches', () => {
  const source = { step: 'run', baseOffset: 100, instance: 'i' };
  const chunk = (offset: number, text: string, stream: 'stdout' | 'stderr' = 'stdout') => ({
    offset,
    stream,
    bytes: Buffer.from(text),
    arrivalMs: 7,
  });

  test('end at a gap, which is a message of its own, in order', () => {
    const gap = { offset: 5, length: 10, reason: 'limit', arrivalMs: 1 } as const;
    const chunks = [chunk(0, 'ab'), chunk(2, 'cde', 'stderr'), chunk(15, 'x')];
    const first = firstBatch({ offset: 0, nextOffset: 16, chunks, gaps: [gap] }, source);
    expect(first).toMatchObject({ offset: 100, endOffset: 105, isGap: false });
    expect(Buffer.from(first?.payload ?? []).toString()).toBe('abcde');
    expect(parseChunks(first?.headers['bm-chunks'] ?? '')).toEqual([
      { stream: 'stdout', bytes: 2, arrivalMs: 7 },
      { stream: 'stderr', bytes: 3, arrivalMs: 7 },
    ]);
    const second = firstBatch(
      { offset: 5, nextOffset: 16, chunks: chunks.slice(2), gaps: [gap] },
      source,
    );
    expect(second).toMatchObject({ offset: 105, endOffset: 115, isGap: true, isRefused: false });
    const refused = { ...gap, reason: 'write-failed' } as const;
    const third = { offset: 5, nextOffset: 16, chunks: [], gaps: [refused] };
    expect(firstBatch(third, source)).toMatchObject({ isGap: true, isRefused: true });
    expect(second?.headers).toMatchObject({
      'bm-gap-to': '115',
      'bm-offset': '105',
      'bm-chunks': '',
    });
    expect(firstBatch({ offset: 0, nextOffset: 0, chunks: [], gaps: [] }, source)).toBeNull();
  });

  test('descriptions of chunks stay small', () => {
    const chunks = Array.from({ length: 5000 }, (_, at) =>
      chunk(at, 'x', at % 2 === 0 ? 'stdout' : 'stderr'),
    );
    const batch = firstBatch({ offset: 0, nextOffset: 5000, chunks, gaps: [] }, source);
    expect(batch?.endOffset).toBe(1100);
    expect(batch?.headers['bm-chunks']?.length).toBeLessThan(10_000);
  });
});

describe('commands', () => {
  const spec = specOf(['run']);
  const data = { spec, afterStop: 0, priority: 0 };
  const start = encode({
    name: 'command.start',
    data,
    id: 'x',
    timeMs: 0,
    writer: { source: '/c' },
  });
  const order = { run: spec.run, task: null, graceMs: null, now: false, by: 'x', reason: null };
  const stop = encode({
    name: 'command.stop',
    data: order,
    id: 'x',
    timeMs: 0,
    writer: { source: '/c' },
  });
  test.each([
    [`bm.v1.cmd.a1.start.${spec.run}`, start, 'command'],
    ['bm.v1.cmd.all.stop', stop, 'command'],
    [`bm.v1.cmd.a1.stop.${spec.run}`, stop, 'command'],
    [`bm.v1.cmd.a2.start.${spec.run}`, start, 'rejected'],
    [`bm.v1.cmd.a1.revoke.${spec.run}`, start, 'rejected'],
    ['bm.v1.cmd.a1.start.2026-01-02_03-04-05-zzzz', start, 'rejected'],
    ['bm.v1.cmd.all.stop', start, 'rejected'],
    ['bm.v1.cmd.epoch', stop, 'rejected'],
    ['nonsense', stop, 'rejected'],
  ])('on %s', (subject, bytes, kind) => {
    expect(readCommand('a1', subject, bytes).kind).toBe(kind);
  });
});

test.each([
  ['ENOSPC', "the disk of the agent's state folder is full"],
  ['EDQUOT', "the disk of the agent's state folder is full"],
  ['EACCES', "the attempt's folder could not be made: refused"],
])('a step that could not be prepared (%s) ends as one that never started', (code, message) => {
  const error = Object.assign(new Error('refused'), { code });
  expect(unstarted(error)).toEqual(notStartedOutcome(code, 'supervision', message));
});
