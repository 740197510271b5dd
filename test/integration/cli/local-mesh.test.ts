/** The local mesh: starts once, heals, ends verified, never from under a run by accident. */
import { readdir, rm } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commandLineOf } from '#protocol/runtime/process-identity.ts';
import { TestMesh } from '#test/support/mesh.ts';
import { isRunning } from '#test/support/processes.ts';
import { until } from '#test/support/until.ts';

const PARTS = ['server', 'coordinator', 'agent'] as const;

interface UpJson {
  readonly started: string[];
  readonly mesh: { server: { url: string; pid: number } };
}

describe('the local mesh', () => {
  let mesh: TestMesh;
  beforeEach(async () => {
    mesh = await TestMesh.create();
  });
  afterEach(async () => {
    await mesh.dispose();
  });
  const pids = (): Promise<number[]> => Promise.all(PARTS.map((part) => mesh.pid(part)));

  it('two ups at once start one mesh', async () => {
    const [one, other] = await Promise.all([
      mesh.json<UpJson>('up', '--detach'),
      mesh.json<UpJson>('up', '--detach'),
    ]);
    expect([...one.started, ...other.started].sort()).toEqual(['agent', 'coordinator', 'server']);
    expect(other.mesh).toEqual(one.mesh);
  });

  it.each(PARTS)(
    'up starts a killed %s again, at the same address, and nothing else',
    async (part) => {
      const before = await mesh.json<UpJson>('up', '--detach');
      const others = PARTS.filter((name) => name !== part);
      const kept = await Promise.all(others.map((name) => mesh.pid(name)));
      await mesh.kill9(part);
      const after = await mesh.json<UpJson>('up', '--detach');
      expect(after.started).toEqual([part]);
      expect(after.mesh.server.url).toBe(before.mesh.server.url);
      expect(await Promise.all(others.map((name) => mesh.pid(name)))).toEqual(kept);
      expect((await mesh.json<UpJson>('up', '--detach')).started).toEqual([]);
    },
  );

  it('up hands its agent the reserved CPUs, and keeps them when it is started again', async () => {
    const refused = await mesh.cli(['up', '--detach', '--reserved-cpus', 'first']);
    expect([refused.status, refused.stderr]).toEqual([2, expect.stringContaining('list of CPUs')]);
    const reserved = async (): Promise<unknown> =>
      (
        await mesh.json<{ agents: { registration: { reservedCpus?: string } }[] }>(
          'agents',
          'local-1',
        )
      ).agents[0]?.registration.reservedCpus;
    await mesh.ok('up', '--detach', '--reserved-cpus', '0');
    expect(await reserved()).toBe('0');
    await mesh.kill9('agent');
    await mesh.ok('up', '--detach');
    expect(await reserved()).toBe('0');
  });

  it('up hands its coordinator --cordon-after, and keeps it when that is started again', async () => {
    const told = async (): Promise<string | undefined> =>
      / --cordon-after (\d+)/.exec(commandLineOf(await mesh.pid('coordinator')))?.[1];
    await mesh.ok('up', '--detach', '--cordon-after', '7');
    expect(await told()).toBe('7');
    await mesh.kill9('coordinator');
    await mesh.ok('up', '--detach');
    expect(await told()).toBe('7');
  });

  it('finds its parts again when mesh.json is lost', async () => {
    await mesh.up();
    const before = await pids();
    await rm(`${mesh.home}/mesh.json`);
    expect((await mesh.json<UpJson>('up', '--detach')).started).toEqual([]);
    expect(await pids()).toEqual(before);
  });

  it('down ends every process, twice is once', async () => {
    await mesh.up();
    const all = await pids();
    expect(await mesh.ok('down')).toContain('has ended');
    expect(all.filter(isRunning)).toEqual([]);
    expect(await readdir(mesh.home)).not.toContain('mesh.json');
    expect(await mesh.ok('down')).toContain('no mesh is running');
  });

  it('down refuses while a run has not ended, with any part dead; --stop stops it first', async () => {
    await mesh.up();
    const suite = await mesh.file(
      'slow.yaml',
      'name: slow\nrun: [sh, -c, "echo begun; sleep 600"]\n',
    );
    const run = await mesh.submit(suite);
    await until(async () => (await mesh.ok('logs', run)).includes('begun'), 'the child to run');
    const refused = await mesh.cli(['down']);
    expect([refused.status, refused.stderr]).toEqual([6, expect.stringContaining(run)]);
    await mesh.kill9('server');
    const unasked = await mesh.cli(['down']);
    expect([unasked.status, unasked.stderr]).toEqual([6, expect.stringContaining('--stop')]);
    await mesh.up();
    const all = await pids();
    const down = await mesh.cli(['down', '--stop']);
    expect(down.status, down.stderr).toBe(0);
    expect(down.stderr).toContain('agent local-1: 1 attempt');
    expect(all.filter(isRunning)).toEqual([]);
  });

  it('up in the foreground starts again what dies, and Ctrl-C ends the mesh', async () => {
    const up = mesh.start(['up']);
    await until(() => up.stderr().includes('Ctrl-C'), 'the mesh to be up');
    const before = await mesh.pid('agent');
    await mesh.kill9('agent');
    await until(
      () => up.stderr().includes('agent had died and was started again'),
      'the agent to be back',
    );
    expect(await mesh.pid('agent')).not.toBe(before);
    const all = await pids();
    up.process.kill('SIGINT');
    const { status, stderr } = await up.ended;
    expect([status, stderr]).toEqual([0, expect.stringContaining('the mesh has ended')]);
    expect(all.filter(isRunning)).toEqual([]);
  });

  it('up in the foreground ends when somebody else takes the mesh down', async () => {
    const up = mesh.start(['up']);
    await until(() => up.stderr().includes('Ctrl-C'), 'the mesh to be up');
    await mesh.ok('down');
    expect((await up.ended).status).toBe(0);
  });
});
