/** Files that somebody asks for once more: told whatever becomes of the collection, one at a time. */
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { FileStore } from '#agent/attempt/file-store.ts';
import { Collections } from '#agent/files/collections.ts';
import { attemptPaths } from '#agent/state/state-folder.ts';
import type { CollectReply, CollectRequest } from '#protocol/messages/agent/agent-api.ts';
import type { AttemptCollected } from '#protocol/messages/attempt/attempt.ts';
import { attemptKey } from '#protocol/messages/ids.ts';
import { systemClock } from '#protocol/runtime/clock.ts';
import { until } from '#test/support/until.ts';
import { Script, specOf } from './attempt-cases.ts';

const SPEC = specOf(['run'], { files: ['*.json'] });
const REQUEST: CollectRequest = {
  ...{ run: SPEC.run, task: SPEC.task, n: 1, id: 'c1', by: 'ann@desk' },
  files: SPEC.files,
};
const STORED = { kind: 'stored', sequence: 1, duplicate: false } as const;

let dir: string;
let work: string;
let live: Script | null;
let told: AttemptCollected[];
let flushed: number;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'benchmesh-collect-'));
  work = attemptPaths(dir, SPEC).work;
  mkdirSync(work, { recursive: true });
  live = null;
  told = [];
  flushed = 0;
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

function collections(
  publish: FileStore['publish'] = () => Promise.resolve(STORED),
  proof: 'subreaper' | 'scan' = 'subreaper',
): Collections {
  const fileStore = { publish, whenReachable: () => Promise.resolve(), isClosed: () => false };
  const sink = {
    tell: (_subject: string, _name: string, data: AttemptCollected) => told.push(data),
  };
  return new Collections({
    deps: {
      ...{ agent: 'a1', stateDir: dir, clock: systemClock, proof },
      ...{ fileStore, sink, log: pino({ level: 'silent' }) },
    } as never,
    attempt: (key) => {
      const script = live;
      if (script === null || key !== attemptKey(SPEC)) return undefined;
      return { state: () => script.state, post: (message) => script.say(message) };
    },
    flush: () => {
      flushed = told.length;
      return Promise.resolve();
    },
  });
}

const put = (name: string, content: string): void => {
  writeFileSync(join(work, name), content);
};
const begun = (): Script => {
  const script = new Script(SPEC);
  script.begin();
  return script;
};

test('of one that its agent has forgotten: told on its subject, and stored before it is answered', async () => {
  put('a.json', '1');
  const reply = await collections().ask(REQUEST);
  expect(reply).toEqual({ state: 'done', files: 1, bytes: 1, lost: [], unfit: [] });
  expect(told).toMatchObject([
    { elapsedMs: 0, id: 'c1', by: 'ann@desk', files: [{ path: 'a.json' }], lost: [] },
  ]);
  expect(flushed).toBe(1);
});

test('of one that it has: told by the attempt, by its own spec', async () => {
  live = begun();
  put('a.json', '1');
  await collections().ask({ ...REQUEST, files: ['other'] });
  expect(told).toEqual([]);
  expect(live.events().slice(-1)).toEqual(['attempt.collected']);
  expect(live.state.files).toMatchObject([{ path: 'a.json' }]);
});

test('of one that has ended and is still there: its elapsed time and all else stay', async () => {
  live = begun();
  live.end();
  live.say({ kind: 'finished', logGaps: [] });
  const { life, elapsedMs, verdict, seq } = live.state;
  expect(life.kind).toBe('exited');
  put('a.json', '1');
  await collections().ask(REQUEST);
  expect(live.state).toMatchObject({ life, elapsedMs, verdict, seq: seq + 1 });
  expect(live.events().slice(-1)).toEqual(['attempt.collected']);
});

test('asked again by its id it is the same one; another has to wait', async () => {
  put('a.json', '1');
  let go: () => void = () => undefined;
  const held = new Promise<typeof STORED>((resolve) => {
    go = () => {
      resolve(STORED);
    };
  });
  const all = collections(() => held);
  const both = [all.ask(REQUEST), all.ask(REQUEST)];
  await expect(all.ask({ ...REQUEST, id: 'c2' })).rejects.toMatchObject({ code: 'busy' });
  go();
  const [first, second] = await Promise.all(both);
  expect(first).toEqual(second);
  expect(told).toHaveLength(1);
  expect(await all.ask(REQUEST)).toEqual(first);
  expect(told).toHaveLength(1);
  await all.ask({ ...REQUEST, id: 'c2' });
  expect(told).toHaveLength(2);
});

test.each<[string, () => void]>([
  ['that never began here', () => undefined],
  [
    'that waits',
    () => {
      live = new Script(SPEC);
      mkdirSync(work);
    },
  ],
])('nothing of an attempt %s', async (_name, make) => {
  rmSync(work, { recursive: true });
  make();
  await expect(collections().ask(REQUEST)).rejects.toMatchObject({ code: 'not_found' });
  expect(existsSync(work)).toBe(live !== null);
});

test('a run that goes meanwhile: what was stored is told before it goes', async () => {
  put('a.json', 'a');
  put('b.json', 'b');
  const stored: string[] = [];
  const all = collections((_subject, chunk) => {
    stored.push(Buffer.from(chunk).toString());
    if (stored.length === 1) return Promise.resolve(STORED);
    return new Promise((resolve) => {
      setImmediate(resolve, { kind: 'full', code: 10_077, reason: 'no room' });
    });
  });
  const reply = all.ask(REQUEST);
  reply.catch(() => undefined);
  await until(() => stored.length > 1, 'the second file');
  expect(all.isCollecting(SPEC.run)).toBe(true);
  await all.drop(SPEC.run);
  await expect(reply).rejects.toMatchObject({ code: 'already_ended' });
  expect(told).toHaveLength(1);
  expect(told[0]?.files).toMatchObject([{ path: 'a.json' }]);
  expect(told[0]).not.toHaveProperty('lost');
  expect(all.isCollecting(SPEC.run)).toBe(false);
});

test('what its processes write to is copied first, and the copy is gone afterwards', async () => {
  live = begun();
  put('a.json', 'first');
  const chunks: string[] = [];
  const reply = await collections((_subject, chunk) => {
    // It grows while it is stored.
    appendFileSync(join(work, 'a.json'), ' and more');
    chunks.push(Buffer.from(chunk).toString());
    return Promise.resolve(STORED);
  }).ask(REQUEST);
  expect(chunks).toEqual(['first']);
  expect(reply).toMatchObject({ files: 1, bytes: 5 });
  expect(existsSync(`${work}.collect`)).toBe(false);
});

test('very many files are told in several events, of which the last says what is lost', async () => {
  for (let n = 0; n < 900; n += 1) put(`${'long'.repeat(20)}-${n}.json`, `${n}`);
  const all = collections();
  // Asked again as its callers do, where it takes longer than an answer may.
  let reply: CollectReply = await all.ask(REQUEST);
  while (reply.state === 'running') reply = await all.ask(REQUEST);
  expect(reply).toMatchObject({ state: 'done', files: 900 });
  expect(told.length).toBeGreaterThan(1);
  expect(told.flatMap(({ files }) => files)).toHaveLength(900);
  for (const part of told) expect(JSON.stringify(part).length).toBeLessThan(140_000);
  expect(told.map((part) => 'lost' in part)).toEqual([...told.slice(1).map(() => false), true]);
});
