/** A host that is prepared once for all attempts of a run: waited for, stopped, adopted, tried again. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HOST_SETUP_STEP, type AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { newRunId } from '#protocol/messages/ids.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { isRunning } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';
import {
  AGENT,
  attemptSpec,
  startTestMesh,
  step,
  type AgentProcess,
  type TestMesh,
} from './support/agent-process.ts';

let mesh: TestMesh;
let agent: AgentProcess;

beforeAll(async () => {
  mesh = await startTestMesh();
  agent = await mesh.start(['--slots', '2']);
});

afterAll(async () => {
  await mesh.close();
});

/** Attempts of a run of their own, whose setup notes its pid and waits for the file `go`. */
function prepared(count: number, name: string): { specs: AttemptSpec[]; file: string } {
  const file = join(mesh.dir, name);
  const run = newRunId(new Date());
  const script = `echo making; echo $$ >> ${file}.pids; echo built > out
    while [ ! -e ${file}.go ]; do sleep 0.02; done; [ ! -e ${file}.bad ] || exit 7`;
  const hostSetup = { id: 'k1' };
  const specs = Array.from({ length: count }, () =>
    attemptSpec(
      [
        step(script, { step: 'setup', id: HOST_SETUP_STEP, hostSetup }),
        step('cat "$BENCHMESH_HOST_SETUP/out"; echo $BENCHMESH_SLOT $BENCHMESH_SCRATCH'),
      ],
      { run },
    ),
  );
  return { specs, file };
}

/** Of its whole lines: the file is there before the first is written. */
const pids = (file: string): number[] =>
  existsSync(`${file}.pids`)
    ? readFileSync(`${file}.pids`, 'utf8').split('\n').slice(0, -1).map(Number)
    : [];

const making = (file: string, count = 1): Promise<number> =>
  until(() => (pids(file).length === count ? (pids(file).at(-1) ?? null) : null), 'the setup');

const waits = (spec: AttemptSpec): Promise<unknown> =>
  mesh.wait('attempt.waiting', (_data, { subject }) => subject.includes(spec.task));

test('it is made once, by the first; the others wait for it, find it, and have scratch by slot', async () => {
  const { specs, file } = prepared(4, 'once');
  for (const spec of specs) await mesh.startAttempt(spec);
  await making(file);
  const [first, second] = specs;
  if (first === undefined || second === undefined) throw new Error('no attempts');
  await waits(second);
  expect(mesh.of(second, 'attempt.waiting')[0]?.data.reason).toBe(
    `its host is being prepared by ${first.task}#1`,
  );
  expect(mesh.namesOf(second)).not.toContain('attempt.step_started');
  writeFileSync(`${file}.go`, '');
  const scratch = new Set<string>();
  for (const spec of specs) {
    expect((await mesh.exited(spec)).data).toMatchObject({ outcome: 'passed' });
    const lines = (await mesh.log(spec)).stdout.toString().trim().split('\n');
    const own = spec === first ? ['making', 'built'] : ['built'];
    expect(lines.slice(0, -1)).toEqual(own);
    scratch.add(lines.at(-1) ?? '');
  }
  expect(pids(file)).toHaveLength(1);
  const at = join(mesh.state, 'attempts', first.run);
  expect([...scratch].sort()).toEqual([0, 1].map((slot) => `${slot} ${at}/scratch-${slot}`));
  const { automatic } = (await mesh.exited(first)).data;
  expect(automatic?.map(({ name }) => name)).toEqual([
    'step.host-setup.duration',
    'step.run.duration',
  ]);
  await mesh.command(subjects.command(AGENT, 'release', first.run), 'command.release', {
    run: first.run,
  });
  await until(() => !existsSync(at), 'its folders to go with the run');
});

test('it fails: all that wait for it fail at setup, and who comes later tries again', async () => {
  const { specs, file } = prepared(3, 'fails');
  const [first, second, later] = specs;
  if (first === undefined || second === undefined || later === undefined) throw new Error('none');
  for (const spec of [first, second]) await mesh.startAttempt(spec);
  await making(file);
  await waits(second);
  writeFileSync(`${file}.bad`, '');
  writeFileSync(`${file}.go`, '');
  const verdict = { outcome: 'failed', stage: 'setup', class: 'exit' };
  expect((await mesh.exited(first)).data).toMatchObject({
    ...verdict,
    reason: 'host-setup: exit status 7',
  });
  expect((await mesh.exited(second)).data).toMatchObject({
    ...verdict,
    reason: `the host could not be prepared by ${first.task}#1: host-setup: exit status 7`,
    steps: [],
  });
  rmSync(`${file}.bad`);
  await mesh.startAttempt(later);
  expect((await mesh.exited(later)).data).toMatchObject({ outcome: 'passed' });
  expect(pids(file)).toHaveLength(2);
});

test('its maker is stopped: it is dead, and the next one makes it, in an empty folder', async () => {
  const { specs, file } = prepared(2, 'stopped');
  const [first, second] = specs;
  if (first === undefined || second === undefined) throw new Error('none');
  for (const spec of specs) await mesh.startAttempt(spec);
  const pid = await making(file);
  await waits(second);
  const folder = join(mesh.state, 'attempts', first.run, 'host-setup-k1');
  writeFileSync(join(folder, 'half'), '');
  await mesh.stop(first.run, first.task);
  expect((await mesh.exited(first)).data).toMatchObject({ outcome: 'stopped', proven: true });
  await making(file, 2);
  expect([isRunning(pid), existsSync(join(folder, 'half'))]).toEqual([false, false]);
  writeFileSync(`${file}.go`, '');
  expect((await mesh.exited(second)).data).toMatchObject({ outcome: 'passed' });
});

test('the agent is killed meanwhile: it goes on, is adopted and made once; what was made is known', async () => {
  const { specs, file } = prepared(3, 'killed');
  const [first, second, later] = specs;
  if (first === undefined || second === undefined || later === undefined) throw new Error('none');
  for (const spec of [first, second]) await mesh.startAttempt(spec);
  const pid = await making(file);
  await waits(second);
  await mesh.kill(agent);
  agent = await mesh.start(['--slots', '2']);
  expect(isRunning(pid)).toBe(true);
  writeFileSync(`${file}.go`, '');
  for (const spec of [first, second])
    expect((await mesh.exited(spec)).data).toMatchObject({ outcome: 'passed' });
  await mesh.kill(agent);
  agent = await mesh.start(['--slots', '2']);
  await mesh.startAttempt(later);
  expect((await mesh.exited(later)).data).toMatchObject({ outcome: 'passed' });
  expect(pids(file)).toEqual([pid]);
});
