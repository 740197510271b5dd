/** The shipper over segments written by hand and a store that does what servers do (I7). */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LogBatch } from '#agent/logs/log-batch.ts';
import { LogPacer, PACE_MS, paceMs } from '#agent/logs/log-pacer.ts';
import { LogShipper } from '#agent/logs/log-shipper.ts';
import type { LogStore } from '#agent/logs/log-store.ts';
import { ENTRY_BYTES, KIND_STDOUT, segmentName } from '#agent/process/spool/log-format.ts';
import type { PublishOutcome } from '#protocol/nats/publisher.ts';
import { silentLog } from '#protocol/runtime/log.ts';
import { ManualClock } from '#test/support/manual-clock.ts';

type Fate = 'stored' | 'lost' | 'unheard' | 'full';

/** Keeps what is published, and answers as it is told to. */
class FakeStore implements LogStore {
  readonly messages: { readonly subject: string; readonly batch: LogBatch }[] = [];
  fates: Fate[] = [];

  publish(subject: string, batch: LogBatch, expected: number): Promise<PublishOutcome> {
    const fate = this.fates.shift() ?? 'stored';
    if (fate === 'full') return Promise.resolve({ kind: 'full', code: 10077, reason: 'full' });
    if (fate === 'lost') return Promise.resolve({ kind: 'ambiguous', reason: 'timeout' });
    const isNext = this.messages.filter((each) => each.subject === subject).length === expected;
    if (!isNext) return Promise.resolve({ kind: 'conflict', reason: 'wrong last sequence' });
    this.messages.push({ subject, batch });
    if (fate === 'unheard') return Promise.resolve({ kind: 'ambiguous', reason: 'timeout' });
    return Promise.resolve({ kind: 'stored', sequence: expected + 1, duplicate: false });
  }

  tail(subject: string): ReturnType<LogStore['tail']> {
    const own = this.messages.filter((each) => each.subject === subject);
    const endOffset = own.at(-1)?.batch.endOffset;
    return Promise.resolve(
      endOffset === undefined
        ? { kind: 'none' }
        : { kind: 'found', sequence: own.length, endOffset, instance: 'i' },
    );
  }

  whenReachable(): Promise<void> {
    return Promise.resolve();
  }

  isClosed(): boolean {
    return false;
  }

  textOf(subject: string): string {
    let text = '';
    for (const { batch } of this.messages.filter((each) => each.subject === subject)) {
      expect(batch.offset).toBe(text.length);
      text += Buffer.from(batch.payload).toString('latin1');
    }
    return text;
  }
}

/** Writes a step's output as meshrun does, an entry for each piece. */
class Writer {
  text = '';
  readonly #dir: string;
  #number = 0;
  #from = 0;
  #entries: Buffer[] = [];

  constructor(dir: string) {
    this.#dir = dir;
  }

  write(piece: string): void {
    const entry = Buffer.alloc(ENTRY_BYTES);
    entry.writeBigUInt64LE(BigInt(this.text.length), 0);
    entry.writeBigUInt64LE(BigInt(piece.length), 8);
    entry.writeBigUInt64LE(BigInt(this.#entries.length), 16);
    entry.writeUInt8(KIND_STDOUT, 24);
    this.text += piece;
    this.#entries.push(entry);
    writeFileSync(join(this.#dir, segmentName('log', this.#number)), this.text.slice(this.#from));
    writeFileSync(
      join(this.#dir, segmentName('index', this.#number)),
      Buffer.concat(this.#entries),
    );
  }

  turn(): void {
    this.#number += 1;
    this.#from = this.text.length;
    this.#entries = [];
  }
}

let root = '';
let clock = new ManualClock();
let store = new FakeStore();
let pacer = new LogPacer(clock);
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'bm-shipper-'));
  clock = new ManualClock();
  store = new FakeStore();
  pacer = new LogPacer(clock);
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

function shipperOf(subject: string): { shipper: LogShipper; writer: Writer; dir: string } {
  const dir = mkdtempSync(join(root, 'step-'));
  const shipper = new LogShipper({
    ...{ subject, instance: 'i', store, pacer, clock, log: silentLog, isResumed: false },
    keep: (_dir, deliveredTo) => deliveredTo,
  });
  shipper.addStep('run', dir, 0);
  return { shipper, writer: new Writer(dir), dir };
}

/** What was begun is done, but for what waits for the clock. */
async function settled(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await setImmediate();
}

const lengths = (): number[] => store.messages.map(({ batch }) => batch.payload.length);

describe('the pace', () => {
  it('the first goes at once, then what there is goes together, then nothing waits', async () => {
    const { shipper, writer } = shipperOf('s');
    for (const piece of ['first', 'a', 'bc']) {
      writer.write(piece);
      shipper.wake();
      await settled();
    }
    expect(lengths()).toEqual([5]);
    clock.advance(PACE_MS);
    await settled();
    expect(lengths()).toEqual([5, 3]);
    clock.advance(PACE_MS);
    await settled();
    clock.advance(PACE_MS);
    expect([lengths(), clock.waiting]).toEqual([[5, 3], 0]);
  });

  it('much goes at once, also over the end of a segment', async () => {
    const { shipper, writer } = shipperOf('s');
    for (let i = 0; i < 4; i += 1) {
      writer.write('x'.repeat(20_000));
      writer.turn();
      shipper.wake();
      await settled();
    }
    expect(lengths()).toEqual([20_000, 20_000, 20_000, 20_000]);
  });

  it('the end of a step waits for nothing', async () => {
    const { shipper, writer, dir } = shipperOf('s');
    for (const piece of ['first', 'last']) {
      writer.write(piece);
      shipper.wake();
      await settled();
    }
    shipper.endStep(dir, writer.text.length);
    await settled();
    expect([store.textOf('s'), shipper.isDone()]).toEqual(['firstlast', true]);
  });

  it('is one for all logs: what waits is sent in one turn, also of one that has just begun', async () => {
    const say = async ({ shipper, writer }: ReturnType<typeof shipperOf>): Promise<void> => {
      for (const piece of ['first', 'second']) {
        writer.write(piece);
        shipper.wake();
        await settled();
      }
    };
    const all = ['a', 'b', 'c'].map(shipperOf);
    for (const each of all) await say(each);
    clock.advance(PACE_MS - 40);
    const late = shipperOf('late');
    await say(late);
    expect([lengths().length, clock.waiting]).toEqual([4, 1]);
    clock.advance(40);
    // Published within the timer's own turn.
    expect(lengths().length).toBe(8);
    for (const { shipper } of [...all, late]) shipper.close();
  });

  it('comes less often where more wait for it, and as before when they are fewer again', () => {
    const turns: number[] = [];
    const from = clock.now().monotonicMs;
    const ask = (logs: number): void => {
      const each = Array.from({ length: logs }, (_, at) => () => {
        if (at === 0) turns.push(clock.now().monotonicMs - from);
      });
      for (const onPace of each) pacer.soon(onPace);
    };
    for (const logs of [64, 64, 2, 2]) {
      ask(logs);
      while (clock.waiting > 0) clock.advance(1);
    }
    const slow = paceMs(64);
    expect(slow).toBeGreaterThan(PACE_MS);
    expect(turns).toEqual([PACE_MS, PACE_MS + slow, PACE_MS + 2 * slow, 2 * PACE_MS + 2 * slow]);
  });
});

it('gives each byte once, in order, whatever the store does and whenever it is woken', async () => {
  const fate = fc.constantFrom<Fate>('stored', 'stored', 'stored', 'lost', 'unheard', 'full');
  const action = fc.record({
    bytes: fc.oneof(fc.nat(30), fc.constant(20_000)),
    turn: fc.boolean(),
    wakes: fc.nat(2),
    advanceMs: fc.constantFrom(0, 0, 10, 120),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(action, { minLength: 1, maxLength: 12 }),
      fc.array(fate, { maxLength: 12 }),
      async (actions, fates) => {
        store = new FakeStore();
        store.fates = fates;
        const { shipper, writer, dir } = shipperOf('s');
        for (const { bytes, turn, wakes, advanceMs } of actions) {
          if (bytes > 0) writer.write(String.fromCharCode(97 + (bytes % 26)).repeat(bytes));
          if (bytes > 0 && turn) writer.turn();
          for (let i = 0; i < wakes; i += 1) shipper.wake();
          clock.advance(advanceMs);
          await setImmediate();
        }
        shipper.endStep(dir, writer.text.length);
        for (let i = 0; i < 50 && !shipper.isDone(); i += 1) {
          await settled();
          clock.advance(2_000);
        }
        expect(shipper.isDone()).toBe(true);
        expect(store.textOf('s')).toBe(writer.text);
      },
    ),
    { numRuns: 60 },
  );
});
