import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { HEADERS } from '#protocol/nats/headers.ts';
import {
  openOutbox,
  type FencedBy,
  type Outbox,
  type OutboxOptions,
} from '#protocol/nats/outbox/outbox.ts';
import { silentLog } from '#protocol/runtime/log.ts';
import { fakeStore, type Fault, type FakeStore } from '#test/support/nats-fake-store.ts';
import { until } from '#test/support/until.ts';

const text = (data: Uint8Array): string => new TextDecoder().decode(data);
const encoder = new TextEncoder();

describe('outbox', () => {
  let dir: string;
  let store: FakeStore;
  let fenced: FencedBy[];
  const opened: Outbox[] = [];

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'benchmesh-outbox-'));
    store = fakeStore();
    fenced = [];
  });
  afterEach(async () => {
    vi.useRealTimers();
    await Promise.all(opened.splice(0).map((outbox) => outbox.close()));
    await rm(dir, { recursive: true, force: true });
  });

  const open = async (options: Partial<OutboxOptions> = {}): Promise<Outbox> => {
    const onFenced = (by: FencedBy): void => {
      fenced.push(by);
    };
    const outbox = await openOutbox({
      dir,
      store,
      instance: 'me',
      log: silentLog,
      onFenced,
      ...options,
    });
    opened.push(outbox);
    return outbox;
  };
  const say = (outbox: Outbox, subject: string, word: string): ReturnType<Outbox['append']> =>
    outbox.append(subject, (seq) => encoder.encode(`${seq} ${word}`));
  const stored = (subject: string): string[] =>
    store.messages.filter((message) => message.subject === subject).map(({ data }) => text(data));

  it('numbers each subject from 1 and stores in order', async () => {
    const outbox = await open();
    const outcomes = await Promise.all([
      say(outbox, 'a', 'x'),
      say(outbox, 'b', 'y'),
      say(outbox, 'a', 'z'),
    ]);
    expect(outcomes).toMatchObject([{ seq: 1 }, { seq: 1 }, { seq: 2 }]);
    expect(await outbox.flush()).toBe('stored');
    expect(stored('a')).toEqual(['1 x', '2 z']);
    expect(stored('b')).toEqual(['1 y']);
  });

  it('stores each message once, in order, under any faults and restarts', async () => {
    const fault = fc.constantFrom<Fault | null>('lost', 'ack_lost', 'full', null, null);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fault, { maxLength: 12 }),
        fc.array(fc.nat(2), { minLength: 1, maxLength: 12 }),
        fc.nat(12),
        async (faults, subjects, restartAt) => {
          store = fakeStore();
          const queue = [...faults];
          store.fault = () => queue.shift() ?? null;
          const sub = await mkdtemp(join(dir, 'case-'));
          let outbox = await open({ dir: sub });
          const expected = new Map<string, string[]>();
          for (const [index, number] of subjects.entries()) {
            if (index === restartAt) {
              await outbox.close();
              outbox = await open({ dir: sub });
            }
            const subject = `s${number}`;
            const outcome = await say(outbox, subject, `w${index}`);
            expect(outcome.kind).toBe('recorded');
            const list = expected.get(subject) ?? [];
            expected.set(subject, [...list, `${list.length + 1} w${index}`]);
          }
          await outbox.flush();
          await outbox.close();
          for (const [subject, list] of expected) expect(stored(subject)).toEqual(list);
        },
      ),
      { numRuns: 40 },
    );
  }, 60_000);

  it('expects 0 and goes on after what it knows stored when retention took the subject', async () => {
    const outbox = await open();
    await say(outbox, 'a', 'x');
    await outbox.flush();
    store.messages = [];
    await say(outbox, 'a', 'y');
    await outbox.flush();
    expect(stored('a')).toEqual(['2 y']);
  });

  it('publishes again what the server lost after acknowledging it', async () => {
    const outbox = await open();
    for (const word of ['x', 'y', 'z']) await say(outbox, 'a', word);
    await outbox.flush();
    store.messages = store.messages.slice(0, 1);
    await say(outbox, 'a', 'w');
    await outbox.flush();
    expect(stored('a')).toEqual(['1 x', '2 y', '3 z', '4 w']);
  });

  it('stops when another instance writes to its subject', async () => {
    const outbox = await open();
    await say(outbox, 'a', 'x');
    await outbox.flush();
    await store.publish('a', encoder.encode('intruder'), {
      headers: { [HEADERS.instance]: 'other', [HEADERS.seq]: '9' },
    });
    await say(outbox, 'a', 'y');
    await until(() => fenced.length > 0, 'the fence');
    expect(fenced).toEqual([{ subject: 'a', instance: 'other' }]);
    expect(await say(outbox, 'b', 'z')).toEqual({ kind: 'fenced' });
    expect(await outbox.flush()).toBe('fenced');
    expect(stored('a')).toEqual(['1 x', 'intruder']);
    expect(stored('b')).toEqual([]);
  });

  it('keeps both where the journal lost its end and a number was given twice', async () => {
    const first = await open();
    await say(first, 'a', 'x');
    await first.flush();
    await first.close();
    await rm(dir, { recursive: true, force: true });
    const second = await open();
    await say(second, 'a', 'other');
    await second.flush();
    expect(stored('a')).toEqual(['1 x', '1 other']);
  });

  it('stays within its limit while what is stored goes, and says so when nothing can go', async () => {
    const outbox = await open({ maxBytes: 64 * 1024, segmentBytes: 4 * 1024 });
    const big = (): ReturnType<Outbox['append']> => outbox.append('a', () => new Uint8Array(1000));
    for (let count = 0; count < 300; count += 1) {
      expect((await big()).kind).toBe('recorded');
      await outbox.flush();
    }
    expect(store.messages.length).toBe(300);
    expect(outbox.stats().journalBytes).toBeLessThanOrEqual(64 * 1024);
    store.fault = () => 'full';
    let recorded = 0;
    let refused = await big();
    for (; refused.kind === 'recorded'; refused = await big()) recorded += 1;
    expect(refused).toEqual({ kind: 'no_space', errno: 'limit' });
    expect(recorded).toBeGreaterThan(20);
    expect(outbox.stats().blocked).toBe('stream_full');
    store.fault = () => null;
    await outbox.flush();
    expect((await big()).kind).toBe('recorded');
    await outbox.flush();
    // Numbers without a gap: what was refused used none.
    const seqs = store.messages.map(({ headers }) => Number(headers[HEADERS.seq]));
    expect(seqs).toEqual(seqs.map((_, index) => index + 1));
  });

  it('does not give a number twice after a crash at the limit', async () => {
    const limits = { maxBytes: 16 * 1024, segmentBytes: 1024 };
    // The journal is not to mark by itself what is stored.
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    const outbox = await open(limits);
    let elapsedMs = 0;
    const flushed = async (): Promise<void> => {
      const state = { isDone: false };
      void outbox.flush().then(() => (state.isDone = true));
      // Messages gather for a moment before they are sent.
      for (; !state.isDone; elapsedMs += 1) await vi.advanceTimersByTimeAsync(1);
    };
    for (let count = 0; count < 5; count += 1) await say(outbox, 'a', 'early');
    await flushed();
    for (let round = 0; round < 8; round += 1) {
      await Promise.all(
        Array.from({ length: 5 }, () => outbox.append('b', () => new Uint8Array(700))),
      );
      await flushed();
    }
    vi.useRealTimers();
    expect(elapsedMs, 'time enough to mark').toBeLessThan(250);
    // No close: what the journal holds now is what a crash leaves.
    const second = await open(limits);
    expect(await say(second, 'a', 'next')).toMatchObject({ kind: 'recorded', seq: 6 });
  });

  it('forgets released subjects, on disk too', async () => {
    const outbox = await open({ segmentBytes: 2 * 1024 });
    for (let count = 0; count < 40; count += 1)
      await outbox.append('run.1', () => new Uint8Array(500));
    await say(outbox, 'host', 'kept');
    await outbox.flush();
    expect((await outbox.drop(['run'])).kind).toBe('written');
    await say(outbox, 'host', 'later');
    await outbox.flush();
    expect(outbox.stats().journalBytes).toBeLessThan(8 * 1024);
    await outbox.close();
    const again = await open({ segmentBytes: 2 * 1024 });
    expect(again.stats()).toMatchObject({ subjects: 1, unstored: 0 });
    expect(await say(again, 'host', 'after')).toMatchObject({ seq: 3 });
  });

  it('refuses what no stream takes, and a throwing encoder harms nobody else', async () => {
    const outbox = await open();
    const bug = outbox.append('a', () => {
      throw new Error('bug');
    });
    const large = outbox.append('a', () => new Uint8Array(100_000));
    const fine = say(outbox, 'a', 'x');
    await expect(bug).rejects.toThrow('bug');
    expect(await large).toMatchObject({ kind: 'too_large' });
    expect(await fine).toMatchObject({ kind: 'recorded', seq: 1 });
  });
});
