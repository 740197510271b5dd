/** Whose GPU it is: the sampler on a host with eight, and with GPUs of two vendors. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { MeasuredAttempt } from '#agent/telemetry/telemetry.ts';
import { MAIN, SamplerBench } from './sampler-bench.ts';

let bench: SamplerBench;
beforeEach(() => {
  bench = new SamplerBench();
});

describe('whose GPU it is', () => {
  const GPUS = Array.from({ length: 8 }, (_, index) => ({
    index,
    id: `GPU-${index}`,
    utilisationPercent: 10 * index,
    memoryUtilisationPercent: null,
    memoryUsedMiB: null,
    powerW: null,
    temperatureC: null,
    smMHz: null,
    memoryMHz: null,
    clockReasons: index === 1 ? (['hw_thermal'] as const) : [],
  }));
  const user = (pid: number, name: string) => ({ pid, name, memoryMiB: null });
  const given = (...indexes: number[]): Partial<MeasuredAttempt> => ({
    isExclusive: false,
    gpus: () => indexes.map((index) => ({ id: `GPU-${index}` })),
  });
  const gpuSeries = (key: string): Record<string, number> =>
    Object.fromEntries(
      Object.entries(bench.sampler.summary(key)?.series ?? {})
        .filter(([name]) => name.startsWith('gpu.'))
        .map(([name, { mean }]) => [name, mean]),
    );

  it('of eight an attempt with one has that one: nothing of others, nothing of their trouble', async () => {
    bench.proc.processes.set(900, { parent: 1, name: 'miner' });
    bench.gpus = {
      gpus: GPUS.map((gpu) => ({ ...gpu, clockReasons: [...gpu.clockReasons] })),
      reason: null,
      users: new Map([
        ['GPU-3', [user(101, 'a')]],
        ['GPU-1', [user(201, 'b')]],
        ['GPU-5', [user(900, 'miner')]],
      ]),
    };
    const a = bench.begin('a', given(3), 100);
    const b = bench.begin('b', given(1, 5), 200);
    const c = bench.begin('c', { isExclusive: false }, 300);
    for (let at = 0; at < 5; at += 1) bench.second({ 101: 10, 201: 10, 301: 10 });
    expect(gpuSeries(a)).toEqual({ 'gpu.3.utilisation': 30 });
    expect(gpuSeries(b)).toEqual({ 'gpu.1.utilisation': 10, 'gpu.5.utilisation': 50 });
    expect(gpuSeries(c)).toEqual({});
    expect(bench.sampler.summary(a)?.perturbed).toBeNull();
    expect(bench.sampler.summary(b)?.perturbed).toMatchObject([
      { reason: 'gpu_throttled', gpu: 'GPU-1', what: ['hw_thermal'] },
      { reason: 'gpu_foreign', gpu: 'GPU-5', what: ['miner (900)'] },
    ]);
    expect(bench.sampler.summary(c)?.perturbed).toBeNull();
    // The host's own samples have them all.
    expect((await bench.hostSamples(1))[0]?.gpus).toHaveLength(8);
  });

  it('another attempt on the GPU of one is foreign to it', () => {
    const users = new Map([['GPU-3', [user(101, 'a'), user(201, 'b')]]]);
    bench.gpus = {
      gpus: GPUS.slice(3, 4).map((gpu) => ({ ...gpu, clockReasons: [] })),
      reason: null,
      users,
    };
    const a = bench.begin('a', given(3), 100);
    const b = bench.begin('b', { isExclusive: false }, 200);
    for (let at = 0; at < 5; at += 1) bench.second({ 101: 10, 201: 10 });
    expect(bench.sampler.summary(a)?.perturbed).toMatchObject([
      { reason: 'gpu_foreign', gpu: 'GPU-3', what: ['b (201)'] },
    ]);
    expect(bench.sampler.summary(b)?.perturbed).toBeNull();
  });

  it('GPUs of two vendors with one index are not one', () => {
    const [first] = GPUS;
    if (first === undefined) throw new Error('no GPU');
    const two = [first, { ...first, id: 'AMD-1', utilisationPercent: 80 }];
    bench.gpus = {
      gpus: two.map((gpu) => ({ ...gpu, clockReasons: null })),
      reason: null,
      users: null,
    };
    const key = bench.begin('t');
    for (let at = 0; at < 3; at += 1) bench.second({ [MAIN]: 10 });
    expect(gpuSeries(key)).toEqual({ 'gpu.0.utilisation': 0, 'gpu.AMD-1.utilisation': 80 });
  });

  it('what was read seldom stays to be looked at', () => {
    bench.gpus = {
      gpus: GPUS.slice(0, 1).map((gpu) => ({ ...gpu, clockReasons: null })),
      reason: null,
      users: null,
    };
    bench.begin('t');
    bench.second({ [MAIN]: 10 });
    bench.gpus = { gpus: [], reason: null, users: new Map() };
    bench.second({ [MAIN]: 10 });
    expect(bench.sampler.gpus()?.samples).toHaveLength(1);
    bench.gpus = { gpus: [], reason: 'rocm-smi hangs', users: null };
    bench.second({ [MAIN]: 10 });
    expect(bench.sampler.gpus()).toMatchObject({ samples: [], reason: 'rocm-smi hangs' });
  });
});
