/** AMD's GPUs by rocm-smi: what its answers mean, and how seldom it is asked. */
import { describe, expect, it } from 'vitest';
import { readCards } from '#agent/discovery/amd-gpus.ts';
import type { HelperResult } from '#agent/process/helpers/run-helper.ts';
import { AmdFeed } from '#agent/telemetry/amd-feed.ts';
import { readReadings } from '#agent/telemetry/amd-readings.ts';
import { joinedFeeds, NOTHING, type GpuFeed, type GpuTake } from '#agent/telemetry/gpu-feed.ts';
import { ROCM_NEW, ROCM_OLD } from '#test/support/rocm-answers.ts';

describe('an answer of rocm-smi', () => {
  it.each([
    [
      'older',
      ROCM_OLD,
      [
        {
          index: 1,
          id: 'pci-0000:3b:00.0',
          utilisationPercent: 7,
          memoryUtilisationPercent: 3,
          memoryUsedMiB: 10,
          powerW: 10,
          temperatureC: 49,
          smMHz: 2_045,
          memoryMHz: 100,
          clockReasons: null,
        },
      ],
    ],
    [
      'newer',
      ROCM_NEW,
      [
        {
          index: 0,
          id: 'AMD-a1b2c3d4e5f60718',
          utilisationPercent: 88,
          memoryUtilisationPercent: 41,
          memoryUsedMiB: 98_000,
          powerW: 550.5,
          temperatureC: 72,
          smMHz: 2_104,
          memoryMHz: 1_300,
          clockReasons: null,
        },
        {
          index: 1,
          id: 'amd-1',
          utilisationPercent: null,
          memoryUtilisationPercent: null,
          memoryUsedMiB: null,
          powerW: null,
          temperatureC: null,
          smMHz: null,
          memoryMHz: null,
          clockReasons: null,
        },
      ],
    ],
  ])('in %s words', (_words, text, readings) => {
    expect(readReadings(text)).toEqual({ kind: 'read', readings });
  });

  it('names a GPU as discovery does', () => {
    for (const text of [ROCM_OLD, ROCM_NEW]) {
      const [read, cards] = [readReadings(text), readCards(text)];
      if (read.kind !== 'read' || cards.kind !== 'read') throw new Error('not read');
      expect(read.readings.map(({ id }) => id)).toEqual(cards.gpus.map(({ id }) => id));
    }
  });

  it.each([
    ['', 'it printed no JSON'],
    ['{', 'it printed no JSON'],
    ['{x}', 'what it printed is no JSON'],
    ['{"card0": 1}', 'its JSON is not by cards'],
  ])('%j is none', (text, reason) => {
    expect(readReadings(text)).toEqual({ kind: 'unreadable', reason });
  });
});

class Bench {
  nowMs = 0;
  calls = 0;
  /** Of the tool. */
  takesMs = 0;
  answer: Partial<HelperResult> = { stdout: ROCM_NEW };
  isInstalled = true;
  readonly feed = new AmdFeed({
    nowMs: () => this.nowMs,
    isInstalled: () => this.isInstalled,
    run: async () => {
      this.calls += 1;
      const result = { stdout: '', stderr: '', pid: null, gone: Promise.resolve() };
      await Promise.resolve();
      this.nowMs += this.takesMs;
      return { end: { kind: 'exited', code: 0 }, ...result, ...this.answer };
    },
  });

  async begin(): Promise<void> {
    this.feed.begin(this.nowMs);
    await new Promise(setImmediate);
  }

  async take(afterMs = 1_000): Promise<GpuTake> {
    this.nowMs += afterMs;
    const taken = this.feed.take(this.nowMs);
    await new Promise(setImmediate);
    return taken;
  }

  async ids(afterMs?: number): Promise<string[]> {
    return (await this.take(afterMs)).gpus.map(({ id }) => id);
  }
}

describe('the feed', () => {
  it('is asked at the begin and every 5 s; each answer is told once, users never', async () => {
    const bench = new Bench();
    await bench.begin();
    const [first, ...rest] = [await bench.take(), await bench.take(), await bench.take()];
    expect(first).toMatchObject({ reason: null, gpus: [{ index: 0 }, { index: 1 }] });
    expect(first.users?.get('AMD-a1b2c3d4e5f60718')).toBeNull();
    expect(rest).toEqual(Array(2).fill({ gpus: [], reason: null, users: new Map() }));
    expect(bench.calls).toBe(1);
    await bench.take(2_000);
    expect(bench.calls).toBe(2);
    expect(await bench.ids()).toHaveLength(2);
  });

  it('is asked the more seldom the longer it takes, and never twice at once', async () => {
    const bench = new Bench();
    bench.takesMs = 300;
    await bench.begin();
    for (let second = 0; second < 14; second += 1) await bench.take();
    expect(bench.calls).toBe(1);
    await bench.take();
    await bench.take();
    expect(bench.calls).toBe(2);
  });

  it.each<[string, Partial<HelperResult>, RegExp]>([
    ['fails', { end: { kind: 'exited', code: 3 } }, /rocm-smi/],
    ['hangs', { end: { kind: 'timed_out', afterMs: 5_000 } }, /rocm-smi/],
    ['prints garbage', { stdout: 'hello' }, /^rocm-smi: it printed no JSON$/],
    ['lists none', { stdout: '{"system": {}}' }, /^rocm-smi: it lists no GPU$/],
  ])('that %s gives no values and a reason, and is left alone for a minute', async (...row) => {
    const [, answer, reason] = row;
    const bench = new Bench();
    bench.answer = answer;
    await bench.begin();
    expect(await bench.take()).toMatchObject({
      gpus: [],
      reason: expect.stringMatching(reason) as string,
    });
    for (let second = 0; second < 50; second += 1) await bench.take();
    expect(bench.calls).toBe(1);
    bench.answer = { stdout: ROCM_OLD };
    await bench.take(10_000);
    expect(await bench.take()).toMatchObject({ reason: null, gpus: [{ index: 1 }] });
  });

  it('that is not installed is nothing; after its end neither, and what comes late is dropped', async () => {
    const bench = new Bench();
    bench.isInstalled = false;
    await bench.begin();
    expect(await bench.take()).toEqual(NOTHING);
    expect(bench.calls).toBe(0);
    const late = new Bench();
    late.feed.begin(0);
    late.feed.end();
    expect(await late.take()).toEqual(NOTHING);
    late.feed.begin(late.nowMs);
    expect(late.calls).toBe(2);
  });
});

describe('feeds of several vendors', () => {
  const feedOf = (take: GpuTake, pid: number | null = null): GpuFeed => ({
    pid,
    begin: () => undefined,
    end: () => undefined,
    take: () => take,
  });
  it('are as one', async () => {
    const bench = new Bench();
    await bench.begin();
    await bench.take(0);
    const users = new Map([['GPU-1', [{ pid: 7, name: 'x', memoryMiB: null }]]]);
    const nvidia = feedOf({ gpus: [], reason: 'nvidia-smi hangs', users }, 4_711);
    const both = joinedFeeds([nvidia, bench.feed]);
    expect(both.pid).toBe(4_711);
    const taken = both.take(bench.nowMs);
    expect(taken.reason).toBe('nvidia-smi hangs');
    expect(taken.users?.get('GPU-1')).toHaveLength(1);
    expect(joinedFeeds([feedOf(NOTHING), feedOf(NOTHING)]).take(0)).toEqual(NOTHING);
  });
});
