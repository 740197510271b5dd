/** A host that is cut off: nothing is lost, nothing comes twice. test/long has the full size. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CutLink } from '#test/support/cut-link.ts';
import { expectWholeAfterCut } from '#test/support/partition-round.ts';
import { isRunning } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';
import { attemptSpec, startTestMesh, step } from './support/agent-process.ts';

test('cut off for 8 s while 4 attempts print: all of it is there after', async (context) => {
  const link = CutLink.create();
  if (typeof link === 'string') {
    process.stdout.write(`skipped: ${link}\n`);
    context.skip(link);
    return;
  }
  try {
    process.stdout.write(`${await expectWholeAfterCut(link, { attempts: 4, cutMs: 8_000 })}\n`);
    expect.hasAssertions();
  } finally {
    link.dispose();
  }
});

test('onPartition ends what runs and what waits, verified, and tells it on return', async () => {
  const mesh = await startTestMesh();
  try {
    await mesh.start(['--slots', '2']);
    const onPartition = { stopAfterMs: 300 };
    const loop = (name: string) =>
      step(`echo $$ > ${mesh.dir}/${name}; while [ ! -e ${mesh.dir}/go ]; do sleep 0.02; done`);
    const cleaned = step(`touch ${mesh.dir}/cleaned`, { step: 'teardown' });
    const ending = attemptSpec([loop('ending'), cleaned], { onPartition });
    const going = attemptSpec([loop('going')]);
    const waiting = attemptSpec([step(`touch ${mesh.dir}/ran`)], { onPartition });
    for (const spec of [ending, going, waiting]) await mesh.startAttempt(spec);
    await mesh.wait('attempt.accepted', (_data, { subject }) => subject.includes(waiting.task));
    const pid = (name: string): Promise<number> =>
      until(() => Number(readFileSync(join(mesh.dir, name), 'utf8')) || null, `pid of ${name}`);
    const [first, second] = [await pid('ending'), await pid('going')];
    await mesh.server.kill();
    await until(() => !isRunning(first), 'the attempt with a limit to end');
    await until(() => existsSync(join(mesh.dir, 'cleaned')), 'its teardown');
    expect(isRunning(second), 'the one without a limit goes on').toBe(true);
    await mesh.server.start();
    expect((await mesh.exited(ending)).data).toMatchObject({
      outcome: 'failed',
      stage: 'run',
      class: 'partition',
      reason: 'its host was cut off from the server for 0.3 s (onPartition)',
      proven: true,
      survivors: [],
    });
    expect((await mesh.exited(waiting)).data).toMatchObject({
      outcome: 'failed',
      stage: 'provision',
      class: 'partition',
      steps: [],
    });
    writeFileSync(join(mesh.dir, 'go'), '');
    expect((await mesh.exited(going)).data).toMatchObject({ outcome: 'passed' });
    expect(existsSync(join(mesh.dir, 'ran'))).toBe(false);
  } finally {
    await mesh.close();
  }
});
