/** Kill -9 of what one rank has running while it waits at the barrier: its server. The gang ends whole, and passes again. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { AttemptView } from '#protocol/fold/attempt-view.ts';
import type { TaskView } from '#protocol/fold/task-view.ts';
import { onThreeHosts } from '#test/support/three-hosts.ts';
import { isRunning } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';

/** In the first attempt rank 0 keeps the others waiting for ever. */
const suiteIn = (dir: string): string => `name: barrier
needs: { hosts: 3 }
retries: { signal: 1 }
grace: 1s
service:
  - shell: |
      echo $$ > "${dir}/server-$BENCHMESH_ATTEMPT-$RANK.tmp"
      mv "${dir}/server-$BENCHMESH_ATTEMPT-$RANK.tmp" "${dir}/server-$BENCHMESH_ATTEMPT-$RANK.pid"
      echo "it listens"
      sleep 600
    ready: { line: it listens }
load:
  - shell: |
      [ $RANK = 0 ] && [ $BENCHMESH_ATTEMPT = 1 ] || exit 0
      sleep 600
run:
  - shell: echo "rank $RANK runs"
`;

describe('a rank that waits for the others', () => {
  const hosts = onThreeHosts();

  it('is killed there: all ranks end, proven, and the next attempt passes', async () => {
    const run = await hosts.mesh.submit(
      await hosts.mesh.file('barrier.yaml', suiteIn(hosts.mesh.home)),
    );
    let id = '';
    const first = async (): Promise<AttemptView | undefined> => {
      const { tasks } = await hosts.mesh.json<{ tasks: TaskView[] }>('tasks', run);
      id = tasks[0]?.id ?? '';
      const shown = await hosts.mesh.json<{ attempts: AttemptView[] }>('show', `${run}/${id}`);
      return shown.attempts[0];
    };
    await until(
      async () => (await first())?.waiting === 'rank 0 of 3, to begin run',
      'ranks 1 and 2 at the barrier',
    );
    const pids = await Promise.all(
      [0, 1, 2].map(async (rank) =>
        Number(await readFile(join(hosts.mesh.home, `server-1-${rank}.pid`), 'utf8')),
      ),
    );
    process.kill(pids[1] ?? 0, 'SIGKILL');
    await until(() => pids.every((pid) => !isRunning(pid)), 'the servers of all ranks to end');
    await hosts.mesh.ok('watch', run);
    const attempt = await first();
    expect(attempt).toMatchObject({
      ...{ outcome: 'failed', stage: 'service', class: 'signal', proven: true, survivors: [] },
      reason: expect.stringMatching(/^rank 1: /) as string,
    });
    expect(attempt?.ranks?.map((rank) => [rank.class, rank.proven])).toEqual([
      ['gang', true],
      ['signal', true],
      ['gang', true],
    ]);
    // Nobody began what the barrier stands before.
    for (const { steps } of attempt?.ranks ?? [])
      expect(steps.map(({ step }) => step)).not.toContain('run');
    const { tasks } = await hosts.mesh.json<{ tasks: TaskView[] }>('tasks', run);
    expect(tasks[0]).toMatchObject({ outcome: 'passed', attempts: 2 });
    const log = await hosts.mesh.ok('logs', `${run}/${id}/2`);
    for (const rank of [0, 1, 2]) expect(log).toContain(`rank ${rank} | rank ${rank} runs`);
  });
});
