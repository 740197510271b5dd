/** Tasks of uneven length on two agents: what waits behind the long one runs on the agent that is free. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { TestMesh, type CliProcess } from '#test/support/mesh.ts';
import { until } from '#test/support/until.ts';

let mesh: TestMesh;
let second: CliProcess;

beforeEach(async () => {
  mesh = await TestMesh.create();
  await mesh.up('--slots', '1');
  second = mesh.start(['agent', 'run', '--id', 'second', '--slots', '1'], { deadlineMs: 120_000 });
  await until(async () => {
    const { agents } = await mesh.json<{ agents: { agent: string; state: string }[] }>('agents');
    return agents.some(({ agent, state }) => agent === 'second' && state === 'ready');
  }, 'the second agent');
});

afterEach(async () => {
  second.process.kill('SIGKILL');
  await mesh.dispose();
});

interface Task {
  readonly id: string;
  readonly outcome: string | null;
  readonly attempts: number;
  readonly axes: { readonly item: string };
}

async function tasks(run: string): Promise<readonly Task[]> {
  return (await mesh.json<{ tasks: Task[] }>('tasks', run)).tasks;
}

const SUITE = `
name: uneven
axes: { item: [long, a, b, c] }
needs: { exclusive: false }
run:
  shell: if [ {{item}} = long ]; then while [ ! -e GO ]; do sleep 0.05; done; fi
`;

it('is handed to the agent that would sit idle, and counts as no attempt', async () => {
  const go = join(mesh.home, 'go');
  const suite = await mesh.file('uneven.yaml', SUITE.replace('GO', go));
  const run = await mesh.submit(suite);
  await until(
    async () => (await tasks(run)).filter(({ outcome }) => outcome === 'passed').length === 3,
    'all but the long one to have passed',
  );
  await writeFile(go, '');
  await mesh.ok('watch', run);
  const all = await tasks(run);
  expect(all.map(({ outcome, attempts }) => [outcome, attempts])).toEqual(
    all.map(() => ['passed', 1]),
  );
  const shown = await Promise.all(
    all.map(({ id }) =>
      mesh.json<{ attempts: { agent: string; outcome: string }[] }>('show', `${run}/${id}`),
    ),
  );
  const given = shown.filter(({ attempts }) => attempts.length > 1);
  expect(given.length).toBeGreaterThan(0);
  for (const { attempts } of given) {
    expect(attempts.map(({ outcome }) => outcome)).toEqual(['skipped', 'passed']);
    expect(attempts[0]?.agent).not.toBe(attempts[1]?.agent);
  }
  await mesh.archived(run);
  await mesh.ok('audit', run);
});
