/** I7 at full size: 200 MB on both streams, shipped while they come. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createSupervisor } from '#agent/process/supervisor.ts';
import { NOISE, shipped } from '#test/support/process-noise.ts';
import { StepBench } from '#test/support/process-step.ts';

let bench: StepBench;
beforeAll(async () => {
  bench = new StepBench(await createSupervisor({ rung: 'subreaper' }));
});
afterAll(() => {
  bench.dispose();
});

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of createReadStream(path)) hash.update(part as Buffer);
  return hash.digest('hex');
}

it('is byte-exact for 200 MB', async () => {
  const copy = join(bench.root, 'copy');
  const step = bench.start(['perl', '-e', NOISE, '200000000', copy], { logLimitBytes: 2 ** 30 });
  const { hashes, offset } = await shipped(step);
  expect(await step.ended).toMatchObject({ logBytes: offset, droppedBytes: 0 });
  expect(offset).toBeGreaterThanOrEqual(200_000_000);
  expect(hashes.stdout).toBe(await sha256(`${copy}.0`));
  expect(hashes.stderr).toBe(await sha256(`${copy}.1`));
});
