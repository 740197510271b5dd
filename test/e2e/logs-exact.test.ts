/**
 * I7: every byte a child writes reaches the log once, in order, through kill -9 of each part of the
 * mesh. The size is for every change; test/long repeats it with 200 MB.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectExactLogs, KILLS } from '#test/support/exact-logs.ts';
import { TestMesh } from '#test/support/mesh.ts';

const MEGABYTES = 12;

describe('logs are byte-exact', () => {
  let mesh: TestMesh;
  beforeAll(async () => {
    mesh = await TestMesh.create();
    await mesh.up();
  });
  afterAll(async () => {
    await mesh.dispose();
  });

  it.each(KILLS)('%s', async (_what, victims) => {
    await expectExactLogs(mesh, { megabytes: MEGABYTES, victims });
  });

  it('a script that writes to /dev/stderr or through tee loses nothing', async () => {
    const suite = await mesh.file(
      'tee.yaml',
      `name: tee
run:
  shell: |
    echo one
    echo two > /dev/stderr
    echo three | tee /dev/stderr
    echo four > /dev/stderr
    printf five
`,
    );
    const run = await mesh.submit(suite);
    await mesh.archived(run);
    expect(await mesh.ok('logs', run, '--raw', '--stdout')).toBe('one\nthree\nfive');
    expect(await mesh.ok('logs', run, '--raw', '--stderr')).toBe('two\nthree\nfour\n');
  });
});
