/** A host is taken out of a running mesh: its queue goes elsewhere, nothing of the run is lost (I4). */
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
  await until(async () => (await agents())['second'] === 'ready', 'the second agent');
});

afterEach(async () => {
  second.process.kill('SIGKILL');
  await mesh.dispose();
});

async function agents(): Promise<Record<string, string>> {
  const all = await mesh.json<{ agents: { agent: string; state: string }[] }>('agents');
  return Object.fromEntries(all.agents.map(({ agent, state }) => [agent, state]));
}

/** `show RUN/TASK --json`. */
interface Shown {
  readonly task: { readonly outcome: string | null };
  readonly attempts: readonly { readonly agent: string; readonly outcome: string | null }[];
}

async function tasks(run: string): Promise<readonly Shown[]> {
  const { tasks: listed } = await mesh.json<{ tasks: { id: string }[] }>('tasks', run);
  return Promise.all(listed.map(({ id }) => mesh.json<Shown>('show', `${run}/${id}`)));
}

const SUITE = `
name: drain
axes: { item: [1, 2, 3, 4, 5, 6] }
needs: { exclusive: false }
run:
  shell: while [ ! -e GO ]; do sleep 0.05; done
`;

async function submitted(): Promise<string> {
  const suite = await mesh.file('drain.yaml', SUITE.replace('GO', join(mesh.home, 'go')));
  const run = await mesh.submit(suite);
  await until(
    async () =>
      (await tasks(run)).filter(({ attempts }) => attempts[0]?.agent === 'second').length >= 2,
    'the second agent to have one that runs and one that waits',
  );
  return run;
}

const attemptsOn = (of: readonly Shown[], agent: string): Shown['attempts'] =>
  of.flatMap(({ attempts }) => attempts.filter((attempt) => attempt.agent === agent));

it('TERM: its queue runs elsewhere, what runs ends there, then it has ended', async () => {
  const run = await submitted();
  second.process.kill('SIGTERM');
  await until(async () => (await agents())['second'] === 'draining', 'it to drain');
  await writeFile(join(mesh.home, 'go'), '');
  await mesh.ok('watch', run);
  expect((await second.ended).status).toBe(0);
  expect((await agents())['second']).toBe('stopped');
  const all = await tasks(run);
  expect(all.map(({ task }) => task.outcome)).toEqual(all.map(() => 'passed'));
  const there = attemptsOn(all, 'second');
  expect(there.filter(({ outcome }) => outcome === 'passed')).toHaveLength(1);
  expect(there.filter(({ outcome }) => outcome === 'skipped').length).toBeGreaterThan(0);
  const given = all.filter(({ attempts }) => attempts[0]?.outcome === 'skipped');
  for (const { attempts } of given) {
    expect(attempts.map(({ agent }) => agent)).toEqual(['second', 'local-1']);
  }
  await mesh.archived(run);
  await mesh.ok('audit', run);
});

it('TERM twice: what it ran is stopped there and runs elsewhere', async () => {
  const run = await submitted();
  second.process.kill('SIGTERM');
  await until(() => second.stderr().includes('waits for'), 'it to drain');
  second.process.kill('SIGTERM');
  expect((await second.ended).status).toBe(0);
  await writeFile(join(mesh.home, 'go'), '');
  await mesh.ok('watch', run);
  const all = await tasks(run);
  expect(all.map(({ task }) => task.outcome)).toEqual(all.map(() => 'passed'));
  const stopped = attemptsOn(all, 'second').filter(({ outcome }) => outcome === 'stopped');
  expect(stopped).toHaveLength(1);
});
