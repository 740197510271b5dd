/** A local mesh with two agents beside its own, each on a host of its own as far as the mesh can tell. */
import { afterAll, beforeAll } from 'vitest';
import { startAgents } from './fleet.ts';
import { TestMesh } from './mesh.ts';

/** For all tests of the suite that calls it; `mesh` is there once they begin. */
export function onThreeHosts(): { readonly mesh: TestMesh } {
  let mesh: TestMesh | null = null;
  let others: { readonly end: () => Promise<void> } | null = null;
  beforeAll(async () => {
    mesh = await TestMesh.create();
    await mesh.up('--slots', '1');
    others = await startAgents(mesh, ['b', 'c']);
  });
  afterAll(async () => {
    await others?.end();
    await mesh?.dispose();
  });
  return {
    get mesh() {
      if (mesh === null) throw new Error('the mesh is not there yet');
      return mesh;
    },
  };
}
