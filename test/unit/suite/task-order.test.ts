import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TaskOutcome } from '#protocol/messages/attempt/outcome.ts';
import type { TaskOrder } from '#protocol/messages/run/suite-spec.ts';
import { findLastRun, readRunHistory } from '#protocol/runtime/last-run.ts';
import { expandTasks } from '#protocol/suite/expand.ts';
import { addedPriority } from '#protocol/suite/task-priority.ts';
import {
  historyOf,
  sequenceOf,
  type RunHistory,
  type TaskHistory,
} from '#protocol/suite/task-order.ts';
import { problemsOf, suiteOf } from './suite-of.ts';

const tasks = (...ids: string[]) => ids.map((id) => ({ id, axes: { item: id } }));

const ended = (outcome: TaskOutcome, elapsedMs: number, attempts = 1) =>
  historyOf({ outcome, elapsedMs, attempts });

const served = (order: TaskOrder, ids: string[], history: RunHistory | null = null): string[] =>
  [...(sequenceOf({ order }, tasks(...ids), history) ?? ids.keys())].map((at) => ids[at] ?? '');

describe('the order of tasks', () => {
  it('longest-first: unknown lengths, then the longest; ties as listed', () => {
    const history = new Map([
      ['short', ended('passed', 5)],
      ['long', ended('passed', 900)],
      ['cut', ended('stopped', 3)],
      ['lost', ended('lost', 3)],
      ['failed', ended('failed', 900)],
      ['never', ended('skipped', 0, 0)],
    ]);
    const ids = ['short', 'long', 'cut', 'lost', 'failed', 'never', 'new'];
    expect(served({ by: 'longest-first' }, ids, history)).toEqual([
      ...['cut', 'lost', 'never', 'new'],
      ...['long', 'failed', 'short'],
    ]);
  });

  it('failed-first: what failed, what never ran to its end, the rest; ties as listed', () => {
    const history = new Map([
      ['a', ended('passed', 5)],
      ['b', ended('stopped', 5)],
      ['c', ended('failed', 5)],
      ['d', ended('skipped', 5)],
      ['e', ended('timed_out', 5)],
      ['f', ended('lost', 5)],
    ]);
    const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'new'];
    expect(served({ by: 'failed-first' }, ids, history)).toEqual([
      ...['c', 'e', 'f'],
      ...['b', 'new'],
      ...['a', 'd'],
    ]);
  });

  it('with no run before it is that of the matrix', () => {
    expect(sequenceOf({ order: { by: 'failed-first' } }, tasks('a', 'b'), null)).toBeNull();
    expect(sequenceOf({}, tasks('a', 'b'), null)).toBeNull();
  });

  it('random: each task once, the same for the same seed, another for another', () => {
    const ids = Array.from({ length: 500 }, (_, at) => `t${at}`);
    const once = served({ by: 'random', seed: 7 }, ids);
    expect(served({ by: 'random', seed: 7 }, ids)).toEqual(once);
    expect(served({ by: 'random', seed: 8 }, ids)).not.toEqual(once);
    expect(once).not.toEqual(ids);
    const property = fc.property(fc.integer(), fc.nat(70), (seed, count) => {
      const sequence = sequenceOf(
        { order: { by: 'random', seed } },
        tasks(...ids.slice(0, count)),
        null,
      );
      expect([...(sequence ?? [])].sort((a, b) => a - b)).toEqual([...Array(count).keys()]);
    });
    fc.assert(property);
  });

  it('random: every task comes first about as often as any other', () => {
    const first = new Map<number, number>();
    for (let seed = 0; seed < 4_000; seed += 1) {
      const [index = -1] =
        sequenceOf({ order: { by: 'random', seed } }, tasks('a', 'b', 'c', 'd'), null) ?? [];
      first.set(index, (first.get(index) ?? 0) + 1);
    }
    for (const index of [0, 1, 2, 3]) expect(first.get(index)).toBeGreaterThan(850);
  });
});

describe('the priority of tasks', () => {
  const axes = { workload: ['tpcds', 'tpch'], batch: [1, 8] };
  const text = [
    'run: [./b]',
    'axes: {workload: [tpcds, tpch], batch: [1, 8]}',
    'priority: {base: 5, by: {workload: {tpch: 10, tpcds: -5}, batch: {8: 1}}}',
  ].join('\n');

  it('is the sum of what the values say, and goes before the order; ties by the order', () => {
    const suite = suiteOf(`${text}\nrepeats: 2\n`);
    expect(suite).toMatchObject({ priority: 5, axes });
    const cells = expandTasks(suite);
    const added = cells.map((task) => addedPriority(suite, task.axes));
    expect(added).toEqual([-5, -4, 10, 11, -5, -4, 10, 11]);
    expect([...(sequenceOf(suite, cells, null) ?? [])]).toEqual([3, 7, 2, 6, 1, 5, 0, 4]);
    const random = sequenceOf({ ...suite, order: { by: 'random', seed: 3 } }, cells, null) ?? [];
    expect([...random].map((index) => added[index])).toEqual([11, 11, 10, 10, -4, -4, -5, -5]);
    const failed = new Map([[cells[6]?.id ?? '', ended('failed', 1)]]);
    const first = sequenceOf({ ...suite, order: { by: 'failed-first' } }, cells, failed) ?? [];
    expect([...first]).toEqual([3, 7, 6, 2, 1, 5, 0, 4]);
  });

  it.each([
    [
      '{by: {worklod: {tpch: 1}}}',
      'priority.by.worklod: "worklod" is not an axis; known: workload, batch. Did you mean "workload"?',
      17,
    ],
    [
      '{by: {workload: {tpcc: 1}}}',
      'priority.by.workload.tpcc: workload has no value "tpcc"; known: tpcds, tpch. Did you mean "tpch"?',
      28,
    ],
    ['{by: {batch: {8: 1.5}}}', 'priority.by.batch.8: must be a whole number, not 1.5', 28],
    ['{by: {batch: 3}}', 'priority.by.batch: must be a map, not 3', 24],
    ['{base: 1}', 'priority.by: the key "by" is missing; add it', 11],
  ])('%s is a mistake', (priority, message, column) => {
    const bad = text.replace(/priority: .*/, `priority: ${priority}`);
    const [problem, ...others] = problemsOf(`${bad}\n`);
    expect(problem).toContain(`suite.yaml:3:${column}: ${message}`);
    expect(others).toEqual([]);
  });

  it('may name values that only the suite itself, or only a profile, has', () => {
    const quick = `${text}\nprofiles: {quick: {axes: {workload: [tpch]}}}\n`;
    expect(suiteOf(quick, { profile: 'quick' }).axes).toEqual({ ...axes, workload: ['tpch'] });
    expect(suiteOf(quick).axes).toEqual(axes);
    const more = `${text}\nprofiles: {more: {axes: {batch: [64]}, priority: {by: {batch: {64: 1}}}}}\n`;
    expect(suiteOf(more, { profile: 'more' }).priorityBy).toMatchObject({ batch: { 8: 1, 64: 1 } });
    const wrong = more.replace('64: 1', '65: 1');
    expect(problemsOf(wrong)).toEqual([
      'suite.yaml:4:64: priority.by.batch.65: batch has no value "65"; known: 64, 1, 8.',
    ]);
  });
});

describe('order in a suite', () => {
  const orderOf = (text: string) => suiteOf(`run: [./b]\nseed: 5\n${text}\n`).order;

  it('is read with the seed of the suite, or with its own', () => {
    expect(orderOf('order: listed')).toBeUndefined();
    expect(orderOf('order: longest-first')).toEqual({ by: 'longest-first' });
    expect(orderOf('order: random')).toEqual({ by: 'random', seed: 5 });
    expect(orderOf('order: {random: 9}')).toEqual({ by: 'random', seed: 9 });
  });

  it('says what it may be', () => {
    const problems = (order: string) => problemsOf(`run: [./b]\norder: ${order}\n`);
    const known = 'must be one of listed, longest-first, failed-first, random';
    expect(problems('fastest')).toEqual([`suite.yaml:2:8: order: ${known}, not "fastest"`]);
    expect(problems('{random: 1.5}')).toEqual([
      'suite.yaml:2:17: order.random: must be a whole number, not 1.5',
    ]);
    expect(problems('{random: 1, by: 2}')).toEqual([
      'suite.yaml:2:20: order.by: unknown key "by". Known: random.',
    ]);
  });
});

describe('the last run of a suite', () => {
  let results: string;

  beforeEach(async () => {
    results = await mkdtemp(join(tmpdir(), 'benchmesh-last-run-'));
  });
  afterEach(async () => {
    await rm(results, { recursive: true });
  });

  async function archived(
    run: string,
    suite: string,
    outcomes: object,
    { rows = '', retryOf = null }: { rows?: string; retryOf?: string | null } = {},
  ): Promise<void> {
    await mkdir(join(results, run));
    const header = JSON.stringify({ run: { suite, outcomes, retryOf } });
    await writeFile(join(results, run, 'run.json'), header);
    await writeFile(join(results, run, 'tasks.ndjson'), rows);
  }

  it('is the newest of its name in which a task came to an end', async () => {
    await archived('2026-02-13_14-30-45-aaaa', 'one', { passed: 3 });
    await archived('2026-02-13_14-30-46-bbbb', 'one', { passed: 1, failed: 2 });
    await archived('2026-02-13_14-30-47-cccc', 'one', { stopped: 3 });
    await archived('2026-02-13_14-30-48-dddd', 'two', { passed: 3 });
    await mkdir(join(results, '2026-02-13_14-30-49-eeee'));
    await mkdir(join(results, '.partial-2026-02-13_14-30-50-ffff-3'));
    expect(await findLastRun(results, 'one')).toBe('2026-02-13_14-30-46-bbbb');
    expect(await findLastRun(results, 'three')).toBeNull();
    expect(await findLastRun(join(results, 'nowhere'), 'one')).toBeNull();
  });

  it('is read row by row; what is no row is passed over, a directory that is gone is an error', async () => {
    const row = { outcome: 'passed', attempts: 2, elapsedMs: 8, metrics: [] };
    const rows = [{ ...row, id: 'a' }, { id: 'b' }, { ...row, id: 'c', outcome: 'failed' }];
    const text = rows.map((one) => JSON.stringify(one)).join('\n');
    await archived('2026-02-13_14-30-45-aaaa', 'one', {}, { rows: `${text}\n{"half` });
    expect([...(await readRunHistory(results, '2026-02-13_14-30-45-aaaa'))]).toEqual([
      ['a', { elapsedMs: 8, hasFailed: false }],
      ['c', { elapsedMs: 8, hasFailed: true }],
    ]);
    await expect(readRunHistory(results, '2026-02-13_14-30-46-bbbb')).rejects.toThrow('ENOENT');
  });

  it('that ran tasks of another again stands for both, whatever is left of the first', async () => {
    const [first, second, third] = ['45-aaaa', '46-bbbb', '47-cccc'].map(
      (end) => `2026-02-13_14-30-${end}`,
    ) as [string, string, string];
    const rowsOf = (...rows: [string, TaskOutcome, number][]): string =>
      rows
        .map(([id, outcome, elapsedMs]) =>
          JSON.stringify({ id, outcome, attempts: 1, elapsedMs, metrics: [] }),
        )
        .join('\n');
    const before = rowsOf(['a', 'passed', 5], ['b', 'failed', 6], ['c', 'failed', 7]);
    await archived(first, 'one', { passed: 1, failed: 2 }, { rows: before });
    const once = rowsOf(['b', 'passed', 60], ['c', 'failed', 70]);
    await archived(second, 'one', { passed: 1, failed: 1 }, { rows: once, retryOf: first });
    const twice = rowsOf(['c', 'stopped', 1]);
    await archived(third, 'one', { stopped: 1 }, { rows: twice, retryOf: second });
    const now: [string, TaskHistory][] = [
      ['b', { elapsedMs: 60, hasFailed: false }],
      ['c', { elapsedMs: 70, hasFailed: true }],
    ];
    const history = await readRunHistory(results, third);
    expect(history).toEqual(new Map([['a', { elapsedMs: 5, hasFailed: false }], ...now]));
    await rm(join(results, first), { recursive: true });
    expect(await readRunHistory(results, third)).toEqual(new Map(now));
  });
});
