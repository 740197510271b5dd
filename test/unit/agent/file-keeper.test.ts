/** Files that cannot be stored are said, one by one, and do not keep the others back. */
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FileKeeper } from '#agent/attempt/file-keeper.ts';
import type { FileStore } from '#agent/attempt/file-store.ts';
import { attemptPaths, type AttemptPaths } from '#agent/state/state-folder.ts';
import type { StoredFile } from '#protocol/messages/attempt/stored-file.ts';
import { systemClock } from '#protocol/runtime/clock.ts';
import { specOf } from './attempt-cases.ts';

let folder: string;
let paths: AttemptPaths;
let stored: StoredFile[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'benchmesh-files-'));
  paths = attemptPaths(folder, specOf(['run']));
  stored = [];
  await mkdir(paths.work, { recursive: true });
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

function keeperOf(
  files: string[],
  publish: FileStore['publish'] = () =>
    Promise.resolve({ kind: 'stored', sequence: 1, duplicate: false }),
): FileKeeper {
  return new FileKeeper({
    spec: specOf(['run'], { files }),
    paths,
    store: {
      agent: 'a1',
      clock: systemClock,
      store: { publish, whenReachable: () => Promise.resolve(), isClosed: () => false },
    },
    log: pino({ level: 'silent' }),
    onStored: (file) => stored.push(file),
  });
}

const storedPaths = (): string[] => stored.map(({ path }) => path);

test('nothing is lost where all is stored', async () => {
  await writeFile(join(paths.work, 'a.json'), '1');
  expect(await keeperOf(['*.json']).finish()).toEqual([]);
  expect(storedPaths()).toEqual(['a.json']);
});

test('one that is rejected', async () => {
  for (const name of ['a.json', 'b.json', 'c.json'])
    await writeFile(join(paths.work, name), `of ${name}`);
  const lost = await keeperOf(['*.json'], (_subject, chunk) =>
    Promise.resolve(
      Buffer.from(chunk).toString() === 'of b.json'
        ? { kind: 'rejected', code: 10_054, reason: 'message size exceeds maximum allowed' }
        : { kind: 'stored', sequence: 1, duplicate: false },
    ),
  ).finish();
  expect(lost).toEqual([{ path: 'b.json', reason: 'message size exceeds maximum allowed' }]);
  expect(storedPaths()).toEqual(['a.json', 'c.json']);
});

test('one whose storing throws', async () => {
  for (const name of ['a', 'b']) await writeFile(join(paths.work, name), name);
  const lost = await keeperOf(['*'], (_subject, chunk) =>
    Buffer.from(chunk).toString() === 'a'
      ? Promise.reject(new Error('EIO: i/o error, read'))
      : Promise.resolve({ kind: 'stored', sequence: 1, duplicate: false }),
  ).finish();
  expect(lost).toEqual([{ path: 'a', reason: 'EIO: i/o error, read' }]);
  expect(storedPaths()).toEqual(['b']);
});

// Root reads everything.
test.skipIf(process.getuid?.() === 0)('one that cannot be read', async () => {
  for (const name of ['a', 'b']) await writeFile(join(paths.work, name), name);
  await chmod(join(paths.work, 'a'), 0);
  const lost = await keeperOf(['*']).finish();
  expect(lost).toMatchObject([{ path: 'a' }]);
  expect(lost[0]?.reason).toContain('EACCES');
  expect(storedPaths()).toEqual(['b']);
});

test('a folder that cannot be read: by pattern', async () => {
  await rm(paths.work, { recursive: true });
  const lost = await keeperOf(['*.json', 'out/**']).finish();
  expect(lost.map(({ path }) => path)).toEqual(['*.json', 'out/**']);
  expect(lost[0]?.reason).toContain('ENOENT');
});

test('links, pipes and names that are no text', async () => {
  await writeFile(join(paths.work, 'a.json'), '1');
  await symlink('a.json', join(paths.work, 'b.json'));
  await symlink('a.json', join(paths.work, 'unmatched'));
  execFileSync('mkfifo', [join(paths.work, 'c.json')]);
  const latin = (name: string): Buffer =>
    Buffer.concat([
      Buffer.from(`${paths.work}/${name}`),
      Buffer.from([0xe4]),
      Buffer.from('.json'),
    ]);
  await writeFile(latin('d'), '1');
  await mkdir(latin('e'));
  const lost = await keeperOf(['**/*.json']).finish();
  expect(new Map(lost.map(({ path, reason }) => [path, reason]))).toEqual(
    new Map([
      ['b.json', 'a link, which is not followed'],
      ['c.json', 'no regular file'],
      ['d\uFFFD.json', 'its name is not UTF-8'],
      ['e\uFFFD.json', 'its name is not UTF-8'],
    ]),
  );
  expect(storedPaths()).toEqual(['a.json']);
});

test('very many are counted', async () => {
  for (let n = 0; n < 130; n += 1) await writeFile(join(paths.work, `f${n}`), `${n}`);
  const lost = await keeperOf(['*'], () => Promise.reject(new Error('no'))).finish();
  expect(lost).toHaveLength(101);
  expect(lost.at(-1)).toEqual({ path: '**', reason: '30 more could not be stored' });
});
