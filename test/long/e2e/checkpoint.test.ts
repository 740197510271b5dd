/** A benchmark that is killed 30 times at random points counts to 1,000, from checkpoint to checkpoint. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CountingRound, killAt } from '#test/support/counting-round.ts';
import { TestMesh } from '#test/support/mesh.ts';
import { seededRandom, seedOf } from '#test/support/seed.ts';

let mesh: TestMesh;
beforeEach(async () => {
  mesh = await TestMesh.create();
});
afterEach(async () => {
  await mesh.dispose();
});

it('counts to 1,000, killed 30 times, on two agents', { timeout: 900_000 }, async () => {
  const random = seededRandom(seedOf('checkpoint'));
  const round = new CountingRound(mesh, { to: 1_000, stepMs: 120, every: '1s' });
  const run = await round.begin();
  for (let i = 0; i < 30; i += 1) await round.kill(killAt(i), 1 + Math.floor(random() * 12));
  const { attempts, agents } = await round.expectExact(run);
  expect(attempts).toBe(23); // of 30 kills 8 were the agent's alone, which ends no attempt
  expect(agents).toBe(2);
});
