import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeFolder } from '#protocol/runtime/make-folder.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'benchmesh-folder-'));
});
afterAll(async () => {
  await rm(dir, { recursive: true, force: true });
});

it('makes what is missing, once and again', async () => {
  const path = join(dir, 'a', 'b', 'c');
  await Promise.all([makeFolder(path, 0o700), makeFolder(path, 0o700)]);
  await makeFolder(path);
  const about = await stat(path);
  expect([about.isDirectory(), about.mode & 0o777]).toEqual([true, 0o700]);
  await makeFolder('/');
});

it('a file in the way is an error', async () => {
  await writeFile(join(dir, 'file'), '');
  await expect(makeFolder(join(dir, 'file'))).rejects.toThrow('EEXIST');
  await expect(makeFolder(join(dir, 'file', 'below'))).rejects.toThrow('ENOTDIR');
});

it('where none can be made it ends', async () => {
  await expect(makeFolder('/proc/benchmesh/x')).rejects.toThrow(/ENOENT.*\/proc\/benchmesh'/);
});
