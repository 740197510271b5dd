/**
 * A local mesh that is dead, or whose record is damaged, is not "no mesh": what is asked of it is
 * answered with `mesh_unreachable`, never from the finished runs alone.
 */
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { allRuns } from '#cli/commands/runs.ts';
import { endMesh, unfinished } from '#cli/mesh/end-mesh.ts';
import { openIfAny } from '#cli/mesh/find-mesh.ts';
import { withRun } from '#cli/runs/find-run.ts';
import { writeMeshFile } from '#protocol/runtime/local-mesh.ts';

const DONE = '2026-02-13_14-30-45-k3f9';
const LIVE = '2026-02-14_14-30-45-k3fa';
const VIEW = {
  ...{ id: DONE, suite: 'hello', state: 'ended', outcome: 'passed', tasks: 1, by: 'me@here' },
  ...{ states: { ended: 1 }, outcomes: { passed: 1 }, elapsedMs: 5 },
  submitted: '2026-02-13T14:30:45.000Z',
};
const DOWN = expect.objectContaining({ code: 'mesh_unreachable' }) as Error;

describe('a mesh that is down', () => {
  let home: string;
  const before = { ...process.env };
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'benchmesh-home-'));
    process.env['BENCHMESH_HOME'] = home;
    delete process.env['BENCHMESH_SERVER'];
    delete process.env['BENCHMESH_RESULTS'];
    await archive(DONE);
  });
  afterEach(async () => {
    process.env = { ...before };
    await rm(home, { recursive: true, force: true });
  });

  async function archive(name: string, run: unknown = VIEW): Promise<string> {
    const directory = join(home, 'results', name);
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, 'benchmesh.json'), '{}');
    await writeFile(join(directory, 'run.json'), JSON.stringify({ sequence: 1, run }));
    return directory;
  }

  async function dead(): Promise<void> {
    // The pid of init with a start time it never had: a process that is gone.
    const server = {
      ...{ pid: 1, startTime: 'never', logFile: '/dev/null' },
      ...{ url: 'nats://127.0.0.1:1', credentialFile: join(home, 'none') },
    };
    await writeMeshFile(home, {
      ...{ version: 1, stays: true, bootId: 'x', server, coordinator: null, agent: null },
    });
  }
  const damaged = (): Promise<void> => writeFile(join(home, 'mesh.json'), '{"version": 1, ');

  it('no record is no mesh: finished runs are all there are', async () => {
    expect(await openIfAny({}, 'test')).toBeNull();
    expect(await withRun({}, 'latest', (found) => Promise.resolve(found.run))).toBe(DONE);
    await expect(withRun({}, LIVE, () => Promise.resolve())).rejects.toMatchObject({
      code: 'not_found',
    });
    expect(await allRuns({ limit: 9 })).toMatchObject({ unreachable: null, problems: [] });
  });

  it.each([
    ['dead', dead, /does not answer/],
    ['damaged', damaged, /mesh\.json cannot be read/],
    ['a directory', () => mkdir(join(home, 'mesh.json')), /mesh\.json cannot be read \(EISDIR/],
  ])('its record says a mesh that is %s: unreachable', async (_what, make, said) => {
    await make();
    await expect(openIfAny({}, 'test')).rejects.toThrow(said);
    for (const text of ['latest', 'k3f9', LIVE])
      await expect(withRun({}, text, () => Promise.resolve(text))).rejects.toEqual(DOWN);
    // A finished run under its full id needs no mesh.
    expect(await withRun({}, DONE, (found) => Promise.resolve(found.kind))).toBe('archived');
    const { rows, unreachable } = await allRuns({ limit: 9 });
    expect(rows.map((row) => row.id)).toEqual([DONE]);
    expect(unreachable).toMatch(said);
  });

  it('down of a dead server goes on, of a damaged record it says so', async () => {
    await dead();
    expect((await unfinished(home)).runs).toEqual([]);
    await damaged();
    await expect(unfinished(home)).rejects.toEqual(DOWN);
    await expect(endMesh(home)).rejects.toEqual(DOWN);
  });

  it('runs lists what it can read and names what it cannot', async () => {
    const cut = await archive('2026-02-13_14-30-46-k3f9');
    await writeFile(join(cut, 'run.json'), '{"sequence": 1, "ru');
    const empty = await archive('2026-02-13_14-30-47-k3f9', { id: '2026-02-13_14-30-47-k3f9' });
    const copy = join(home, 'results', '2026-02-13_14-30-48-k3f9');
    await cp(join(home, 'results', DONE), copy, { recursive: true });
    const renamed = await archive(`${DONE}-old`);
    await mkdir(join(home, 'results', 'notes'));
    const { rows, problems } = await allRuns({ limit: 9 });
    expect(rows.map((row) => row.id)).toEqual([DONE]);
    expect(problems.map((one) => one.directory).sort()).toEqual([cut, empty, copy, renamed].sort());
    expect(problems.map((one) => one.reason).join('\n')).toMatch(/of another run/);
  });
});
