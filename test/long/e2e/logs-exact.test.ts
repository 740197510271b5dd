/** I7 at full size: 200 MB through the whole mesh, with each part killed, and all three in one run. */
import { afterAll, beforeAll, describe, it } from 'vitest';
import { expectExactLogs, KILLS } from '#test/support/exact-logs.ts';
import { TestMesh } from '#test/support/mesh.ts';

describe('200 MB are byte-exact', () => {
  let mesh: TestMesh;
  beforeAll(async () => {
    mesh = await TestMesh.create();
    await mesh.up();
  });
  afterAll(async () => {
    await mesh.dispose();
  });

  it.each(KILLS)('%s', async (_what, victims) => {
    await expectExactLogs(mesh, { megabytes: 200, victims });
  });
});
