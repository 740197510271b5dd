/** Ids: one directory per submit, named in UTC, in order; a repeated submit is the same run. */
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newRunId } from '#protocol/messages/ids.ts';
import { TestMesh } from '#test/support/mesh.ts';
import { until } from '#test/support/until.ts';

/** Now, as an id begins; whatever the time zone of the test. */
const utcNow = (): string =>
  new Date().toISOString().slice(0, 19).replace('T', '_').replaceAll(':', '-');

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

  /** Submits so many times in one process, one after the other; the ids in that order. */
  async function burst(count: number): Promise<string[]> {
    const program = fileURLToPath(new URL('../support/submitter.ts', import.meta.url));
    const args = ['--import', 'tsx', program, suite, String(count)];
    const env = { ...process.env, BENCHMESH_HOME: mesh.home, TZ: 'Asia/Tokyo' };
    const { stdout } = await promisify(execFile)(process.execPath, args, { env });
    return stdout.trim().split('\n');
  }

  const listed = async (): Promise<{ id: string; submitted: string }[]> =>
    (
      await mesh.json<{ runs: { id: string; submitted: string }[] }>('runs', '--limit', '10000')
    ).runs.map(({ id, submitted }) => ({ id, submitted }));

  /** From the first to the last, by the stream's clock. */
  async function spanMs(ids: readonly string[]): Promise<number> {
    const times = (await listed())
      .filter((run) => ids.includes(run.id))
      .map((run) => Date.parse(run.submitted));
    expect(times).toHaveLength(ids.length);
    return Math.max(...times) - Math.min(...times);
  }

  it('50 detached submits in a second give 50 directories, named in UTC, in order', async () => {
    const begun = utcNow();
    const all: string[] = [];
    // What is asserted holds for every burst. That one fits into a second is up to the machine: it
    // is tried a few times, and said if none did.
    let span = Infinity;
    for (let round = 0; round < 3 && span >= 1_000; round += 1) {
      const ids = await burst(50);
      all.push(...ids);
      span = await spanMs(ids);
      process.stdout.write(`50 submits in ${span} ms\n`);
    }
    if (span >= 1_000) process.stdout.write('no 50 submits fitted into a second: machine busy\n');
    const ended = utcNow();

    await until(
      async () => (await directories()).length === all.length,
      `${all.length} directories`,
      120_000,
    );
    expect(await directories(), 'by name: in the order of submission').toEqual(all);
    expect((await listed()).map((run) => run.id)).toEqual(all);
    expect((await mesh.json<{ run: { id: string } }>('show', 'latest')).run.id).toBe(all.at(-1));
    for (const id of all) {
      expect(id.slice(0, 19) >= begun && id.slice(0, 19) <= ended, id).toBe(true);
    }
  });

  it('submits of many processes at once give as many runs', async () => {
    const before = (await directories()).length;
    const ids = await Promise.all(Array.from({ length: 8 }, () => mesh.submit(suite)));
    expect(new Set(ids).size).toBe(8);
    await until(async () => (await directories()).length === before + 8, '8 more directories');
    expect((await directories()).slice(before)).toEqual([...ids].sort());
    const order = (await listed()).map((run) => run.submitted);
    expect(order).toEqual([...order].sort());
  });

  it('the same submit repeated with its id is one run', async () => {
    const id = newRunId(new Date());
    await mesh.submit(suite, '--id', id);
    await mesh.submit(suite, '--id', id);
    await mesh.archived(id);
    expect(await mesh.submit(suite, '--id', id)).toBe(id);
    expect((await directories()).filter((name) => name === id)).toHaveLength(1);
    // Another suite under its id, live or finished, is not "submitted before".
    const other = await mesh.file('other.yaml', 'name: other\nrun: [sleep, "600"]\n');
    const live = newRunId(new Date());
    await mesh.submit(other, '--id', live);
    for (const [file, taken] of [
      [other, id],
      [suite, live],
    ] as const) {
      const refused = await mesh.cli(['run', file, '--detach', '--id', taken]);
      expect([refused.status, refused.stdout]).toEqual([2, '']);
      expect(refused.stderr).toContain(`run ${taken} was submitted before with another suite`);
    }
    expect(await mesh.submit(other, '--id', live)).toBe(live);
    await mesh.ok('stop', live, '--now');
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
    const expectListed = async (status = 0): Promise<void> => {
      const listing = await mesh.cli(['runs', '--limit', '1000', '--json']);
      // With the mesh dead, and not taken down, nobody can say that these are all.
      expect([listing.status, listing.stderr.includes('runs that are live are missing')]).toEqual([
        status,
        status === 7,
      ]);
      const { runs } = JSON.parse(listing.stdout) as { runs: { id: string; outcome: string }[] };
      const outcome = (id: string): string | undefined =>
        runs.find((run) => run.id === id)?.outcome;
      expect([outcome(failing), outcome(stopped)]).toEqual(['failed', 'stopped']);
      expect(await mesh.ok('logs', failing)).toContain('oops');
      expect(await mesh.ok('logs', stopped)).toContain('begun');
    };
    await expectListed();
    await mesh.up();
    for (const part of ['agent', 'coordinator', 'server'] as const) await mesh.kill9(part);
    await expectListed(7);
    await mesh.up();
    await expectListed();
  });
});
