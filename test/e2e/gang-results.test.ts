/** What three ranks leave, with real agents: nothing of a rank is lost, and its measurements become the gang's. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AttemptView } from '#protocol/fold/attempt-view.ts';
import type { TaskView } from '#protocol/fold/task-view.ts';
import { startAgents } from '#test/support/fleet.ts';
import { TestMesh } from '#test/support/mesh.ts';
import { until } from '#test/support/until.ts';

const RANKS = [0, 1, 2];

/** A result file of each rank, a checkpoint, 10 values; one more at the end, so that ranks which began in different
 * seconds overlap. */
const suiteIn = (dir: string): string => `name: gang-results
needs: { hosts: 3 }
grace: 1s
run:
  - shell: |
      echo "rank $RANK begins"
      echo "{\\"rank\\": $RANK}" > result.json
      echo "$RANK" > state.bin
      i=0
      while [ $i -lt 10 ]; do
        echo "metric rate $((RANK + 1)) 1/s" >> "$BENCHMESH_REPORT"
        echo "metric latency $((RANK * 100 + i + 1)) ms" >> "$BENCHMESH_REPORT"
        echo "request 10ms" >> "$BENCHMESH_REPORT"
        i=$((i + 1))
      done
      echo "skew $RANK"
      until [ -e ${dir}/go ]; do sleep 0.1; done
      sleep 2
      echo "metric rate $((RANK + 1)) 1/s" >> "$BENCHMESH_REPORT"
      [ $RANK = 0 ] && echo "score 42"
      echo "rank $RANK ends" >&2
files: [result.json]
checkpoints: [state.bin]
metrics:
  - { name: rate, unit: 1/s, direction: higher, report: mean, across: sum }
  - { name: latency, unit: ms, direction: lower, report: p95 }
  - { name: skew, unit: s, regex: 'skew (?<value>\\d+)', across: max }
  - { name: score, unit: "", regex: 'score (?<value>\\d+)', required: false }
`;

describe('what three ranks leave', () => {
  let mesh: TestMesh;
  let others: { readonly end: () => Promise<void> };
  let run = '';
  let id = '';
  beforeAll(async () => {
    mesh = await TestMesh.create();
    await mesh.up('--slots', '1');
    others = await startAgents(mesh, ['b', 'c']);
    run = await mesh.submit(await mesh.file('results.yaml', suiteIn(mesh.home)));
  });
  afterAll(async () => {
    await others.end();
    await mesh.dispose();
  });

  it('is there while they run: logs, samples, processes, files, each with its rank', async () => {
    await until(async () => {
      const { tasks } = await mesh.json<{ tasks: TaskView[] }>('tasks', run);
      id = tasks[0]?.id ?? '';
      return (await mesh.ok('logs', run)).match(/rank \d begins/g)?.length === 3;
    }, 'the log of all ranks');
    const live = (await mesh.ok('logs', `${run}/${id}`)).split('\n');
    for (const rank of RANKS) expect(live).toContain(`rank ${rank} | rank ${rank} begins`);
    expect(await mesh.ok('logs', `${run}/${id}`, '--rank', '1')).toBe('rank 1 begins\nskew 1\n');
    const inspected = await mesh.json<{ ranks: { rank: number; processes: unknown[] }[] }>(
      'inspect',
      `${run}/${id}`,
    );
    expect(inspected.ranks.map(({ rank }) => rank)).toEqual(RANKS);
    for (const { processes } of inspected.ranks) expect(processes.length).toBeGreaterThan(0);
    expect(await mesh.ok('get', `${run}/${id}`, 'result.json', '--rank', '2')).toBe(
      '{"rank": 2}\n',
    );
    expect(await mesh.ok('inspect', `${run}/${id}`, '--rank', '1')).toContain('rank 1');
    const collected = await mesh.json<{ ranks: { rank: number; files: unknown[] }[] }>(
      ...['collect', `${run}/${id}`, '--again'],
    );
    expect(collected.ranks.map(({ rank, files }) => [rank, files.length])).toEqual(
      RANKS.map((rank) => [rank, 1]),
    );
    const followed = mesh.start(['logs', `${run}/${id}`, '-f']);
    const own = mesh.start(['logs', `${run}/${id}`, '--rank', '2', '-f']);
    await until(() => own.stdout().includes('rank 2 begins'), 'the log of rank 2');
    await mesh.file('go', '');
    const all = (await followed.ended).stdout.split('\n');
    for (const rank of RANKS) expect(all).toContain(`rank ${rank} | rank ${rank} ends`);
    expect((await own.ended).stdout).toBe('rank 2 begins\nskew 2\nrank 2 ends\n');
    expect((await mesh.cli(['logs', `${run}/${id}`, '--rank', '7'])).status).toBe(5);
  });

  it('is in the directory of the run, and agrees with its events', async () => {
    await mesh.ok('watch', run);
    const directory = join(mesh.home, 'results', run);
    await until(
      () =>
        readdir(directory).then(
          (names) => names.includes('benchmesh.json'),
          () => false,
        ),
      'the directory of the run',
    );
    for (const rank of RANKS) {
      const at = (folder: string, ...rest: string[]): Promise<string> =>
        readFile(join(directory, folder, ...rest), 'utf8');
      expect(await at('files', id, `1-${rank}`, 'result.json')).toBe(`{"rank": ${rank}}\n`);
      expect(await at('checkpoints', id, `1-${rank}`, 'state.bin')).toBe(`${rank}\n`);
      expect(await at('telemetry', 'attempts', id, `1-${rank}.ndjson`)).toContain('"rssBytes"');
      const reported = (await at('telemetry', 'reported', id, `1-${rank}.ndjson`)).trim();
      expect(reported.split('\n')).toHaveLength(21);
      expect(await mesh.ok('get', `${run}/${id}`, 'result.json', '--rank', String(rank))).toBe(
        `{"rank": ${rank}}\n`,
      );
      const samples = await mesh.ok('metrics', `${run}/${id}`, '--reported', '--rank', `${rank}`);
      expect(samples.trim().split('\n')).toHaveLength(21);
    }
    expect(await readdir(join(directory, 'files', id))).toEqual(['1-0', '1-1', '1-2']);
    const self = JSON.parse(await readFile(join(directory, 'benchmesh.json'), 'utf8')) as object;
    expect(self).toMatchObject({ complete: true, missingSamples: [], missingFiles: [] });
    await mesh.ok('audit', run);
  });

  it('becomes one value of each metric, by its operator', async () => {
    const { task, attempts } = await mesh.json<{ task: TaskView; attempts: AttemptView[] }>(
      'show',
      `${run}/${id}`,
    );
    const found = new Map(task.metrics.map((metric) => [metric.name, metric]));
    expect(found.get('rate')).toMatchObject({ value: 6, across: 'sum', ranks: 3 });
    expect(found.get('skew')).toMatchObject({ value: 2, across: 'max', ranks: 3 });
    expect(found.get('score')).toMatchObject({ value: 42, ranks: 1 });
    // Of 30 values, 1 to 10, 101 to 110, 201 to 210: at rank 29 stands 209, of rank 0 alone 10.
    const p95 = found.get('latency')?.value ?? 0;
    expect(Math.abs(p95 - 209)).toBeLessThan(2.1);
    expect(attempts[0]?.report?.requests).toMatchObject({ total: 30, ok: 30 });
    expect(attempts[0]?.ranks?.map(({ report }) => report?.requests?.total)).toEqual([10, 10, 10]);
    expect(attempts[0]?.ranks?.every(({ telemetry }) => telemetry !== null)).toBe(true);
    const together = await mesh.ok('metrics', `${run}/${id}`, '--together');
    expect(together).toMatch(/rate 6 1\/s {2}of 3 ranks/);
    const rows = (await readFile(join(mesh.home, 'results', run, 'metrics.ndjson'), 'utf8')).split(
      '\n',
    );
    expect(rows.filter((row) => row.includes('"name":"rate"'))).toHaveLength(1);
    const { ranks } = await mesh.json<{ ranks: { rank: number; telemetry: unknown }[] }>(
      'metrics',
      `${run}/${id}`,
    );
    expect(ranks.map(({ rank, telemetry }) => [rank, telemetry !== null])).toEqual(
      RANKS.map((rank) => [rank, true]),
    );
  });
});
