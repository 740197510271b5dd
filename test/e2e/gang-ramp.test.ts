/** A load that grows by steps over three hosts, with real agents: who joins when, what each stage measured, how it ends. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { AttemptView } from '#protocol/fold/attempt-view.ts';
import type { TaskView } from '#protocol/fold/task-view.ts';
import { onThreeHosts } from '#test/support/three-hosts.ts';
import { until } from '#test/support/until.ts';

/** Each rank reports a throughput of 100, or what is left of `most` for it, for ever; its end is the mesh's. */
const suiteIn = (dir: string, most: number, ramp: string): string => `name: ramp
needs: { hosts: 3 }
gang: { ramp: ${ramp} }
grace: 1s
run:
  - shell: |
      echo "$RANK $(date +%s%N)" >> "${dir}/begun-$BENCHMESH_TASK-$BENCHMESH_RUN"
      left=$((${most} - RANK * 100))
      [ $left -gt 100 ] && left=100
      [ $left -lt 0 ] && left=0
      sleep 600 &
      while :; do
        echo "metric throughput $left req/s" >> "$BENCHMESH_REPORT"
        echo "request $((RANK + 1))0ms" >> "$BENCHMESH_REPORT"
        sleep 0.05
      done
collect: [sh, -c, 'echo "rank $RANK collects"']
teardown: [sh, -c, 'echo "rank $RANK tears down"']
metrics:
  - { name: throughput, unit: req/s, direction: higher, report: mean, across: sum }
`;

interface Shown {
  readonly task: TaskView;
  readonly attempts: readonly AttemptView[];
}

describe('a ramp over three hosts', () => {
  const hosts = onThreeHosts();

  const play = async (most: number, ramp: string): Promise<Shown & { run: string }> => {
    const run = await hosts.mesh.submit(
      await hosts.mesh.file('ramp.yaml', suiteIn(hosts.mesh.home, most, ramp)),
    );
    await hosts.mesh.ok('watch', run);
    const { tasks } = await hosts.mesh.json<{ tasks: TaskView[] }>('tasks', run);
    const shown = await hosts.mesh.json<Shown>('show', `${run}/${tasks[0]?.id ?? ''}`);
    return { run, ...shown };
  };

  it('measures each stage, adds ranks at one time, and ends with all of them proven gone', async () => {
    const { run, task, attempts } = await play(1_000, '{ steps: [1, 2, 3], every: 2s }');
    expect(task).toMatchObject({ outcome: 'passed', attempts: 1 });
    const { ramp, ranks = [] } = attempts[0] ?? {};
    expect(ramp?.ended).toMatchObject({ stage: 3, why: 'steps' });
    expect(ramp?.stages.map(({ stage, ranks: of, whole }) => [stage, of, whole])).toEqual([
      [1, 1, true],
      [2, 2, true],
      [3, 3, true],
    ]);
    const throughput = (metrics: AttemptView['automatic']): unknown =>
      metrics.find(({ name }) => name === 'throughput')?.value;
    expect(ramp?.stages.map(({ metrics }) => throughput(metrics))).toEqual([100, 200, 300]);
    expect(throughput(task.metrics)).toBe(300);
    expect(ramp?.stages[2]?.requests?.latencyMs).toMatchObject({ min: 10, max: 30 });
    expect(attempts[0]).toMatchObject({ proven: true, survivors: [] });
    for (const rank of ranks) {
      expect(rank).toMatchObject({ outcome: 'passed', proven: true, survivors: [] });
      expect(rank.steps.map(({ step }) => step)).toEqual(['run', 'collect', 'teardown']);
    }
    const begun = await readFile(join(hosts.mesh.home, `begun-${task.id}-${run}`), 'utf8');
    expect(
      begun
        .trim()
        .split('\n')
        .map((line) => line.split(' ')[0]),
    ).toEqual(['0', '1', '2']);
    const directory = join(hosts.mesh.home, 'results', run);
    await until(
      () =>
        readdir(directory).then(
          (names) => names.includes('benchmesh.json'),
          () => false,
        ),
      'the directory of the run',
    );
    const rows = (await readFile(join(directory, 'stages.ndjson'), 'utf8')).trim().split('\n');
    const stages = rows.map(
      (row) => JSON.parse(row) as { stage: number; name: string; value: number },
    );
    expect(
      stages.filter(({ name }) => name === 'throughput').map(({ stage, value }) => [stage, value]),
    ).toEqual([
      [1, 100],
      [2, 200],
      [3, 300],
    ]);
    await hosts.mesh.ok('audit', run);
    expect(await hosts.mesh.ok('show', `${run}/${task.id}`)).toMatch(
      /stage 2, 2 ranks: .*throughput 200 req\/s/,
    );
  });

  it('ends with the stage that gains too little; who has not joined never begins', async () => {
    // With two ranks 150 of 100: a gain of half. It wants three quarters.
    const ramp = '{ steps: [1, 2, 3], every: 1s, until: { metric: throughput, gain: 75% } }';
    const { run, task, attempts } = await play(150, ramp);
    expect(task.outcome).toBe('passed');
    expect(attempts[0]?.ramp?.ended).toMatchObject({ stage: 2, why: 'gain' });
    expect(attempts[0]?.ramp?.ended?.reason).toContain('150 req/s with 2 ranks, 50 % better');
    expect(task.automatic.find(({ name }) => name === 'ramp.ranks')?.value).toBe(2);
    expect(attempts[0]?.ranks?.map(({ outcome, steps }) => [outcome, steps.length])).toEqual([
      ['passed', 3],
      ['passed', 3],
      ['passed', 0],
    ]);
    const begun = await readFile(join(hosts.mesh.home, `begun-${task.id}-${run}`), 'utf8');
    expect(begun.trim().split('\n')).toHaveLength(2);
  });
});
