/** Tasks on three hosts at once, with real agents and processes: let go together, ended together. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { TaskView } from '#protocol/fold/task-view.ts';
import type { AttemptView } from '#protocol/fold/attempt-view.ts';
import { onThreeHosts } from '#test/support/three-hosts.ts';
import { isRunning } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';

const STEP = `
  - shell: |
      echo "rank $RANK in STEP"
      echo "$BENCHMESH_ATTEMPT $RANK $WORLD_SIZE $MASTER_ADDR:$MASTER_PORT $(date +%s%N)" >> "DIR/STEP-$BENCHMESH_TASK"
      [ $BENCHMESH_AXIS_PHASE = STEP ] && [ $BENCHMESH_ATTEMPT = 1 ] || exit 0
      echo $$ > "DIR/STEP-$RANK.tmp"; mv "DIR/STEP-$RANK.tmp" "DIR/STEP-$RANK.pid"
      sleep 60
`;
const STEPS = ['setup', 'load', 'run'];

const suiteIn = (dir: string, phases: readonly string[]): string => `name: gang
axes: { phase: [${phases.join(', ')}] }
needs: { hosts: 3 }
gang: { barriers: [load, run] }
retries: { signal: 1 }
grace: 1s
${STEPS.map((step) => `${step}:${STEP.replaceAll('STEP', step).replaceAll('DIR', dir)}`).join('')}`;

describe('a task on three hosts', () => {
  const hosts = onThreeHosts();

  const begins = async (step: string, task: string, attempt: number): Promise<string[][]> => {
    const text = await readFile(join(hosts.mesh.home, `${step}-${task}`), 'utf8').catch(() => '');
    const lines = text.split('\n').filter((line) => line !== '');
    return lines.map((line) => line.split(' ')).filter(([n]) => n === String(attempt));
  };
  const tasksOf = async (run: string): Promise<TaskView[]> =>
    (await hosts.mesh.json<{ tasks: TaskView[] }>('tasks', run)).tasks;

  it('begins together, knows its ranks, and passes when all have', async () => {
    const run = await hosts.mesh.submit(
      await hosts.mesh.file('gang.yaml', suiteIn(hosts.mesh.home, ['none'])),
    );
    await hosts.mesh.ok('watch', run);
    const [task] = await tasksOf(run);
    expect(task).toMatchObject({ outcome: 'passed', attempts: 1 });
    const id = task?.id ?? '';
    for (const step of STEPS) {
      const ranks = await begins(step, id, 1);
      expect(ranks.map(([, rank, world]) => `${rank ?? ''} of ${world ?? ''}`).sort()).toEqual(
        ['0', '1', '2'].map((rank) => `${rank} of 3`),
      );
      expect(new Set(ranks.map(([, , , master]) => master)).size).toBe(1);
    }
    const [before, after] = [await begins('load', id, 1), await begins('run', id, 1)];
    const times = (lines: string[][]): bigint[] => lines.map((words) => BigInt(words.at(-1) ?? 0));
    const last = times(before).reduce((a, b) => (a > b ? a : b));
    for (const time of times(after)) expect(time).toBeGreaterThan(last);
    const { attempts } = await hosts.mesh.json<{ attempts: AttemptView[] }>('show', `${run}/${id}`);
    expect(attempts[0]?.ranks?.map(({ rank, outcome }) => [rank, outcome])).toEqual([
      [0, 'passed'],
      [1, 'passed'],
      [2, 'passed'],
    ]);
  });

  it('has a log of each rank in the directory of the run', async () => {
    const run = await hosts.mesh.submit(
      await hosts.mesh.file('gang.yaml', suiteIn(hosts.mesh.home, ['other'])),
    );
    await hosts.mesh.ok('watch', run);
    const logs = join(hosts.mesh.home, 'results', run, 'logs');
    await until(
      () =>
        readdir(logs).then(
          () => true,
          () => false,
        ),
      'the directory of the run',
    );
    const [task = ''] = await readdir(logs);
    for (const rank of ['0', '1', '2'])
      expect(await readFile(join(logs, task, `1-${rank}.log`), 'utf8')).toBe(
        STEPS.map((step) => `rank ${rank} in ${step}\n`).join(''),
      );
    expect(
      (await hosts.mesh.ok('logs', run)).split('\n').filter((line) => line.includes('in run')),
    ).toHaveLength(3);
  });

  it('ends whole where one rank is killed, in whichever step, and passes with the next attempt', async () => {
    const run = await hosts.mesh.submit(
      await hosts.mesh.file('gang.yaml', suiteIn(hosts.mesh.home, STEPS)),
    );
    for (const step of STEPS) {
      const files = ['0', '1', '2'].map((rank) => join(hosts.mesh.home, `${step}-${rank}.pid`));
      const pids: number[] = [];
      await until(async () => {
        const texts = await Promise.all(
          files.map((file) => readFile(file, 'utf8').catch(() => '')),
        );
        pids.splice(0, 3, ...texts.map(Number));
        return pids.every((pid) => pid > 0);
      }, `all ranks in ${step}`);
      process.kill(pids[1] ?? 0, 'SIGKILL');
      await until(() => pids.every((pid) => !isRunning(pid)), `the gang to end in ${step}`);
    }
    await hosts.mesh.ok('watch', run);
    const tasks = await tasksOf(run);
    expect(tasks.map(({ outcome, attempts }) => [outcome, attempts])).toEqual(
      STEPS.map(() => ['passed', 2]),
    );
    for (const [at, { id }] of tasks.entries()) {
      const { attempts } = await hosts.mesh.json<{ attempts: AttemptView[] }>(
        'show',
        `${run}/${id}`,
      );
      expect(attempts[0]).toMatchObject({
        ...{ outcome: 'failed', class: 'signal', stage: STEPS[at] },
        ...{ proven: true, survivors: [] },
        reason: expect.stringMatching(/^rank 1: /) as string,
      });
      expect(attempts[0]?.ranks?.map((rank) => [rank.class, rank.proven])).toEqual([
        ['gang', true],
        ['signal', true],
        ['gang', true],
      ]);
    }
    expect((await readdir(hosts.mesh.home)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});
