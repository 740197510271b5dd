/** One agent per id: a second one is refused before it does anything, and says why. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestMesh } from '#test/support/mesh.ts';
import { isRunning } from '#test/support/processes.ts';

describe('a second agent of the same id', () => {
  let mesh: TestMesh;
  let agent: number;
  beforeAll(async () => {
    mesh = await TestMesh.create();
    await mesh.up();
    agent = await mesh.pid('agent');
  });
  afterAll(async () => {
    await mesh.dispose();
  });

  async function expectUnharmed(): Promise<void> {
    expect(isRunning(agent)).toBe(true);
    const suite = await mesh.file('hello.yaml', 'name: hello\nrun: [echo, hello]\n');
    const result = await mesh.cli(['run', suite]);
    expect(result.status, result.stdout + result.stderr).toBe(0);
  }

  it('with the same state folder is refused by its lock', async () => {
    const { agent: part } = await mesh.meshFile();
    const second = await mesh.cli([
      'agent',
      'run',
      '--id',
      'local-1',
      '--state',
      part?.stateDir ?? '',
    ]);
    expect(second.status).toBe(1);
    expect(second.stderr.trim().split('\n')).toHaveLength(1);
    expect(second.stderr).toContain(String(agent));
    await expectUnharmed();
  });

  it('with another state folder is refused by its registration', async () => {
    const second = await mesh.cli([
      'agent',
      'run',
      '--id',
      'local-1',
      '--state',
      join(mesh.home, 'other'),
    ]);
    expect(second.status).toBe(1);
    expect(second.stderr.trim().split('\n')).toHaveLength(1);
    expect(second.stderr).toContain('local-1');
    await expectUnharmed();
  });
});
