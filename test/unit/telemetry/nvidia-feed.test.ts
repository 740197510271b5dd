/** The looping tool in every mood, with a clock and a loop of the test's own. */
import { describe, expect, it } from 'vitest';
import { clockReasonsOf } from '#agent/telemetry/clock-reasons.ts';
import { NvidiaFeed } from '#agent/telemetry/nvidia-feed.ts';
import { joinReadings, SAMPLE_FIELDS, SmiLines } from '#agent/telemetry/smi-lines.ts';
import type { LineHelper, LineHelperEvents } from '#agent/process/helpers/line-helper.ts';
import type { HelperResult } from '#agent/process/helpers/run-helper.ts';
import { section } from '#test/support/smi-captures.ts';
import { smiRow, smiTable } from '#test/support/smi-loop.ts';

interface Loop {
  readonly argv: readonly string[];
  readonly on: LineHelperEvents;
  isGone: boolean;
  isEnded: boolean;
}

class Bench {
  nowMs = 0;
  readonly loops: Loop[] = [];
  readonly calls: string[][] = [];
  answer: Partial<HelperResult> = {};
  readonly feed = new NvidiaFeed({
    everyMs: 1_000,
    isInstalled: () => true,
    nowMs: () => this.nowMs,
    run: (argv) => {
      this.calls.push([...argv]);
      const result = { stdout: '', stderr: '', pid: null, gone: Promise.resolve() };
      return Promise.resolve({ end: { kind: 'exited', code: 0 }, ...result, ...this.answer });
    },
    startLoop: (argv, on) => {
      const loop = { argv, on, isGone: false, isEnded: false };
      this.loops.push(loop);
      const helper = {
        pid: 4_711,
        get isGone() {
          return loop.isGone;
        },
        end: () => {
          loop.isEnded = true;
        },
      };
      return helper as unknown as LineHelper; // the three members that are used
    },
  });

  get loop(): Loop {
    const last = this.loops.at(-1);
    if (last === undefined) throw new Error('no loop was started');
    return last;
  }

  die(status: number, ...said: string[]): void {
    for (const line of said) this.loop.on.onLine(line);
    this.loop.isGone = true;
    this.loop.on.onEnd(status, null);
  }

  reason(afterMs: number): string | null {
    this.nowMs += afterMs;
    return this.feed.take(this.nowMs).reason;
  }
}

function begun(): Bench {
  const bench = new Bench();
  bench.feed.begin(0);
  return bench;
}

describe('lines of a looping tool', () => {
  it('header, rows, notes; a header may come again', () => {
    const lines = new SmiLines();
    expect(lines.read(smiRow({}))).toMatchObject({ kind: 'note' });
    expect(lines.read(smiTable())).toEqual({ kind: 'header' });
    expect(lines.read(smiRow({ reasons: '0x0000000000000004' }))).toEqual({
      kind: 'reading',
      reading: {
        index: 0,
        id: 'GPU-1',
        utilisationPercent: 98,
        memoryUtilisationPercent: 41,
        memoryUsedMiB: 38_120,
        powerW: 120.5,
        temperatureC: 74,
        smMHz: 2_385,
        memoryMHz: 9_001,
        clockReasons: ['sw_power_cap'],
      },
    });
    expect(lines.read('')).toBeNull();
    expect(lines.read('Unable to determine the device handle')).toMatchObject({ kind: 'note' });
    expect(lines.read(smiTable(['index', 'uuid', 'power.draw']))).toEqual({ kind: 'header' });
    expect(lines.read('1, GPU-2, [N/A]')).toMatchObject({
      reading: { id: 'GPU-2', powerW: null, clockReasons: null },
    });
  });

  it.each(['h100', 'l40s', 'rtx-2080-super', 'h100-mig'] as const)('of %s', (capture) => {
    const lines = new SmiLines();
    const read = section(capture, 'load-gpus')
      .split('\n')
      .map((line) => lines.read(line));
    const readings = read.flatMap((one) => (one?.kind === 'reading' ? [one.reading] : []));
    expect(readings).toHaveLength(1);
    expect(readings[0]?.temperatureC).toBeGreaterThan(20);
    expect(readings[0]?.powerW).toBeGreaterThan(20);
    expect(readings[0]?.clockReasons).not.toBeNull();
    // A GPU in MIG mode does not tell it.
    expect(readings[0]?.utilisationPercent === null).toBe(capture === 'h100-mig');
  });

  it('clock reasons by their bits', () => {
    expect(clockReasonsOf('0x0000000000000000')).toEqual([]);
    expect(clockReasonsOf('0x00000000000001FF')).toHaveLength(9);
    expect(clockReasonsOf('0x0000000000000048')).toEqual(['hw_slowdown', 'hw_thermal']);
    expect(clockReasonsOf('0xFFFFFFFFFFFF0000')).toEqual([]);
    for (const other of [null, 'Not Active', '0x', '4', '0x00000000000000001'])
      expect(clockReasonsOf(other)).toBeNull();
  });

  it('two readings in one sample: the later values, the reasons of both', () => {
    const lines = new SmiLines();
    lines.read(smiTable());
    const [before, after] = ['0x20', '0x4'].map((reasons, at) => {
      const read = lines.read(smiRow({ reasons, power: `${at}.00` }));
      if (read?.kind !== 'reading') throw new Error('no reading');
      return read.reading;
    });
    if (after === undefined) throw new Error('no reading');
    expect(joinReadings(before, after)).toMatchObject({
      powerW: 1,
      clockReasons: ['sw_thermal', 'sw_power_cap'],
    });
  });
});

describe('the feed', () => {
  it('asks by one loop, and hands each reading over once', () => {
    const bench = begun();
    expect(bench.loop.argv.slice(-2)).toEqual(['-lms', '1000']);
    expect(bench.reason(0)).toBe('nvidia-smi has not answered yet');
    bench.loop.on.onLine(smiTable());
    bench.loop.on.onLine(smiRow({}));
    bench.loop.on.onLine(smiRow({ index: 1, uuid: 'GPU-2' }));
    expect(bench.feed.take(1_000)).toMatchObject({ gpus: [{}, {}], reason: null });
    expect(bench.feed.take(1_001).gpus).toEqual([]);
    bench.feed.end();
    expect(bench.loop.isEnded).toBe(true);
    expect(bench.loops).toHaveLength(1);
  });

  it('a field that is refused is left out, at once', () => {
    const bench = begun();
    bench.die(2, 'Field "clocks_event_reasons.active" is not a valid field to query.');
    expect(bench.loops).toHaveLength(2);
    expect(bench.loop.argv.join()).not.toContain('clocks_event_reasons');
    expect(bench.loop.argv.join()).toContain('clocks_throttle_reasons.active');
    // One that is not asked for is no reason to go on for ever.
    bench.die(2, 'Field "serial" is not a valid field to query.');
    expect(bench.loops).toHaveLength(2);
    for (const field of SAMPLE_FIELDS) {
      bench.reason(60_000);
      bench.die(2, `Field "${field}" is not a valid field to query.`);
    }
    expect(bench.loops.length).toBeLessThan(2 * SAMPLE_FIELDS.length);
  });

  it('one that dies is started again, later each time', () => {
    const bench = begun();
    bench.loop.on.onLine(smiTable());
    bench.loop.on.onLine(smiRow({}));
    bench.feed.take(0);
    bench.die(9, 'GPU is lost');
    expect(bench.reason(100)).toBe('nvidia-smi ended with status 9 (nvidia-smi: GPU is lost)');
    expect(bench.loops).toHaveLength(1);
    bench.reason(2_000);
    expect(bench.loops).toHaveLength(2);
  });

  it('silence is a hang; one that cannot be killed is not joined by a second', () => {
    const bench = begun();
    bench.loop.on.onLine(smiTable());
    bench.loop.on.onLine(smiRow({}));
    bench.reason(1_000);
    expect(bench.reason(4_500)).toBe('nvidia-smi hangs: nothing for 5 s');
    expect(bench.loop.isEnded).toBe(true);
    expect(bench.reason(2_500)).toContain('cannot be killed');
    expect(bench.loops).toHaveLength(1);
    bench.loop.isGone = true;
    bench.reason(10_500);
    expect(bench.loops).toHaveLength(2);
  });

  it('one that never tells anything by a loop is asked by calls', async () => {
    const bench = begun();
    expect(bench.reason(21_000)).toContain('hangs');
    bench.loop.isGone = true;
    bench.reason(3_000);
    bench.die(1);
    bench.answer = { stdout: `${smiTable()}\n${smiRow({})}\n` };
    bench.reason(1_000);
    await Promise.resolve();
    await Promise.resolve();
    expect(bench.feed.take(bench.nowMs).gpus).toHaveLength(1);
    bench.answer = { end: { kind: 'timed_out', afterMs: 5_000 } };
    await new Promise(setImmediate);
    bench.reason(1_000);
    await new Promise(setImmediate);
    expect(bench.reason(1_000)).toBe('nvidia-smi hangs: no end after 5 s');
    expect(bench.loops).toHaveLength(2);
  });

  it('who uses a GPU is asked every ten seconds, and is not known where that fails', async () => {
    const bench = begun();
    bench.answer = {
      stdout: 'gpu_uuid, pid, used_gpu_memory [MiB], process_name\nGPU-1, 77, 538, ffmpeg\n',
    };
    const take = async (afterMs: number) => {
      bench.nowMs += afterMs;
      bench.loop.on.onLine(smiTable());
      bench.loop.on.onLine(smiRow({}));
      bench.feed.take(bench.nowMs);
      await new Promise(setImmediate);
      return bench.feed.take(bench.nowMs).users;
    };
    expect((await take(0))?.get('GPU-1')).toMatchObject([{ pid: 77, name: 'ffmpeg' }]);
    await take(5_000);
    expect(bench.calls).toHaveLength(1);
    bench.answer = { end: { kind: 'exited', code: 9 } };
    expect(await take(6_000)).toBeNull();
    expect(bench.calls).toHaveLength(2);
  });

  it('without a tool there is nothing, and no reason', () => {
    const feed = new NvidiaFeed({
      everyMs: 1_000,
      nowMs: () => 0,
      isInstalled: () => false,
      run: () => Promise.reject(new Error('called')),
    });
    feed.begin(0);
    expect(feed.take(0)).toEqual({ gpus: [], reason: null, users: null });
  });
});
