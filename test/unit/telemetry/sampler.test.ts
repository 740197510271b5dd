/** The sampler on a host of the test's own: what is whose, to the tick. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Sampler } from '#agent/telemetry/sampler.ts';
import { attemptKey } from '#protocol/messages/ids.ts';
import type { AttemptTelemetry, HostSample } from '#protocol/messages/agent/telemetry.ts';
import type { FakeProc } from '#test/support/fake-proc.ts';
import type { ManualClock } from '#test/support/manual-clock.ts';
import { HELPER, MAIN, SamplerBench } from './sampler-bench.ts';

const NONE: AttemptTelemetry['series'] = {};

let bench: SamplerBench;
let proc: FakeProc;
let clock: ManualClock;
let sampler: Sampler;

beforeEach(() => {
  bench = new SamplerBench();
  ({ proc, clock, sampler } = bench);
});

describe('whose time it is', () => {
  it('the tree is the attempt, its helper and this process the agent, the rest other', async () => {
    const key = bench.begin('t');
    for (let at = 0; at < 5; at += 1)
      bench.second({ [MAIN]: 95, [HELPER]: 2, [process.pid]: 3 }, 50);
    const telemetry = sampler.summary(key);
    expect(telemetry).toMatchObject({
      samples: 5,
      fromMs: 0,
      toMs: 5_000,
      coveredMs: 5_000,
      gaps: [],
      problems: [],
      perturbed: [{ reason: 'other_cpu', mean: 0.5, max: 0.5, seconds: 5, share: 1 }],
    });
    const series = telemetry?.series ?? NONE;
    expect(series['cpu']).toEqual({
      unit: 'cores',
      count: 5,
      min: 0.95,
      mean: 0.95,
      max: 0.95,
      p95: 0.95,
    });
    expect(series['agent.cpu']?.mean).toBe(0.05);
    expect(series['memory.rss']?.max).toBe(1_000 * 4_096);
    expect(series['memory.private']?.max).toBe(600 * 4_096);
    expect(series['host.cpu.busy']?.mean).toBe(0.375);
    expect(await bench.hostSamples(5)).toMatchObject(
      Array.from({ length: 5 }, () => ({ attempts: 1, otherCores: 0.5, agentCores: 0.05 })),
    );
  });

  it('children, and what was reaped, count; a tree that lost a child does not go back', () => {
    const key = bench.begin('t');
    proc.processes.set(102, { parent: MAIN });
    bench.second({ [MAIN]: 10, 102: 60 });
    const main = proc.processes.get(MAIN);
    if (main === undefined) throw new Error('no main');
    // It ends within the second, after 20 ticks more: its parent has its time now.
    proc.processes.delete(102);
    main.reapedTicks = 80;
    proc.pass(1_000, 20);
    clock.advance(1_000);
    // For an instant it is in neither.
    main.reapedTicks = 0;
    proc.pass(1_000, 0);
    clock.advance(1_000);
    main.reapedTicks = 80;
    bench.second({ [MAIN]: 10 });
    const cpu = sampler.summary(key)?.series['cpu'];
    expect(cpu).toMatchObject({ count: 4, max: 0.7, min: 0 });
    expect((cpu?.mean ?? 0) * 4).toBeCloseTo(1, 6);
  });

  it('a child that another thread than the first has started counts', () => {
    const key = bench.begin('t');
    const main = proc.processes.get(MAIN);
    if (main !== undefined) main.threads = 3;
    proc.processes.set(102, { parent: MAIN, byThread: 2 });
    bench.second({ [MAIN]: 10, 102: 60 });
    expect(sampler.summary(key)?.series['cpu']?.max).toBe(0.7);
    expect(sampler.summary(key)?.series['processes']?.max).toBe(2);
  });

  it('attempts are not other to each other; beside an exclusive one they are neighbours', () => {
    const shared = { isExclusive: false };
    const [a, b] = [bench.begin('a', shared, 100), bench.begin('b', { isExclusive: true }, 200)];
    for (let at = 0; at < 5; at += 1) bench.second({ 101: 90, 201: 80 });
    expect(sampler.summary(a)?.perturbed).toBeNull();
    expect(sampler.summary(b)?.perturbed).toMatchObject([{ reason: 'neighbour', mean: 0.9 }]);
  });

  it('what a step used in its last second is known from its end, not other', async () => {
    const a = bench.begin('a', {}, 100);
    const b = bench.begin('b', { isExclusive: false }, 200);
    bench.second({ 101: 50, 201: 100 });
    // b goes on for half a second: 500 ms of CPU that no tree shows any more.
    proc.processes.delete(201);
    proc.processes.delete(200);
    sampler.end(b, '200', 1_500);
    proc.pass(1_000, 50 + 50);
    const main = proc.processes.get(101);
    if (main !== undefined) main.ownTicks = 100;
    clock.advance(1_000);
    expect((await flushed(a))[1]).toMatchObject({ otherCores: 0 });
    // Where nobody knows it, nobody is blamed.
    const c = bench.begin('c', { isExclusive: false }, 300);
    sampler.end(c, '300', null);
    bench.second({ 101: 50 }, 100);
    expect((await flushed(a))[2]).toMatchObject({ otherCores: null });
  });

  async function flushed(key: string): Promise<HostSample[]> {
    const { samples = 0 } = sampler.summary(key) ?? {};
    return bench.hostSamples(samples);
  }
});

it('of more processes than are looked at nothing is guessed', async () => {
  const key = bench.begin('t');
  for (let pid = 1_000; pid < 3_000; pid += 1) proc.processes.set(pid, { parent: MAIN });
  bench.second({ [MAIN]: 100 }, 100);
  const telemetry = sampler.summary(key);
  expect(telemetry?.problems).toEqual(['there were more processes or threads than are looked at']);
  expect(telemetry?.series['cpu']).toBeUndefined();
  expect(telemetry?.perturbed).toBeNull();
  expect((await bench.hostSamples(1))[0]).toMatchObject({ otherCores: null });
});

describe('when it samples', () => {
  it('not at rest: no timer, no read; and for a moment after the last step', () => {
    expect(clock.waiting).toBe(0);
    const key = bench.begin('t');
    bench.second({ [MAIN]: 10 });
    sampler.end(key, String(HELPER), 100);
    sampler.forget(key);
    for (let at = 0; at < 4; at += 1) bench.second({});
    const { reads } = proc;
    expect(clock.waiting).toBe(0);
    for (let at = 0; at < 60; at += 1) bench.second({});
    expect(proc.reads).toBe(reads);
  });

  it('a first sample that would be mostly rounding waits for the next', () => {
    bench.begin('first', {}, 200);
    clock.advance(900);
    const key = bench.begin('t');
    clock.advance(100);
    expect(sampler.summary(key)).toBeNull();
    bench.second({ [MAIN]: 110 });
    expect(sampler.summary(key)?.series['cpu']).toMatchObject({ count: 1, mean: 1 });
  });

  it('a step whose processes are gone, and whose end is not told yet, has no sample', () => {
    const key = bench.begin('t');
    bench.second({ [MAIN]: 10 });
    proc.processes.delete(MAIN);
    bench.second({});
    expect(sampler.summary(key)?.series['memory.rss']).toMatchObject({ count: 1, min: 4_096_000 });
  });

  it('after a late look the next is not close behind', async () => {
    const key = bench.begin('t');
    bench.second({ [MAIN]: 10 });
    clock.stall(1_900);
    clock.advance(0);
    clock.advance(200);
    expect(sampler.summary(key)?.samples).toBe(2);
    expect(await bench.hostSamples(2)).toHaveLength(2);
    clock.advance(1_000);
    expect(sampler.summary(key)?.samples).toBe(3);
  });

  it('an agent that was held up says so, and loses nothing of the sums', () => {
    const key = bench.begin('t');
    bench.second({ [MAIN]: 100 });
    const main = proc.processes.get(MAIN);
    if (main !== undefined) main.ownTicks = 400;
    proc.pass(3_000, 300);
    clock.stall(3_000);
    clock.advance(0);
    const telemetry = sampler.summary(key);
    expect(telemetry?.gaps).toEqual([
      { fromMs: 1_000, toMs: 4_000, reason: 'the agent was held up: one sample for all of it' },
    ]);
    expect(telemetry).toMatchObject({ samples: 2, coveredMs: 4_000 });
    expect(telemetry?.series['cpu']?.mean).toBe(1);
  });

  it('of an attempt taken up again, what was before is a gap and in no sample', () => {
    const adopted = { elapsedMs: () => 60_000 + clock.now().monotonicMs - 1_000_000 };
    proc.processes.set(HELPER, { parent: 1 });
    proc.processes.set(MAIN, { parent: HELPER, ownTicks: 5_000, read: 1_000_000 });
    const measured = bench.attempt('t', { ...adopted, isResumed: true });
    const key = attemptKey(measured.ref);
    sampler.begin(measured, String(HELPER));
    bench.second({ [MAIN]: 50 });
    expect(sampler.summary(key)).toMatchObject({
      samples: 1,
      fromMs: 60_000,
      toMs: 61_000,
      gaps: [{ fromMs: 0, toMs: 60_000, reason: 'the agent was started again' }],
    });
    const series = sampler.summary(key)?.series ?? NONE;
    expect(series['cpu']?.max).toBe(0.5);
    expect(series['disk.read']?.max).toBe(0);
  });

  it('a defect ends the sampling, not the agent, and the result says so', () => {
    const key = bench.begin('t');
    bench.second({ [MAIN]: 10 });
    proc.broken = new Error('no such thing');
    clock.advance(1_000);
    proc.broken = null;
    expect(clock.waiting).toBe(0);
    bench.second({});
    expect(sampler.summary(key)).toMatchObject({
      samples: 1,
      problems: ['a defect of benchmesh ended the sampling: no such thing'],
    });
  });

  it('another process with the pid of a helper that is gone is not taken for it', () => {
    const key = bench.begin('t');
    bench.second({ [MAIN]: 10 });
    proc.processes.set(HELPER, { parent: 1, startTime: 99 });
    bench.second({ [MAIN]: 100 });
    expect(sampler.summary(key)?.samples).toBe(1);
  });
});
