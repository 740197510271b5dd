/** A run of three attempts held open by gates, for rounds in which a part of the mesh is killed. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { EventRecord } from '#protocol/fold/record.ts';
import type { RunView } from '#protocol/fold/run-view.ts';
import type { TaskView } from '#protocol/fold/task-view.ts';
import type { TestMesh } from './mesh.ts';
import { isRunning } from './processes.ts';
import { taskEnds } from './task-ends.ts';
import { until } from './until.ts';

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
    echo "begun {{code}}"
    while [ ! -e "{{suite.dir}}/gate-{{code}}" ]; do sleep 0.05; done
    echo "ends {{code}}"
    exit {{code}}
`;

export const CODES = ['0', '3', '7'] as const;
export type Code = (typeof CODES)[number];

export class RestartRound {
  readonly #mesh: TestMesh;
  readonly #dir: string;
  readonly #suite: string;

  private constructor(mesh: TestMesh, dir: string, suite: string) {
    this.#mesh = mesh;
    this.#dir = dir;
    this.#suite = suite;
  }

  /** `name` is the folder of this round in the home of the mesh, which needs three slots. */
  static async create(mesh: TestMesh, name: string): Promise<RestartRound> {
    const dir = join(mesh.home, name);
    await mkdir(dir);
    return new RestartRound(mesh, dir, await mesh.file(join(name, 'restart.yaml'), SUITE));
  }

  submit(): Promise<string> {
    return this.#mesh.submit(this.#suite);
  }

  /** Every start that has happened: code and pid, a line each. */
  async starts(): Promise<[string, number][]> {
    const text = await readFile(join(this.#dir, 'pids'), 'utf8').catch(() => '');
    const lines = text.split('\n').slice(0, -1);
    return lines.map((line) => [line.split(' ')[1] ?? '', Number(line.split(' ')[0])]);
  }

  /** All three children; resolves when they have started. */
  async children(): Promise<Map<string, number>> {
    return until(async () => {
      const seen = new Map(await this.starts());
      return seen.size === CODES.length ? seen : null;
    }, 'three children');
  }

  async open(...codes: Code[]): Promise<void> {
    for (const code of codes) await writeFile(join(this.#dir, `gate-${code}`), '');
  }

  /** Resolves when the child of `code` has ended. */
  async ended(code: Code): Promise<void> {
    const pid = new Map(await this.starts()).get(code);
    await until(() => pid !== undefined && !isRunning(pid), `the child of ${code} to end`);
  }

  /** Nothing started twice, every exit status right, one outcome a task, the archive in order. */
  async expectRightEnds(run: string): Promise<void> {
    const directory = await this.#mesh.archived(run);
    const { tasks } = await this.#mesh.json<{ tasks: TaskView[] }>('tasks', run);
    const ends = Object.fromEntries(
      tasks.map((task) => [String(task.axes['code']), [task.outcome, task.attempts, task.message]]),
    );
    expect(ends).toEqual({
      '0': ['passed', 1, null],
      '3': ['failed', 1, expect.stringContaining('3')],
      '7': ['failed', 1, expect.stringContaining('7')],
    });
    const starts = await this.starts();
    expect(starts.map(([code]) => code).sort(), 'each started once').toEqual([...CODES]);
    expect(starts.filter(([, pid]) => isRunning(pid))).toEqual([]);
    const records = (await readFile(join(directory, 'events.ndjson'), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as EventRecord);
    const count = (name: string): number =>
      records.filter(({ message }) => message.name === name).length;
    expect([taskEnds(records).length, count('attempt.exited'), count('run.ended')]).toEqual([
      3, 3, 1,
    ]);
    const { run: view } = await this.#mesh.json<{ run: RunView }>('show', run);
    expect([view.outcome, view.outcomes]).toEqual(['failed', { failed: 2, passed: 1 }]);
    for (const task of tasks) {
      const code = String(task.axes['code']);
      expect(await this.#mesh.ok('logs', `${run}/${task.id}`, '--raw')).toBe(
        `begun ${code}\nends ${code}\n`,
      );
    }
    await this.#mesh.ok('audit', run);
  }
}
