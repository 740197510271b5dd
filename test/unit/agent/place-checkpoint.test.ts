/** A new attempt gets the newest checkpoint that is whole, from this host or from the mesh. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { placeCheckpoint, type Placed } from '#agent/files/place-checkpoint.ts';
import { attemptPaths } from '#agent/state/state-folder.ts';
import type { ResumePoint } from '#protocol/messages/attempt/checkpoint.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { LastMessage } from '#protocol/nats/streams/stream-read.ts';
import { systemClock } from '#protocol/runtime/clock.ts';
import { specOf } from './attempt-cases.ts';

const run = specOf(['run']).run;
let folder: string;
let stored: Map<string, string>;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'benchmesh-place-'));
  stored = new Map();
  await mkdir(attemptPaths(folder, { run, task: 't', n: 3 }).work, { recursive: true });
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** A checkpoint of one file, stored by agent a2 in two chunks. */
function point(n: number, number: number, content: string, path = 'd/state'): ResumePoint {
  const sha256 = hashOf(content);
  const half = Math.ceil(content.length / 2);
  [content.slice(0, half), content.slice(half)].forEach((chunk, i) => {
    stored.set(subjects.file('a2', { run, sha256 }, i), chunk);
  });
  const file = { kind: 'checkpoint', path, sha256, bytes: content.length, chunks: 2 } as const;
  return { n, number, agent: 'a2', files: [file] };
}

function read(subject: string): Promise<LastMessage> {
  const text = stored.get(subject);
  if (text === undefined) return Promise.resolve({ kind: 'none' });
  const data = Buffer.from(text);
  const message = { subject, sequence: 1, timeMs: 0, data, header: () => null };
  return Promise.resolve({ kind: 'found', message });
}

function place(resume: ResumePoint[], isCancelled = () => false): Promise<Placed> {
  const spec = specOf(['run'], { n: 3, resume });
  return placeCheckpoint({
    spec,
    stateDir: folder,
    source: { read },
    clock: systemClock,
    isCancelled,
  });
}

const placedText = (path = 'd/state'): Promise<string> =>
  readFile(join(attemptPaths(folder, { run, task: 't', n: 3 }).work, path), 'utf8');

test('what another agent stored', async () => {
  const placed = await place([point(2, 4, 'newest'), point(2, 3, 'older')]);
  expect(placed).toEqual({
    from: { n: 2, number: 4 },
    path: 'd/state',
    files: 1,
    bytes: 6,
    problem: null,
  });
  expect(await placedText()).toBe('newest');
});

test('a damaged chunk, and one that is gone: the one before it', async () => {
  const [damaged, gone, good] = [
    point(2, 4, 'newest'),
    point(2, 3, 'older'),
    point(1, 9, 'oldest'),
  ];
  stored.set(subjects.file('a2', { run, sha256: hashOf('newest') }, 1), 'bad');
  stored.delete(subjects.file('a2', { run, sha256: hashOf('older') }, 0));
  const placed = await place([damaged, gone, good]);
  expect(placed.from).toEqual({ n: 1, number: 9 });
  expect(placed.problem).toBe(
    'checkpoint 4 of attempt 2: d/state does not match its hash; checkpoint 3 of attempt 2: d/state is not stored any more',
  );
  expect(await placedText()).toBe('oldest');
});

test('a copy of this host needs no mesh; a damaged one is not trusted', async () => {
  const newest = point(2, 1, 'mine');
  stored.clear();
  const dir = attemptPaths(folder, { run, task: 't', n: 2 }).checkpoint;
  await mkdir(dir);
  await writeFile(join(dir, hashOf('mine')), 'mine');
  expect((await place([newest])).problem).toBeNull();
  expect(await placedText()).toBe('mine');
  await writeFile(join(dir, hashOf('mine')), 'torn');
  await rm(attemptPaths(folder, { run, task: 't', n: 3 }).checkpoint, { recursive: true });
  expect((await place([newest])).from).toBeNull();
});

test('nothing outside the work folder is written', async () => {
  const placed = await place([point(2, 1, 'evil', '../../out')]);
  expect(placed).toMatchObject({ from: null, path: null });
  expect(placed.problem).toContain('leads out of the work folder');
});

test('a stop ends the waiting for a mesh that does not answer', async () => {
  const resume = [point(2, 1, 'x')];
  const spec = specOf(['run'], { n: 3, resume });
  const source = { read: () => Promise.resolve({ kind: 'unknown', reason: 'timeout' } as const) };
  const placed = await placeCheckpoint({
    spec,
    stateDir: folder,
    source,
    clock: systemClock,
    isCancelled: () => true,
  });
  expect(placed.problem).toContain('being stopped');
});
