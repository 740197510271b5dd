/** What an agent publishes after its run was archived and purged does not stay in the streams. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KEPT_CHANGES } from '#coordinator/core/ends/sweep.ts';
import { KEPT_MESSAGES } from '#coordinator/results/sweep.ts';
import type { MessageData, MessageName } from '#protocol/messages/catalog.ts';
import { encode } from '#protocol/messages/envelope.ts';
import { filters, subjects } from '#protocol/messages/subjects.ts';
import { publishEvent } from '#protocol/nats/publisher.ts';
import { readAll } from '#protocol/nats/streams/tail.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';
import { until } from '#test/support/until.ts';
import { openBench, sharedSuite, type CoordinatorBench, type RunningCoordinator } from './bench.ts';
import { FakeAgent } from './fake-agent.ts';

const SHA = 'a'.repeat(64);
const AGAIN = 'e'.repeat(64);

describe('the sweep', { timeout: 60_000 }, () => {
  let bench: CoordinatorBench;
  let agent: FakeAgent;
  let coordinator: RunningCoordinator;

  beforeEach(async () => {
    bench = await openBench();
    coordinator = await bench.coordinator();
    agent = await new FakeAgent(await bench.server.connect('agent')).start();
  });
  afterEach(async () => {
    await agent.close();
    await bench.close();
  });

  const store = async (subject: string, payload: Uint8Array | string): Promise<void> => {
    const bytes = typeof payload === 'string' ? new TextEncoder().encode(payload) : payload;
    expect((await publishEvent(bench.connection, subject, bytes)).kind).toBe('stored');
  };
  const say = <N extends MessageName>(
    subject: string,
    name: N,
    data: MessageData<N>,
  ): Promise<void> => {
    const writer = { source: '/agents/a1', instance: 'instance-a1', incarnation: 1 };
    return store(subject, encode({ name, data, id: crypto.randomUUID(), timeMs: 0, writer }));
  };
  const stored = async (stream: string, filter: string): Promise<number> => {
    let count = 0;
    await readAll(bench.connection, { stream, filters: [filter] }, () => (count += 1));
    return count;
  };
  const gone = (stream: string, filter: string): Promise<boolean> =>
    until(async () => (await stored(stream, filter)) === 0, `nothing on ${filter}`);

  /** A run that is archived and purged. */
  const pastRun = async (): Promise<string> => {
    const { run } = await bench.submit(sharedSuite(1));
    await until(async () => (await readdir(bench.resultsDir)).includes(run), 'the directory');
    await until(() => coordinator.coordinator.term()?.isQuiet(), 'the run to be forgotten');
    return run;
  };

  it('takes events, logs and files of an archived run, and leaves those of a live one', async () => {
    const run = await pastRun();
    const { run: live } = await bench.submit(
      sharedSuite(1, { needs: { slots: 99, cpus: 0, exclusive: false } }),
    );
    for (const each of [run, live]) {
      const ref = { run: each, task: 't', n: 1 };
      const file = { kind: 'result', path: 'o', sha256: SHA, bytes: 1, chunks: 1 } as const;
      await store(subjects.log('a1', ref), 'late');
      await store(subjects.file('a1', { run: each, sha256: SHA }, 0), 'x');
      await say(subjects.attemptEvents('a1', ref), 'attempt.file_stored', { elapsedMs: 1, file });
      const again = { ...file, sha256: AGAIN };
      await store(subjects.file('a1', { run: each, sha256: AGAIN }, 0), 'y');
      await say(subjects.attemptEvents('a1', ref), 'attempt.collected', {
        ...{ elapsedMs: 0, id: 'c', by: 'ann' },
        files: [again],
      });
    }
    await gone('BM_EVENTS', filters.attemptEventsOf(run));
    await gone('BM_LOGS', filters.logsOf(run));
    for (const sha256 of [SHA, AGAIN])
      await gone('BM_FILES', filters.chunksOf('a1', { run, sha256 }));
    await until(
      async () => (await bench.commands([filters.releases()])).length === 0,
      'a round more',
    );
    expect(await stored('BM_EVENTS', filters.attemptEventsOf(live))).toBe(2);
    expect(await stored('BM_LOGS', filters.logsOf(live))).toBe(1);
    expect(await stored('BM_FILES', filters.chunksOf('a1', { run: live, sha256: SHA }))).toBe(1);
  });

  it('takes a log that comes alone, once its agent has received the release, and the release', async () => {
    const { run } = await bench.submit(sharedSuite(1));
    await until(
      async () => (await stored('BM_EVENTS', filters.attemptEventsOf(run))) === 3,
      'its attempt to have exited',
    );
    await agent.close();
    await until(() => coordinator.coordinator.term()?.isQuiet(), 'the run to be forgotten');
    await store(subjects.log('a1', { run, task: 't', n: 1 }), 'late');
    await until(async () => (await bench.commands([filters.releases()])).length > 0, 'a release');
    agent = await new FakeAgent(await bench.server.connect('again')).start();
    await gone('BM_LOGS', filters.logsOf(run));
    await until(
      async () => (await bench.commands([filters.releases()])).length === 0,
      'no release',
    );
  });

  it('leaves what nothing proves archived', async () => {
    const run = await pastRun();
    await until(
      async () => (await bench.commands([filters.releases()])).length === 0,
      'no release',
    );
    await rm(join(bench.resultsDir, run), { recursive: true });
    const other = await pastRun();
    for (const each of [run, other])
      await say(
        subjects.attemptEvents('a1', { run: each, task: 't', n: 1 }),
        'attempt.exited',
        goldenMessages['attempt.exited'],
      );
    await gone('BM_EVENTS', filters.attemptEventsOf(other));
    expect(await stored('BM_EVENTS', filters.attemptEventsOf(run))).toBe(1);
  });

  it('takes acknowledgements of a stop of a run that never was', async () => {
    const { command } = await bench.stop('2026-02-13_14-30-45-none');
    await until(async () => (await stored('BM_EVENTS', filters.acksOf(command))) > 0, 'an answer');
    await gone('BM_EVENTS', filters.acksOf(command));
  });

  it('drops changes of a host that were replaced: the start, the last few and the newest stay', async () => {
    const host = subjects.hostEvents('a1');
    const start = (await bench.events([host])).at(-1)?.sequence;
    const changed = goldenMessages['agent.changed'];
    for (let n = 0; n < KEPT_CHANGES + 30; n += 1)
      await say(host, 'agent.changed', { ...changed, changes: [`change ${n}`] });
    await until(async () => (await stored('BM_EVENTS', host)) === 1 + KEPT_CHANGES + 1, 'a sweep');
    const left = await bench.events([host]);
    expect(left[0]?.sequence).toBe(start);
    expect(left.at(-1)?.message.data).toMatchObject({ changes: [`change ${KEPT_CHANGES + 29}`] });
    expect(left[1]?.message.data).toMatchObject({ changes: ['change 29'] });
  });

  it('keeps the last messages of a host, of what is said about it, and its last start', async () => {
    const rejected = goldenMessages['message.rejected'];
    const host = subjects.hostEvents('a1');
    for (let n = 0; n < KEPT_MESSAGES + 50; n += 1) {
      await say(host, 'message.rejected', rejected);
      await say(subjects.fleet('a1'), 'agent.returned', { incarnation: n });
    }
    await until(async () => (await stored('BM_EVENTS', subjects.fleet('a1'))) === KEPT_MESSAGES);
    const last = (await bench.events([subjects.fleet('a1')])).at(-1);
    expect(last?.message.data).toEqual({ incarnation: KEPT_MESSAGES + 49 });
    expect((await bench.events([host]))[0]?.message.name).toBe('agent.started');
    const { registration } = goldenMessages['agent.started'];
    const start = { registration: { ...registration, agent: 'a1' }, adopted: 0 };
    await say(host, 'agent.started', start);
    await until(async () => (await stored('BM_EVENTS', host)) === KEPT_MESSAGES);
  });
});
