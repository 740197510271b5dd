/** Copies of files that are being written to, and of nothing outside of the work folder. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { copyNow } from '#agent/files/copy-now.ts';

let dir: string;
let work: string;
const copies = (): string => join(dir, 'copies');
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'benchmesh-copy-'));
  work = join(dir, 'work');
  mkdirSync(work);
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

it('what the file holds, under its hash', async () => {
  writeFileSync(join(work, 'a'), 'content');
  const copy = await copyNow(copies(), work, 'a');
  if (copy.kind !== 'copied') throw new Error(copy.reason);
  expect(readFileSync(copy.file, 'utf8')).toBe('content');
  expect(readdirSync(copies())).toEqual([copy.sha256]);
  writeFileSync(join(work, 'empty'), '');
  expect(await copyNow(copies(), work, 'empty')).toMatchObject({ kind: 'copied', bytes: 0 });
});

it.each([
  ['link', 'ELOOP'],
  ['folder/key', 'leads out of the work folder'],
  ['../secrets/key', 'leads out of the work folder'],
  ['nothing', 'ENOENT'],
])('refuses %s', async (path, reason) => {
  mkdirSync(join(dir, 'secrets'));
  writeFileSync(join(dir, 'secrets', 'key'), 'secret');
  symlinkSync(join(dir, 'secrets', 'key'), join(work, 'link'));
  symlinkSync(join(dir, 'secrets'), join(work, 'folder'));
  const copy = await copyNow(copies(), work, path);
  expect(copy.kind === 'refused' && copy.reason).toContain(reason);
});

it('refuses one that is written anew all the time, rather than mix two of its contents', async () => {
  const path = join(work, 'a');
  writeFileSync(path, '');
  truncateSync(path, 16 * 1024 * 1024);
  let at = 1;
  const writing = setInterval(() => {
    utimesSync(path, at, at);
    at += 1;
  });
  try {
    expect(await copyNow(copies(), work, 'a')).toMatchObject({
      kind: 'refused',
      reason: 'is written anew all the time: ask again',
    });
  } finally {
    clearInterval(writing);
  }
});
