/** I4, I6: a stop that races with starts. test/long repeats it 20 times. */
import { afterAll, beforeAll, describe, it } from 'vitest';
import { TestMesh } from '#test/support/mesh.ts';
import { stopInTheMiddle } from '#test/support/stop-race.ts';

describe('a stop in the middle of 500 short tasks', () => {
  let mesh: TestMesh;
  beforeAll(async () => {
    mesh = await TestMesh.create();
    await mesh.up('--slots', '2');
  });
  afterAll(async () => {
    await mesh.dispose();
  });

  it.each([
    [20, false],
    [90, true],
    [200, false],
  ])('after %i tasks have started, the coordinator frozen meanwhile: %s', async (after, frozen) => {
    await stopInTheMiddle(mesh, after, { frozen });
  });
});
