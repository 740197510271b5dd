/** I4, I6: a stop that races with starts, 20 times. */
import { afterAll, beforeAll, describe, it } from 'vitest';
import { TestMesh } from '#test/support/mesh.ts';
import { stopInTheMiddle } from '#test/support/stop-race.ts';

/** At most half of them: the others last longer than a CLI takes to start on a busy machine. */
const ROUNDS = Array.from(
  { length: 20 },
  (_, round) => [round + 1, 5 + round * 12, round % 2 === 1] as const,
);

describe('a stop in the middle of 500 short tasks', () => {
  let mesh: TestMesh;
  beforeAll(async () => {
    mesh = await TestMesh.create();
    await mesh.up('--slots', '2');
  });
  afterAll(async () => {
    await mesh.dispose();
  });

  it.each(ROUNDS)(
    'round %i: after %i tasks have started, the coordinator frozen meanwhile: %s',
    async (_round, after, frozen) => {
      await stopInTheMiddle(mesh, after, { frozen });
    },
  );
});
