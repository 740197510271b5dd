/** Snapshots on the real server: made in a thread, restored by a new leader, ignored where anything is wrong. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadSnapshot } from '#coordinator/snapshot/load-snapshot.ts';
import type { SnapshotPort } from '#coordinator/snapshot/snapshot-port.ts';
import { snapshotsInThread } from '#coordinator/snapshot/snapshot-thread.ts';
import { takeSnapshot } from '#coordinator/snapshot/take-snapshot.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { purgeSubject } from '#protocol/nats/streams/stream-purge.ts';
import { streamState } from '#protocol/nats/streams/stream-read.ts';
import { dropSnapshots, snapshotHead } from '#protocol/nats/streams/snapshots.ts';
import { silentLog } from '#protocol/runtime/log.ts';
import { taskEnds } from '#test/support/task-ends.ts';
import { until } from '#test/support/until.ts';
import { openBench, sharedSuite, type CoordinatorBench } from './bench.ts';
import { FakeAgent } from './fake-agent.ts';

const BUILD = 'this';
const NOBODY = new AbortController().signal;

let bench: CoordinatorBench;
let agent: FakeAgent | null = null;

beforeEach(async () => {
  bench = await openBench();
});
afterEach(async () => {
  await agent?.close();
  agent = null;
  await bench.close();
});

/** Without the thread; what `load` found is told. */
function port(found: (number | string)[]): SnapshotPort {
  const { connection } = bench;
  return {
    load: async () => {
      const restored = await loadSnapshot(connection, BUILD, (reason) => found.push(reason));
      if (restored !== null) found.push(restored.messages);
      return restored;
    },
    take: () => takeSnapshot(connection, BUILD, (reason) => found.push(reason)),
    drop: () => dropSnapshots(connection),
  };
}

async function storedSnapshots(): Promise<number> {
  return (await streamState(bench.connection, 'BM_SNAPSHOTS')).messages;
}

test('a new leader goes on from one that is older than what is stored; with the last run it goes', async () => {
  const found: (number | string)[] = [];
  const first = await bench.coordinator('c1', port(found));
  const own = await new FakeAgent(await bench.server.connect('agent'), {
    play: ({ index, n }) =>
      index % 7 === 0 && n === 1 ? { outcome: 'failed', class: 'signal' } : {},
  }).start();
  agent = own;
  const { run } = await bench.submit(sharedSuite(300, { retries: { signal: 1 } }));
  await until(() => own.begun.length > 40, 'some progress');
  const { connection, server } = bench;
  const inThread = snapshotsInThread({
    ...{ connection, log: silentLog, url: server.url, credential: server.credentialFile },
  });
  expect((await inThread.take(NOBODY)).messages).toBeGreaterThan(40);
  expect(await snapshotHead(connection)).toMatchObject({ kind: 'found' });
  const taken = await port(found).take(NOBODY);
  expect(found.splice(0)).toEqual(['another version of the coordinator has made it']);
  await until(() => own.begun.length > 100, 'more progress');
  await first.kill();
  await bench.coordinator('c2', port(found));
  await until(async () => (await readdir(bench.resultsDir)).includes(run), 'the directory');
  // In each of its terms.
  expect(new Set(found)).toEqual(new Set([taken.messages]));
  expect(new Set(own.begun).size).toBe(own.begun.length);
  const folder = join(bench.resultsDir, run);
  expect(JSON.parse(await readFile(join(folder, 'run.json'), 'utf8'))).toMatchObject({
    run: { outcome: 'passed', outcomes: { passed: 300 } },
  });
  const lines = (await readFile(join(folder, 'events.ndjson'), 'utf8')).trim().split('\n');
  const ends = taskEnds(lines.map((line) => JSON.parse(line) as EventRecord));
  expect([ends.length, new Set(ends).size]).toEqual([300, 300]);
  await until(async () => (await storedSnapshots()) === 0, 'the end of the snapshot');
});

test('of a run that was purged since nothing is left, and what it held is free', async () => {
  const found: (number | string)[] = [];
  const keeping = { ...port(found), drop: () => Promise.resolve() };
  const first = await bench.coordinator('c1', keeping);
  const own = await new FakeAgent(await bench.server.connect('agent'), {
    play: () => ({ holds: true }),
  }).start();
  agent = own;
  const { run } = await bench.submit(sharedSuite(4));
  await until(() => own.held().length === 4, 'a full agent');
  const { messages } = await keeping.take(NOBODY);
  own.finish();
  await until(async () => (await bench.events([subjects.run(run)])).length === 0, 'the purge');
  await first.kill();
  await bench.coordinator('c2', keeping);
  await until(async () => (await bench.info()).coordinator === 'c2', 'the second to lead');
  expect(new Set(found)).toEqual(new Set([messages]));
  expect(await bench.info()).toMatchObject({ liveRuns: [], assigned: 0, pending: 0 });
});

test.each([
  ['without one of its pieces', 'piece 0 of 1 is not there'],
  ['of another stream', 'it is of another stream of events'],
  ['that says nothing', 'its head is malformed'],
])('%s it is ignored, and all is read', async (what, reason) => {
  const found: (number | string)[] = [];
  const first = await bench.coordinator('c1', port(found));
  agent = await new FakeAgent(await bench.server.connect('agent'), {
    play: () => ({ holds: true }),
  }).start();
  const { run } = await bench.submit(sharedSuite(8));
  await port(found).take(NOBODY);
  await first.kill();
  const { connection } = bench;
  const head = await snapshotHead(connection);
  if (head.kind !== 'found') throw new Error('there is no snapshot');
  if (what.startsWith('without'))
    await purgeSubject(connection, 'BM_SNAPSHOTS', subjects.snapshotPiece(head.head.id, 0));
  else {
    const other = what === 'of another stream' ? { ...head.head, stream: 'another' } : {};
    await connection.request(
      subjects.snapshotHead(),
      new TextEncoder().encode(JSON.stringify(other)),
      { timeoutMs: 5_000 },
    );
  }
  await bench.coordinator('c2', port(found));
  await until(async () => (await bench.info()).coordinator === 'c2', 'the second to lead');
  expect((await bench.info()).liveRuns).toEqual([run]);
  expect(new Set(found)).toEqual(new Set([reason]));
});
