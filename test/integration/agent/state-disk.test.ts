/**
 * The disk of a state folder in trouble while attempts run (docs/agent.md): out of inodes, and read-only.
 * refusals.test.ts has the full one.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, type TestContext } from 'vitest';
import type { StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { EXIT } from '#protocol/messages/errors.ts';
import { FailingDisk } from '#test/support/failing-disk.ts';
import { isRunning, processesMarked } from '#test/support/processes.ts';
import { SmallDisk } from '#test/support/small-disk.ts';
import { until } from '#test/support/until.ts';
import {
  attemptSpec,
  spawnAgent,
  startTestMesh,
  step,
  type TestMesh,
} from './support/agent-process.ts';

let mesh: TestMesh;
let disk: SmallDisk | FailingDisk | null = null;
/** Of what attempts run. */
const mark = `state-disk-${process.pid}`;
beforeEach(async () => {
  mesh = await startTestMesh();
});
afterEach(async () => {
  await mesh.close();
  for (const pid of processesMarked(mark)) process.kill(pid, 'SIGKILL');
  disk?.unmount();
  disk = null;
});

const NEEDS_ROOT = 'no such disk can be mounted here: this needs root';

const sh = (script: string): StepSpec => step('', { argv: ['sh', '-c', script, mark] });

/** Passed, or why not. */
async function fateOfOne(): Promise<{ outcome: string; class: string | null; reason: string }> {
  const spec = attemptSpec([step('true')]);
  await mesh.startAttempt(spec);
  const { outcome, class: kind, reason } = (await mesh.exited(spec)).data;
  return { outcome, class: kind, reason: reason ?? '' };
}

test('out of inodes: attempts fail with that reason, what runs goes on, all passes again', async (context: TestContext) => {
  disk = SmallDisk.mount('64m,nr_inodes=300') ?? context.skip(NEEDS_ROOT);
  const agent = await mesh.start(['--state', disk.path]);
  const eater = attemptSpec([
    step(
      'i=0; while true > "file-$i"; do i=$((i+1)); done 2>/dev/null; echo eaten; exec sleep 600',
    ),
  ]);
  await mesh.startAttempt(eater);
  const refused = await until(async () => {
    const fate = await fateOfOne();
    return fate.outcome === 'failed' ? fate : null;
  }, 'an attempt to fail');
  expect(refused).toMatchObject({
    class: 'disk',
    reason: expect.stringContaining('inodes') as string,
  });
  expect(agent.child.exitCode).toBeNull();
  const stop = await mesh.stop(eater.run, eater.task, { now: true });
  const { data } = await mesh.wait('command.stop_done', (_data, { subject }) =>
    subject.endsWith(stop.id),
  );
  expect(data.attempts).toMatchObject([{ proven: true, survivors: [] }]);
  // It printed when no file could be made any more: what could not be kept is said to be missing.
  const exited = (await mesh.exited(eater)).data;
  const { both, gaps } = await mesh.log(eater);
  expect([exited.outcome, both.length + gaps]).toEqual(['stopped', 'eaten\n'.length]);
  const work = join(disk.path, 'attempts', eater.run, `${eater.task}.1`);
  for (const name of readdirSync(work)) rmSync(join(work, name));
  await until(async () => (await fateOfOne()).outcome === 'passed', 'attempts to pass again');
});

test('read-only: the agent ends and says so, what runs goes on, the next agent takes it up', async (context: TestContext) => {
  const failing = (disk = FailingDisk.mount() ?? context.skip(NEEDS_ROOT));
  const first = await mesh.start(['--state', failing.path]);
  const spec = attemptSpec([sh('sleep 600')]);
  await mesh.startAttempt(spec);
  await mesh.began(spec);
  const [pid = 0] = processesMarked(mark);
  failing.sync();
  failing.fail();
  const waiting = attemptSpec([step('true')]);
  await mesh.startAttempt(waiting);
  const end = await first.exited;
  expect(end.code).toBe(EXIT.failed);
  expect(end.stderr.trim().split('\n')).toEqual([
    expect.stringMatching(/the state folder cannot be written any more .*read-only/),
  ]);
  expect(isRunning(pid)).toBe(true);

  const second = await spawnAgent([...mesh.flags(), '--state', failing.path]).exited;
  expect(second.code).toBe(EXIT.failed);
  expect(second.stderr).toMatch(/^benchmesh-agent: the state folder \S+ cannot be used: .*\n$/);

  // Nobody can mend a disk that is in use.
  process.kill(pid, 'SIGKILL');
  await until(() => processesMarked(mark).length === 0, 'what ran to be gone');
  await until(() => {
    failing.mend();
    return true;
  }, 'the disk to be mended');
  const third = await mesh.start(['--state', failing.path]);
  expect((await mesh.exited(spec)).data).toMatchObject({ outcome: 'lost', class: 'lost' });
  expect((await mesh.exited(waiting)).data.outcome).toBe('passed');
  await mesh.kill(third);
});

test('a disk that fails right after the first start does not take the identity of the folder', async (context: TestContext) => {
  const failing = (disk = FailingDisk.mount() ?? context.skip(NEEDS_ROOT));
  const first = await mesh.start(['--state', failing.path]);
  failing.fail();
  await mesh.kill(first);
  await until(() => {
    failing.mend();
    return true;
  }, 'the disk to be mended');
  const second = await mesh.start(['--state', failing.path]);
  const [before, after] = mesh.find('agent.started').map(({ data }) => data.registration);
  expect([after?.instance, after?.incarnation]).toEqual([before?.instance, 2]);
  await mesh.kill(second);
});
