/**
 * The wall clocks of the coordinator's and the agent's host jump by an hour, forward and back, while
 * attempts run (docs/agent.md): budgets, elapsed, leases and the order of events do not know of it.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RunView } from '#protocol/fold/run-view.ts';
import type { TaskView } from '#protocol/fold/task-view.ts';
import { TestMesh } from '#test/support/mesh.ts';
import { until } from '#test/support/until.ts';

const HOUR_MS = 3_600_000;
const BUDGET_MS = 4_000;
/** One is ended by its budget, one reports, has checkpoints and looks at its health meanwhile. */
const suite = (dir: string): string => `name: jump
axes:
  kind: [hangs, works]
needs: { exclusive: false }
budget: ${BUDGET_MS}ms
checkpoint: { files: [state], every: 200ms, keep: 2 }
health:
  every: 500ms
  checks:
    - { exec: ["true"] }
run:
  shell: |
    touch ${dir}/begun-{{kind}}
    if [ {{kind}} = hangs ]; then exec sleep 300; fi
    until [ -e ${dir}/jumped ]; do sleep 0.02; done
    for i in 1 2 3 4 5; do
      echo "progress 0.$i" >> "$BENCHMESH_REPORT"
      echo $i > state
      sleep 0.3
    done
`;

let mesh: TestMesh;
/** Holds what the clocks are shifted by, and what the attempts of each test tell and wait for. */
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'benchmesh-clock-jump-'));
  const clock = resolve('test/fixtures/shifted-clock.mjs');
  mesh = await TestMesh.create({
    NODE_OPTIONS: `--import ${clock}`,
    SHIFTED_CLOCK: join(dir, 'shift'),
  });
  await mesh.up('--slots', '2');
});
afterAll(async () => {
  await mesh.dispose();
  await rm(dir, { recursive: true });
});

async function jumpTo(ms: number): Promise<void> {
  const file = join(dir, 'shift');
  await writeFile(`${file}.new`, String(ms));
  await rename(`${file}.new`, file);
}

/** Of the agent's own log: its host's wall clock. */
async function lastStampMs(): Promise<number> {
  const lines = (await readFile(join(mesh.home, 'logs', 'agent.log'), 'utf8')).trim();
  const { time } = JSON.parse(lines.split('\n').at(-1) ?? '') as { time: string };
  return Date.parse(time);
}

const tasksOf = async (run: string): Promise<TaskView[]> =>
  (await mesh.json<{ tasks: TaskView[] }>('tasks', run)).tasks;

it.each([
  ['forward', HOUR_MS],
  ['back to what it was', 0],
])('%s', async (_how, toMs) => {
  const own = await mkdtemp(join(dir, 'run-'));
  const run = await mesh.submit(await mesh.file('jump.yaml', suite(own)));
  const begun = ['hangs', 'works'].map((kind) => join(own, `begun-${kind}`));
  await until(() => begun.every((file) => existsSync(file)), 'both to run');
  await jumpTo(toMs);
  await writeFile(join(own, 'jumped'), '');
  await mesh.archived(run);
  const tasks = await tasksOf(run);
  const [hangs, works] = ['hangs', 'works'].map((kind) =>
    tasks.find(({ axes }) => axes['kind'] === kind),
  );
  expect(works).toMatchObject({ outcome: 'passed', attempts: 1 });
  expect(hangs).toMatchObject({ outcome: 'timed_out', class: 'timeout', attempts: 1 });
  expect(hangs?.elapsedMs).toBeGreaterThanOrEqual(BUDGET_MS);
  const view = (await mesh.json<{ run: RunView }>('show', run)).run;
  for (const { elapsedMs } of [view, ...tasks]) expect(elapsedMs).toBeLessThan(HOUR_MS / 2);
  expect(Math.abs((await lastStampMs()) - Date.now() - toMs), 'it has jumped').toBeLessThan(
    HOUR_MS / 2,
  );
  await mesh.ok('audit', run);
  expect(await mesh.ok('agents')).not.toContain('unreachable');
  expect(await readFile(join(mesh.home, 'logs', 'coordinator.log'), 'utf8')).not.toContain(
    'lease lost',
  );
});
