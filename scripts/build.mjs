// Bundles the program into dist/. One entry per process of the mesh, so that an agent never loads
// the code of the CLI. `node_modules` stays out of the bundle only for what ships a binary.
import { build } from 'esbuild';
import { chmod, rm } from 'node:fs/promises';

/** zod brings its messages in sixty languages; the mesh speaks one. */
const oneLocale = {
  name: 'one-locale',
  setup(bundler) {
    bundler.onLoad({ filter: /zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
    }));
  },
};

await rm('dist', { recursive: true, force: true });
await build({
  entryPoints: {
    benchmesh: 'cli/main.ts',
    agent: 'agent/main.ts',
    coordinator: 'coordinator/main.ts',
    // Threads of the coordinator.
    'lease-worker': 'coordinator/lease/lease-worker.ts',
    'snapshot-worker': 'coordinator/snapshot/snapshot-worker.ts',
  },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  sourcemap: true,
  plugins: [oneLocale],
  logLevel: 'warning',
  // Bundled CommonJS dependencies (pino) call require().
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
});
await chmod('dist/benchmesh.js', 0o755);
