/** I8: attempts survive the death of agent, coordinator and server; nothing is started twice. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TaskView } from '#protocol/fold/run-view.ts';
import { TestMesh } from '#test/support/mesh.ts';
import { isRunning } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';

/** Appends its pid to a file, waits until the test opens its gate, ends with its own status. */
const SUITE = `name: restart
axes:
  code: [0, 3, 7]
needs:
  exclusive: false
  slots: 1
run:
  shell: |
    echo "$$ {{code}}" >> "{{suite.dir}}/pids"
    while [ ! -e "{{suite.dir}}/gate-{{code}}" ]; do sleep 0.05; done
    exit {{code}}
`;

describe('kill -9 while three attempts run', () => {
  let mesh: TestMesh;
  beforeEach(async () => {
    mesh = await TestMesh.create();
    await mesh.up('--slots', '3');
  });
  afterEach(async () => {
    await mesh.dispose();
  });

  const started = async (): Promise<Map<string, number>> => {
    const lines = (await readFile(join(mesh.home, 'pids'), 'utf8')).trim().split('\n');
    return new Map(lines.map((line) => [line.split(' ')[1] ?? '', Number(line.split(' ')[0])]));
  };
  const startedLines = async (): Promise<number> =>
    (await readFile(join(mesh.home, 'pids'), 'utf8')).trim().split('\n').length;
  const open = (code: string): Promise<void> => writeFile(join(mesh.home, `gate-${code}`), '');

  async function begin(): Promise<{ run: string; pids: Map<string, number> }> {
    const run = await mesh.submit(await mesh.file('restart.yaml', SUITE));
    const pids = await until(async () => {
      const seen = await started();
      return seen.size === 3 ? seen : null;
    }, 'three children');
    return { run, pids };
  }

  async function expectRightEnds(run: string, pids: ReadonlyMap<string, number>): Promise<void> {
    await mesh.archived(run);
    const { tasks } = await mesh.json<{ tasks: TaskView[] }>('tasks', run);
    const ends = Object.fromEntries(
      tasks.map((task) => [String(task.axes['code']), [task.outcome, task.attempts, task.message]]),
    );
    expect(ends['0']).toEqual(['passed', 1, null]);
    expect(ends['3']).toMatchObject(['failed', 1, expect.stringContaining('3')]);
    expect(ends['7']).toMatchObject(['failed', 1, expect.stringContaining('7')]);
    expect(await startedLines(), 'nothing was started twice').toBe(3);
    expect(await started()).toEqual(pids);
  }

  it('agent: all three are adopted, with the exit status of one that ended while no agent lived', async () => {
    const { run, pids } = await begin();
    await mesh.kill9('agent');
    await open('3');
    await until(() => !isRunning(pids.get('3') ?? 0), 'the child to end without an agent');
    expect([...pids.values()].filter(isRunning)).toHaveLength(2);
    await mesh.up();
    await open('0');
    await open('7');
    await expectRightEnds(run, pids);
  });

  it.each(['coordinator', 'server'] as const)(
    '%s: the children go on, and their ends arrive',
    async (part) => {
      const { run, pids } = await begin();
      await mesh.kill9(part);
      await open('3');
      await until(() => !isRunning(pids.get('3') ?? 0), 'the child to end meanwhile');
      expect([...pids.values()].filter(isRunning)).toHaveLength(2);
      await mesh.up();
      await open('0');
      await open('7');
      await expectRightEnds(run, pids);
    },
  );
});
