/** Ids: one directory per submit, named in UTC, in order; a repeated submit is the same run. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newRunId } from '#protocol/messages/ids.ts';
import { TestMesh } from '#test/support/mesh.ts';
import { until } from '#test/support/until.ts';

describe('runs', () => {
  let mesh: TestMesh;
  let suite: string;
  beforeAll(async () => {
    mesh = await TestMesh.create({ TZ: 'Asia/Tokyo' });
    await mesh.up();
    suite = await mesh.file('hello.yaml', 'name: hello\nrun: [echo, hello]\n');
  });
  afterAll(async () => {
    await mesh.dispose();
  });
  const directories = async (): Promise<string[]> =>
    (await readdir(join(mesh.home, 'results')).catch(() => []))
      .filter((name) => !name.startsWith('.'))
      .sort();

  it('many detached submits give as many directories, named in UTC, in order', async () => {
    const begun = newRunId(new Date()).slice(0, 19);
    const ids: string[] = [];
    // Five at a time: this machine has two cores and each is a process of its own.
    for (let round = 0; round < 10; round += 1) {
      ids.push(...(await Promise.all(Array.from({ length: 5 }, () => mesh.submit(suite)))));
    }
    const ended = newRunId(new Date()).slice(0, 19);
    await until(async () => (await directories()).length === 50, '50 directories', 120_000);
    expect(await directories()).toEqual([...ids].sort());
    for (const id of ids) {
      expect(id.slice(0, 19) >= begun && id.slice(0, 19) <= ended, id).toBe(true);
    }
  });

  it('the same submit repeated with its id is one run', async () => {
    const id = newRunId(new Date());
    await mesh.submit(suite, '--id', id);
    await mesh.submit(suite, '--id', id);
    await mesh.archived(id);
    expect(await mesh.submit(suite, '--id', id)).toBe(id);
    expect((await directories()).filter((name) => name === id)).toHaveLength(1);
  });

  it('are still listed, with logs, after down, kill -9 of everything and up', async () => {
    const failing = await mesh.submit(
      await mesh.file('bad.yaml', 'name: bad\nrun: [sh, -c, "echo oops; exit 3"]\n'),
    );
    await mesh.archived(failing);
    const stopped = await mesh.submit(
      await mesh.file('slow.yaml', 'name: slow\nrun: [sh, -c, "echo begun; sleep 60"]\n'),
    );
    await until(async () => (await mesh.ok('logs', stopped)).includes('begun'), 'the child to run');
    await mesh.ok('stop', stopped);
    await mesh.archived(stopped);
    await mesh.ok('down');
    const expectListed = async (): Promise<void> => {
      const { runs } = await mesh.json<{ runs: { id: string; outcome: string }[] }>(
        'runs',
        '--limit',
        '1000',
      );
      const outcome = (id: string): string | undefined =>
        runs.find((run) => run.id === id)?.outcome;
      expect([outcome(failing), outcome(stopped)]).toEqual(['failed', 'stopped']);
      expect(await mesh.ok('logs', failing)).toContain('oops');
      expect(await mesh.ok('logs', stopped)).toContain('begun');
    };
    await expectListed();
    await mesh.up();
    for (const part of ['agent', 'coordinator', 'server'] as const) await mesh.kill9(part);
    await expectListed();
    await mesh.up();
    await expectListed();
  });
});
