/** The programs of the mesh as they are installed: dist/agent.js, dist/coordinator.js, the CLI itself. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MeshError } from '#protocol/messages/errors.ts';

export type Program = 'agent' | 'benchmesh' | 'coordinator';

/** Absolute path; found beside the bundle this runs from, or from the sources in dist/. */
export function programFile(program: Program): string {
  let dir = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const beside = join(dir, `${program}.js`);
    if (existsSync(join(dir, 'benchmesh.js')) && existsSync(beside)) return beside;
    if (existsSync(join(dir, 'package.json'))) {
      const built = join(dir, 'dist', `${program}.js`);
      if (existsSync(built)) return built;
      throw new MeshError('start_failed', `${built} is missing: run npm run build`);
    }
    const above = dirname(dir);
    if (above === dir) throw new MeshError('start_failed', `${program}.js is missing: reinstall`);
    dir = above;
  }
}
