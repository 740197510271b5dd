/** Agents beside that of a test's mesh, each on a host of its own as far as the mesh can tell. */
import { join, resolve } from 'node:path';
import type { CliProcess, TestMesh } from './mesh.ts';
import { until } from './until.ts';

const OTHER_HOST = resolve('test/fixtures/other-host.mjs');

/** Resolves when all have joined; `more`: in their environment. They end with the test's processes: `end` waits for that. */
export async function startAgents(
  mesh: TestMesh,
  ids: readonly string[],
  more: Readonly<Record<string, string>> = {},
): Promise<{ readonly end: () => Promise<void> }> {
  const { server } = await mesh.meshFile();
  const flags = ['--server', server.url, '--credential', server.credentialFile, '--slots', '1'];
  const agents: CliProcess[] = ids.map((id) => {
    const env = { NODE_OPTIONS: `--import=${OTHER_HOST}`, OTHER_HOST: `host-${id}`, ...more };
    const own = ['--id', id, '--state', join(mesh.home, `state-${id}`)];
    return mesh.start(['agent', 'run', ...flags, ...own], { env, deadlineMs: 600_000 });
  });
  await Promise.all(
    agents.map((agent) => until(() => agent.stderr().includes('agent started'), 'an agent')),
  );
  const end = async (): Promise<void> => {
    for (const { process } of agents) process.kill('SIGTERM');
    await Promise.all(agents.map(({ ended }) => ended));
  };
  return { end };
}
