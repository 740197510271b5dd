/** A file that is no suite text is refused at once, in one line. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readSuite } from '#cli/runs/read-suite.ts';

const FLAGS = { set: [], only: [] };
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'benchmesh-suite-'));
});
afterAll(async () => {
  await rm(dir, { recursive: true, force: true });
});

it('bytes that are not UTF-8, at their place', async () => {
  const file = join(dir, 'latin.yaml');
  await writeFile(file, Buffer.from('# \u00e4 \u{1f600}\nrun: [echo, gr\u00fcn]\n', 'utf8'));
  expect((await readSuite(file, FLAGS)).text).toContain('gr\u00fcn');
  await writeFile(file, Buffer.from('name: x\nrun: [echo, gr\u00fcn]\n', 'latin1'));
  await expect(readSuite(file, FLAGS)).rejects.toMatchObject({
    code: 'suite_invalid',
    message: `${file}:2:15: this is not UTF-8; save the file as UTF-8`,
  });
});

it('a pipe that nobody writes to, a device, a folder', async () => {
  const pipe = join(dir, 'pipe.yaml');
  execFileSync('mkfifo', [pipe]);
  for (const file of [pipe, '/dev/zero'])
    await expect(readSuite(file, FLAGS)).rejects.toMatchObject({
      code: 'file_not_found',
      message: `${file} cannot be read: it is no regular file; write - to read standard input`,
    });
  await expect(readSuite(dir, FLAGS)).rejects.toMatchObject({ code: 'file_not_found' });
});
