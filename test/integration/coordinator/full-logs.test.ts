/** BM_LOGS at its limit: the archive of a run makes the room that the rest of its logs waits for. */
import { jetstreamManager } from '@nats-io/jetstream';
import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { streamState } from '#protocol/nats/streams/stream-read.ts';
import { until } from '#test/support/until.ts';
import { openBench, sharedSuite, type CoordinatorBench } from './bench.ts';
import { FakeAgent } from './fake-agent.ts';

const LIMIT = 512 * 1024;
/** Three messages of it are stored twice: with it the stream has no room for another. */
const FILLING = randomBytes(5 * 65_536);
const LONG = randomBytes(2_000_000);

describe('a full stream of logs', () => {
  let bench: CoordinatorBench;
  let agent: FakeAgent;

  beforeEach(async () => {
    bench = await openBench();
    const manager = await jetstreamManager(bench.connection.nats, { checkAPI: false });
    await manager.streams.update('BM_LOGS', { max_bytes: LIMIT });
  });
  afterEach(async () => {
    await agent.close();
    await bench.close();
  });

  const isFull = async (): Promise<boolean> =>
    (await streamState(bench.connection, 'BM_LOGS')).bytes > LIMIT - 70_000;

  /** Something is in the folder of copies alone. */
  const salvaged = async (run: string): Promise<boolean> =>
    (await readdir(join(bench.resultsDir, `.salvage-${run}`))).length > 0 &&
    (await streamState(bench.connection, 'BM_LOGS')).firstSequence > 1;

  /** The one log of an archived run. */
  const logOf = async (run: string): Promise<Buffer> => {
    const folder = join(bench.resultsDir, run);
    await until(() => readFile(join(folder, 'benchmesh.json')), 'the directory', 60_000);
    expect(JSON.parse(await readFile(join(folder, 'benchmesh.json'), 'utf8'))).toMatchObject({
      complete: true,
      missingLogs: [],
    });
    const files = await readdir(join(folder, 'logs'), { recursive: true });
    const log = files.find((name) => name.endsWith('.log'));
    return readFile(join(folder, 'logs', log ?? ''));
  };

  it('takes a log of four times its size, byte for byte', { timeout: 90_000 }, async () => {
    await bench.coordinator();
    agent = await new FakeAgent(await bench.server.connect('agent'), {
      play: () => ({ log: LONG }),
    }).start();
    const { run } = await bench.submit(sharedSuite(1));
    expect((await logOf(run)).equals(LONG)).toBe(true);
    await until(async () => (await readdir(bench.resultsDir)).join() === run, 'its copies to go');
  });

  it(
    'loses nothing with a coordinator that dies after it made room',
    { timeout: 90_000 },
    async () => {
      const first = await bench.coordinator('c1');
      agent = await new FakeAgent(await bench.server.connect('agent'), {
        play: () => ({ log: LONG }),
      }).start();
      const { run } = await bench.submit(sharedSuite(1));
      await until(() => salvaged(run), 'a part to be salvaged');
      await first.kill();
      await bench.coordinator('c2');
      expect((await logOf(run)).equals(LONG)).toBe(true);
      await until(async () => (await readdir(bench.resultsDir)).join() === run, 'its copies to go');
    },
  );

  it(
    'of another run is waited for, said, and holds no archive up',
    { timeout: 90_000 },
    async () => {
      await bench.coordinator();
      const short = randomBytes(100_000);
      agent = await new FakeAgent(await bench.server.connect('agent'), {
        slots: 4,
        play: ({ suite, index }) => {
          if (suite === 'short') return { log: short, holds: true };
          return index === 0 ? { log: FILLING } : { holds: true };
        },
      }).start();
      const { run: waiting } = await bench.submit(sharedSuite(1, { name: 'short' }));
      const { run: filling } = await bench.submit(sharedSuite(2, { name: 'filling' }));
      await until(isFull, 'the stream to be full');
      const ofRun = (run: string): string | undefined =>
        agent.held().find((key) => key.startsWith(run));
      await until(
        () => ofRun(waiting) !== undefined && ofRun(filling) !== undefined,
        'both to hold',
      );
      agent.finish(ofRun(waiting)?.split(/[/#]/)[1]);
      await until(
        async () =>
          (await bench.info()).notices?.some((notice) => notice.includes('BM_LOGS is full')),
        'the archive to say what it waits for',
      );
      agent.finish();
      expect((await logOf(filling)).equals(FILLING)).toBe(true);
      expect((await logOf(waiting)).equals(short)).toBe(true);
      await until(async () => (await bench.info()).notices?.length === 0, 'the notice to go');
    },
  );
});
