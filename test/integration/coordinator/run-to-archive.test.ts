import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyToRun, createRunFold } from '#protocol/fold/run-fold.ts';
import { canonicalJson } from '#protocol/fold/canonical-json.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import { runView } from '#protocol/fold/run-view.ts';
import { newRunId } from '#protocol/messages/ids.ts';
import { filters, subjects } from '#protocol/messages/subjects.ts';
import { publishEvent } from '#protocol/nats/publisher.ts';
import { expandTasks } from '#protocol/suite/expand.ts';
import { call } from '#protocol/nats/rpc.ts';
import { lastMessage } from '#protocol/nats/streams/stream-read.ts';
import { until } from '#test/support/until.ts';
import { openBench, sharedSuite, type CoordinatorBench } from './bench.ts';
import { FakeAgent } from './fake-agent.ts';

describe('a run, from submit to its directory', () => {
  let bench: CoordinatorBench;
  let agent: FakeAgent;

  beforeEach(async () => {
    bench = await openBench();
  });
  afterEach(async () => {
    await agent.close();
    await bench.close();
  });

  const archived = (run: string): Promise<string[]> =>
    until(async () => {
      const names = await readdir(bench.resultsDir);
      return names.includes(run) ? names : null;
    }, 'the directory of the run');

  it('of a suite that goes by its last run: what failed is first, for the next leader too', async () => {
    const first = await bench.coordinator();
    agent = await new FakeAgent(await bench.server.connect('agent'), {
      slots: 1,
      play: ({ index, run }) => {
        if (run === before) return { outcome: index === 3 || index === 5 ? 'failed' : 'passed' };
        return { holds: index === 3 };
      },
    }).start();
    const suite = { ...sharedSuite(8), order: { by: 'failed-first' as const } };
    const before = newRunId(new Date());
    await bench.submit(suite, { run: before });
    await archived(before);
    const ids = expandTasks(suite).map(({ id }) => id);
    const begun = (run: string): number[] =>
      agent.begun
        .filter((key) => key.startsWith(run))
        .map((key) => ids.indexOf(key.slice(run.length + 1, key.indexOf('#'))));
    expect(begun(before)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    const { run } = await bench.submit(suite);
    await until(() => begun(run).length > 0, 'its first attempt');
    const change = { run, priority: 4, maxParallel: 1, by: 'ann@box' };
    const changed = { run, priority: 4, maxParallel: 1 };
    expect(await call(bench.connection, 'change', change)).toEqual(changed);
    await first.kill();
    await bench.coordinator('c2');
    await until(async () => (await bench.info()).coordinator === 'c2', 'the next leader');
    agent.finish();
    await archived(run);
    expect(begun(run)).toEqual([3, 5, 0, 1, 2, 4, 6, 7]);
    const header = JSON.parse(await readFile(join(bench.resultsDir, run, 'run.json'), 'utf8')) as {
      run: unknown;
    };
    expect(header.run).toMatchObject({
      order: { by: 'failed-first', basis: before },
      priority: 4,
      maxParallel: 1,
    });
  });

  it('ends every task once and leaves everything in the directory', async () => {
    const log = randomBytes(300_000);
    const metric = { name: 'speed', value: 7.5, unit: 'kB/s', direction: 'higher' as const };
    await bench.coordinator();
    agent = await new FakeAgent(await bench.server.connect('agent'), {
      play: ({ index }) => (index === 3 ? { log, metrics: [metric] } : {}),
    }).start();
    const { run, created, tasks } = await bench.submit(sharedSuite(12));
    expect({ created, tasks }).toEqual({ created: true, tasks: 12 });
    expect(await archived(run)).toEqual([run]);
    const folder = join(bench.resultsDir, run);
    const text = (name: string): Promise<string> => readFile(join(folder, name), 'utf8');
    const rows = async (name: string): Promise<unknown[]> =>
      (await text(name))
        .split('\n')
        .filter((line) => line !== '')
        .map((line): unknown => JSON.parse(line));

    const header = JSON.parse(await text('run.json')) as { run: unknown; sequence: number };
    expect(header.run).toMatchObject({
      state: 'ended',
      outcome: 'passed',
      outcomes: { passed: 12 },
    });
    expect(JSON.parse(await text('benchmesh.json'))).toMatchObject({
      complete: true,
      stopped: false,
    });
    expect(await text('suite.yaml')).toBe('name: test\n');
    expect(await rows('tasks.ndjson')).toHaveLength(12);
    const [measured] = (await rows('metrics.ndjson')) as [{ task: string }];
    expect(measured).toMatchObject({ ...metric, axes: { item: 3 }, n: 1, partial: false });

    const stored = await readFile(join(folder, 'logs', measured.task, '1.log'));
    expect(createHash('sha256').update(stored).digest('hex')).toBe(
      createHash('sha256').update(log).digest('hex'),
    );
    const index = (await rows(`logs/${measured.task}/1.index`)) as {
      offset: number;
      length: number;
    }[];
    let next = 0;
    for (const { offset, length } of index) {
      expect(offset).toBe(next);
      next += length;
    }
    expect(next).toBe(log.length);
    const attempts = (await rows('attempts.ndjson')) as { task: string }[];
    expect(attempts.find(({ task }) => task === measured.task)).toMatchObject({
      n: 1,
      outcome: 'passed',
      registration: { agent: 'a1' },
      spec: { task: measured.task, n: 1 },
    });

    const fold = createRunFold(run);
    for (const record of (await rows('events.ndjson')) as EventRecord[]) applyToRun(fold, record);
    expect(canonicalJson(runView(fold))).toBe(canonicalJson(header.run));
    expect(fold.sequence).toBe(header.sequence);
  });

  it('retries by class, and never one that was stopped', async () => {
    await bench.coordinator();
    agent = await new FakeAgent(await bench.server.connect('agent'), {
      play: ({ index, n }) => {
        if (index === 0) return n < 3 ? { outcome: 'failed', class: 'signal' } : {};
        if (index === 1) return { outcome: 'failed', class: 'exit' };
        return { outcome: 'failed', class: 'signal' };
      },
    }).start();
    const { run } = await bench.submit(sharedSuite(3, { retries: { signal: 2 } }));
    await archived(run);
    const rows = (await readFile(join(bench.resultsDir, run, 'tasks.ndjson'), 'utf8'))
      .trim()
      .split('\n')
      .map(
        (line) => JSON.parse(line) as { outcome: string; attempts: number; class: string | null },
      );
    expect(
      rows.map(({ outcome, attempts, class: failure }) => [outcome, attempts, failure]),
    ).toEqual([
      ['passed', 3, null],
      ['failed', 1, 'exit'],
      ['failed', 3, 'signal'],
    ]);
  });

  it('submits once, however often it is asked, also after the run is archived', async () => {
    await bench.coordinator();
    agent = await new FakeAgent(await bench.server.connect('agent'), {
      play: () => ({ holds: true }),
    }).start();
    const first = await bench.submit(sharedSuite(1));
    const again = await bench.submit(sharedSuite(1), { run: first.run });
    expect(again).toMatchObject({ created: false, sequence: first.sequence });
    await expect(bench.submit(sharedSuite(1), { ifBusy: 'reject' })).rejects.toMatchObject({
      code: 'busy',
      message: expect.stringContaining(first.run) as string,
    });
    const queued = await bench.submit(sharedSuite(1));
    expect(queued.behind).toEqual([first.run]);
    await until(() => agent.held().length === 2, 'both to run');
    agent.finish();
    await archived(first.run);
    expect(await bench.submit(sharedSuite(1), { run: first.run })).toMatchObject({
      created: false,
    });
    await until(async () => (await bench.info()).liveRuns.length === 0, 'no live run');
  });

  it('says that it cannot archive, loses nothing, and does it when it can', async () => {
    await bench.coordinator();
    agent = await new FakeAgent(await bench.server.connect('agent'), {
      play: () => ({ holds: true }),
    }).start();
    const { run } = await bench.submit(sharedSuite(2));
    await until(() => agent.held().length === 2);
    await rm(bench.resultsDir, { recursive: true });
    await writeFile(bench.resultsDir, 'in the way');
    agent.finish();
    const notices = await until(async () => {
      const info = await bench.info();
      return info.notices?.length === 1 ? info.notices : null;
    }, 'a notice');
    expect(notices[0]).toContain(`run ${run} cannot be archived yet`);
    await rm(bench.resultsDir);
    await mkdir(bench.resultsDir);
    expect(await archived(run)).toContain(run);
    await until(async () => (await bench.info()).notices?.length === 0, 'the notice to go');
  });

  it('marks a log that never came whole as incomplete', { timeout: 90_000 }, async () => {
    await bench.coordinator();
    agent = await new FakeAgent(await bench.server.connect('agent'), {
      play: () => ({ holds: true, log: new Uint8Array(10), losesLog: true }),
    }).start();
    const { run } = await bench.submit(sharedSuite(1));
    await until(() => agent.held().length === 1);
    agent.silence(true);
    await until(
      async () => (await bench.events([subjects.fleet('a1')])).length > 0,
      'the agent to be unreachable',
    );
    agent.finish();
    await until(
      async () => (await readdir(bench.resultsDir)).includes(run),
      'the directory',
      80_000,
    );
    const about = JSON.parse(
      await readFile(join(bench.resultsDir, run, 'benchmesh.json'), 'utf8'),
    ) as unknown;
    expect(about).toMatchObject({
      complete: false,
      missingLogs: [
        {
          n: 1,
          logBytes: 10,
          storedBytes: 0,
          reason: expect.stringContaining('unreachable') as string,
        },
      ],
    });
  });

  it('names files that were lost by the agent, or are not there whole', async () => {
    await bench.coordinator();
    const file = {
      kind: 'result',
      path: 'b',
      sha256: 'b'.repeat(64),
      bytes: 3,
      chunks: 1,
    } as const;
    const lost = { path: 'a', reason: 'the stream is full' };
    agent = await new FakeAgent(await bench.server.connect('agent'), {
      play: ({ index }) => (index === 0 ? { filesLost: [lost] } : { stored: [file] }),
    }).start();
    const { run } = await bench.submit(sharedSuite(3));
    await archived(run);
    const read = (name: string): Promise<string> =>
      readFile(join(bench.resultsDir, run, name), 'utf8');
    const about = JSON.parse(await read('benchmesh.json')) as {
      complete: boolean;
      missingFiles: { task: string; n: number; path: string; reason: string }[];
    };
    expect(about.complete).toBe(false);
    expect(about.missingFiles.map(({ n, path, reason }) => [n, path, reason])).toEqual([
      [1, 'a', 'the stream is full'],
      [1, 'b', 'chunk 0 of 1 is not stored'],
      [1, 'b', 'chunk 0 of 1 is not stored'],
    ]);
    expect(new Set(about.missingFiles.map(({ task }) => task)).size).toBe(3);
    const records = (await read('attempts.ndjson')).trim().split('\n');
    const withLost = records.filter((row) => row.includes('the stream is full'));
    expect(withLost).toHaveLength(1);
    expect(withLost[0]).toContain(about.missingFiles[0]?.task);
  });

  it('releases and purges an archived run, and forgets it', { timeout: 60_000 }, async () => {
    const { coordinator } = await bench.coordinator();
    agent = await new FakeAgent(await bench.server.connect('agent')).start();
    // Not the run's: live runs are read by the same filter, and the server would skip what they have.
    const observed = subjects.fleet('observed');
    await publishEvent(bench.connection, observed, new Uint8Array());
    const { run } = await bench.submit(sharedSuite(2));
    await archived(run);
    await until(() => coordinator.term()?.isQuiet(), 'the run to be forgotten');
    expect(await bench.events(filters.ownEvents(run))).toEqual([]);
    expect((await lastMessage(bench.connection, 'BM_EVENTS', observed)).kind).toBe('found');
    expect(await bench.commands([filters.startsOf(run)])).toEqual([]);
    await until(() => agent.commands.some(({ name }) => name === 'command.release'), 'the release');
  });
});
