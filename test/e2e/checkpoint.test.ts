/** A benchmark that is killed in every way goes on from its last checkpoint; test/long does it 30 times. */
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

it('counts to 100, killed once in each way, on two agents', async () => {
  const random = seededRandom(seedOf('checkpoint'));
  const round = new CountingRound(mesh, { to: 100, stepMs: 60, every: '200ms' });
  const run = await round.begin();
  for (let i = 0; i < 4; i += 1) await round.kill(killAt(i), 4 + Math.floor(random() * 12));
  const { attempts, agents } = await round.expectExact(run);
  expect(attempts).toBe(4); // the agent alone is no end of an attempt
  expect(agents).toBe(2);
});
