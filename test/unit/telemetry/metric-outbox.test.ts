import { beforeEach, describe, expect, it } from 'vitest';
import { MetricOutbox } from '#agent/telemetry/metric-outbox.ts';
import { SampleSeries } from '#agent/telemetry/sample-batch.ts';
import { SampleCursor } from '#protocol/fold/sample-series.ts';
import { decode, type Message } from '#protocol/messages/envelope.ts';
import type { AttemptSample } from '#protocol/messages/agent/telemetry.ts';
import type { PublishOutcome } from '#protocol/nats/publisher.ts';
import { silentLog } from '#protocol/runtime/log.ts';
import { ManualClock } from '#test/support/manual-clock.ts';

const STORED: PublishOutcome = { kind: 'stored', sequence: 1, duplicate: false };

let clock: ManualClock;
let outcomes: PublishOutcome[];
let messages: Message[];
let ids: string[];
let isBehind: boolean;
let reachable: Promise<void>;
let outbox: MetricOutbox;
let series: SampleSeries<'attempt.sampled'>;

beforeEach(() => {
  clock = new ManualClock();
  outcomes = [];
  messages = [];
  ids = [];
  isBehind = false;
  reachable = Promise.resolve();
  outbox = new MetricOutbox({
    store: {
      publish: (_subject, payload, id) => {
        ids.push(id);
        const outcome = outcomes.shift() ?? STORED;
        const decoded = decode(payload);
        if (decoded.kind === 'rejected') throw new Error(decoded.reason);
        if (outcome.kind === 'stored') messages.push(decoded.message);
        return Promise.resolve(outcome);
      },
      whenReachable: () => reachable,
    },
    isBehind: () => isBehind,
    clock,
    log: silentLog,
  });
  const writer = { source: '/agents/a', incarnation: 1 };
  const subject = 'bm.v1.met.a.r.t.1';
  series = new SampleSeries('attempt.sampled', { subject, writer, clock, outbox });
});

function add(count: number): void {
  for (let at = 0; at < count; at += 1) series.add(sample(at));
}

function sample(at: number): AttemptSample {
  const amounts = { cores: 1, rssBytes: 1, privateBytes: 1, readBps: 0, writeBps: 0, processes: 1 };
  return { timeMs: at, spanMs: 1_000, elapsedMs: at, ...amounts };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const sentSamples = (): number =>
  messages.reduce(
    (sum, one) => sum + (one.name === 'attempt.sampled' ? one.data.samples.length : 0),
    0,
  );

describe('the way of samples', () => {
  it('five go together; the rest when it is over', async () => {
    add(12);
    await settle();
    expect(messages.map((one) => one.data)).toMatchObject([{ first: 0 }, { first: 5 }]);
    series.flush();
    await settle();
    expect(messages.at(-1)?.data).toMatchObject({ first: 10, samples: [{}, {}] });
  });

  it('what may have been stored is repeated under the same id; readers take it once', async () => {
    outcomes = [{ kind: 'ambiguous', reason: 'timeout' }];
    add(5);
    await settle();
    clock.advance(10_000);
    await settle();
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(1);
    const cursor = new SampleCursor();
    const [message] = messages;
    if (message === undefined) throw new Error('nothing was stored');
    expect(cursor.attempt(message)).toHaveLength(5);
    expect(cursor.attempt(message)).toHaveLength(0);
    // A restarted agent counts anew; what comes late of the one before is old.
    expect(cursor.attempt({ ...message, incarnation: 2 })).toHaveLength(5);
    expect(cursor.attempt(message)).toHaveLength(0);
  });

  it('while nothing can be stored the oldest are dropped, counted, and said', async () => {
    let release: () => void = () => undefined;
    reachable = new Promise((resolve) => {
      release = resolve;
    });
    add(5 * 400);
    await settle();
    expect(series.dropped).toBeGreaterThan(5 * 140);
    const { dropped } = series;
    release();
    await settle();
    expect(sentSamples() + dropped).toBe(5 * 400);
    expect(messages.at(-1)?.data).toMatchObject({ dropped });
    const firsts = messages.flatMap((one) =>
      one.name === 'attempt.sampled' ? [one.data.first] : [],
    );
    expect(firsts.at(-1)).toBe(5 * 399);
  });

  it('events that wait go first', async () => {
    isBehind = true;
    add(5);
    await settle();
    clock.advance(60_000);
    await settle();
    expect(messages).toEqual([]);
    isBehind = false;
    clock.advance(1_000);
    await settle();
    expect(messages).toHaveLength(1);
  });

  it('what is refused is dropped and not tried again', async () => {
    outcomes = [{ kind: 'rejected', code: 1, reason: 'no' }];
    add(10);
    await settle();
    expect(series.dropped).toBe(5);
    expect(messages).toHaveLength(1);
  });

  it('closing waits for a moment, not for ever', async () => {
    reachable = new Promise(() => undefined);
    add(5);
    await settle();
    let isClosed = false;
    void outbox.close(500).then(() => {
      isClosed = true;
    });
    await settle();
    expect(isClosed).toBe(false);
    clock.advance(500);
    await settle();
    expect(isClosed).toBe(true);
    add(5);
    await settle();
    expect(messages).toEqual([]);
  });
});
