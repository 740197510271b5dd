import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EventRecord } from '#protocol/fold/record.ts';
import { encode } from '#protocol/messages/envelope.ts';
import { filters, subjects } from '#protocol/messages/subjects.ts';
import { fencedPublisher } from '#protocol/nats/leader/fenced-publisher.ts';
import { claimEpoch } from '#protocol/nats/leader/leader-claim.ts';
import { taskEnds } from '#test/support/task-ends.ts';
import { until } from '#test/support/until.ts';
import { openBench, sharedSuite, type CoordinatorBench } from './bench.ts';
import { FakeAgent } from './fake-agent.ts';

describe('leading', () => {
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

  it('a second one stands by, says whom it waits for, and takes over', async () => {
    const first = await bench.coordinator('c1');
    await until(() => first.coordinator.term() !== null);
    const second = await bench.coordinator('c2');
    await until(() => second.standbyOf.length > 0, 'the second to stand by');
    expect(second.standbyOf).toEqual([`c1, testhost, ${process.pid}`]);
    expect(second.coordinator.term()).toBeNull();
    await first.stop();
    await until(async () => (await bench.info()).coordinator === 'c2', 'the second to lead');
    const info = await bench.info();
    expect(info.epoch).toBe(2);
  });

  it.each([1, 2, 3, 4, 5])(
    'killed at a random moment, nothing is lost or done twice (round %i)',
    async () => {
      let running = await bench.coordinator('c1');
      const own = await new FakeAgent(await bench.server.connect('agent'), {
        play: ({ index, n }) =>
          index % 7 === 0 && n === 1 ? { outcome: 'failed', class: 'signal' } : {},
      }).start();
      agent = own;
      const { run } = await bench.submit(sharedSuite(150, { retries: { signal: 1 } }));
      for (let kill = 0; kill < 3; kill += 1) {
        const target = Math.floor(Math.random() * 60) + own.begun.length;
        await until(
          async () => own.begun.length >= target || (await readdir(bench.resultsDir)).includes(run),
          'some progress',
        );
        await running.kill();
        running = await bench.coordinator(`c${kill + 2}`);
      }
      await until(async () => (await readdir(bench.resultsDir)).includes(run), 'the directory');
      expect(new Set(own.begun).size).toBe(own.begun.length);
      const folder = join(bench.resultsDir, run);
      expect(JSON.parse(await readFile(join(folder, 'run.json'), 'utf8'))).toMatchObject({
        run: { outcome: 'passed', outcomes: { passed: 150 } },
      });
      const events = (await readFile(join(folder, 'events.ndjson'), 'utf8')).trim().split('\n');
      const records = events.map((line) => JSON.parse(line) as EventRecord);
      const ends = taskEnds(records);
      expect([ends.length, new Set(ends).size]).toEqual([150, 150]);
      expect(records.filter(({ message }) => message.name === 'run.ended')).toHaveLength(1);
      expect(
        (await readdir(bench.resultsDir)).filter((name) => name.startsWith('.partial')),
      ).toEqual([]);
    },
  );

  it('a deposed one is refused on every subject it could write', async () => {
    const operator = bench.connection;
    const elected = (epoch: number): Uint8Array =>
      encode({
        name: 'leader.elected',
        data: { coordinator: 'c', epoch, host: 'h', pid: 1, version: '0' },
        id: `c-${epoch}`,
        timeMs: 0,
        writer: { source: '/coordinators/c', epoch },
      });
    const isLeading = (): boolean => true;
    const old = await claimEpoch(operator, { encode: elected, isLeading });
    await claimEpoch(operator, { encode: elected, isLeading });
    const before = [await bench.events(), await bench.commands()];
    for (const subject of [
      subjects.run('2026-02-13_14-30-45-k3f9'),
      subjects.task('2026-02-13_14-30-45-k3f9', 't'),
      subjects.fleet('a1'),
      subjects.fleet('coordinator'),
      subjects.command('a1', 'start', '2026-02-13_14-30-45-k3f9'),
      subjects.command('a1', 'release', '2026-02-13_14-30-45-k3f9'),
    ]) {
      const publisher = fencedPublisher({
        connection: operator,
        claim: old,
        onDeposed: () => undefined,
      });
      await expect(publisher.publish(subject, elected(1))).rejects.toMatchObject({
        code: 'deposed',
      });
    }
    expect([await bench.events(), await bench.commands()]).toEqual(before);
  });

  it(
    'tells of an agent that falls silent, starts nothing there, and of its return',
    { timeout: 90_000 },
    async () => {
      await bench.coordinator();
      const own = await new FakeAgent(await bench.server.connect('agent'), {
        play: () => ({ holds: true }),
      }).start();
      agent = own;
      const { run } = await bench.submit(sharedSuite(8));
      await until(() => own.held().length === 4);
      const observed = async (): Promise<string[]> =>
        (await bench.events([subjects.fleet('a1')])).map(({ message }) => message.name);
      own.silence(true);
      await until(
        async () => (await observed()).includes('agent.unreachable'),
        'the silence to be seen',
      );
      own.finish();
      await until(async () => {
        return taskEnds(await bench.events(filters.runEvents(run))).length === 4;
      }, 'what it had to end');
      expect(own.begun).toHaveLength(4);
      own.silence(false);
      await until(
        async () => (await observed()).includes('agent.returned'),
        'the return to be seen',
      );
      await until(() => own.begun.length === 8, 'the rest to start');
      own.finish();
    },
  );
});
