/** What an agent leaves on the disk of its host is bounded (I12). */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '#test/support/until.ts';
import {
  attemptSpec,
  startTestMesh,
  step,
  type AgentProcess,
  type TestMesh,
} from './support/agent-process.ts';

const MIB = 1024 ** 2;
const DAY_MS = 86_400_000;
const LIMITS = ['--spool-limit', '16MiB', '--journal-limit', '32MiB', '--keep-days', '2'];

let mesh: TestMesh;
let agent: AgentProcess;

beforeAll(async () => {
  mesh = await startTestMesh();
  age('2020-01-01_00-00-00-old1');
  mkdirSync(join(mesh.state, 'attempts', '2020-01-01_00-00-00-new1'));
  agent = await mesh.start(['--slots', '1', ...LIMITS]);
});

afterAll(async () => {
  await mesh.close();
});

/** The folder of a run and what is in it, made if missing, was last changed three days ago. */
function age(run: string): void {
  const dir = join(mesh.state, 'attempts', run);
  mkdirSync(join(dir, 't1.1'), { recursive: true });
  const then = new Date(Date.now() - 3 * DAY_MS);
  for (const name of readdirSync(dir)) utimesSync(join(dir, name), then, then);
  utimesSync(dir, then, then);
}

const isThere = (run: string): boolean => existsSync(join(mesh.state, 'attempts', run));

const logged = (text: string): Record<string, unknown>[] =>
  readFileSync(join(mesh.state, 'agent.log'), 'utf8')
    .split('\n')
    .filter((line) => line.includes(text))
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('the folder of a run that nobody released goes when it is old, and the log names it', async () => {
  await until(() => !isThere('2020-01-01_00-00-00-old1'), 'the old folder to go');
  expect(isThere('2020-01-01_00-00-00-new1')).toBe(true);
  expect(logged('nobody released')).toMatchObject([
    { run: '2020-01-01_00-00-00-old1', keepDays: 2 },
  ]);
});

test('the journal has the limit that the agent was given', () => {
  expect(logged('agent started')).toMatchObject([{ journal: { maxBytes: 32 * MIB } }]);
});

test('undelivered output of a step stops at its share of the host; the benchmark never waits', async () => {
  const [go, done] = [join(mesh.dir, 'go'), join(mesh.dir, 'done')];
  const spec = attemptSpec([
    step(`while [ ! -e ${go} ]; do sleep 0.02; done; head -c 40000000 /dev/zero; echo > ${done}`),
  ]);
  await mesh.startAttempt(spec);
  await mesh.began(spec);
  // Nobody delivers now.
  agent.child.kill('SIGSTOP');
  writeFileSync(go, '');
  try {
    await until(() => existsSync(done), 'the benchmark to end');
  } finally {
    agent.child.kill('SIGCONT');
  }
  expect((await mesh.exited(spec)).data).toMatchObject({ outcome: 'passed' });
  const log = await mesh.log(spec);
  expect(log.both.length + log.gaps).toBe(40_000_000);
  expect(log.both.length).toBeGreaterThan(4 * MIB);
  expect(log.both.length).toBeLessThanOrEqual(8 * MIB);
});

test('an old folder is kept while an attempt of its run lives, also over a restart', async () => {
  const spec = attemptSpec([step('sleep 60')]);
  await mesh.startAttempt(spec);
  await mesh.began(spec);
  await mesh.kill(agent);
  age(spec.run);
  // Looked at after the run's own.
  age('2999-01-01_00-00-00-last');
  agent = await mesh.start(['--slots', '1', ...LIMITS]);
  await until(() => !isThere('2999-01-01_00-00-00-last'), 'the last folder to go');
  expect(isThere(spec.run)).toBe(true);
  await mesh.stop(spec.run, spec.task, { now: true });
  expect((await mesh.exited(spec)).data).toMatchObject({ outcome: 'stopped' });
});
