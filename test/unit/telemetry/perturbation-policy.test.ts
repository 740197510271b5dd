import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  PerturbationTally,
  THRESHOLDS,
  type Surroundings,
} from '#agent/telemetry/perturbation-policy.ts';
import { Perturbation } from '#protocol/messages/agent/telemetry.ts';

const quiet: Surroundings = {
  spanMs: 1_000,
  cpus: 4,
  otherCores: 0.02,
  cpuSteal: 0,
  neighbourCores: null,
  gpus: [],
};

function verdictOf(...seconds: readonly Partial<Surroundings>[]): Perturbation[] | null {
  const tally = new PerturbationTally();
  for (const second of seconds) tally.add({ ...quiet, ...second });
  return tally.verdict();
}
const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);
const gpu = (...clockReasons: NonNullable<Surroundings['gpus'][number]['clockReasons']>) => ({
  gpus: [{ id: 'GPU-1', clockReasons, foreign: [] }],
});

describe('peace', () => {
  it.each([
    ['a quiet host', times(60, {})],
    ['nothing known', times(60, { otherCores: null, cpuSteal: null })],
    ['no sample', []],
    ['two strong seconds in ten minutes', [...times(598, {}), ...times(2, { otherCores: 1 })]],
    ['neighbours of one that shares its host', times(60, { neighbourCores: null })],
    ['an idle GPU', times(60, gpu('idle', 'applications_clocks', 'sync_boost', 'display_clocks'))],
    ['one second of power cap', [...times(59, gpu()), gpu('sw_power_cap')]],
  ])('%s', (_what, seconds) => {
    expect(verdictOf(...seconds)).toBeNull();
  });
});

describe('perturbed', () => {
  it('by CPU all the time, a little of it: by its mean', () => {
    expect(verdictOf(...times(10, { otherCores: 0.12 }))).toEqual([
      {
        reason: 'other_cpu',
        gpu: null,
        seconds: 0,
        share: 0,
        mean: 0.12,
        max: 0.12,
        unit: 'cores',
        what: [],
      },
    ]);
    // Of a large host a tenth of a core is nothing.
    expect(verdictOf(...times(10, { otherCores: 0.12, cpus: 128 }))).toBeNull();
    expect(verdictOf(...times(10, { otherCores: 3, cpus: 128 }))).toHaveLength(1);
  });

  it('by a burst in a long attempt, for how long it was', () => {
    const seconds = [...times(597, { otherCores: 0 }), ...times(3, { otherCores: 0.9 })];
    expect(verdictOf(...seconds)).toMatchObject([{ reason: 'other_cpu', seconds: 3, max: 0.9 }]);
  });

  it('by the hypervisor', () => {
    expect(verdictOf(...times(10, { cpuSteal: 0.02 }))).toMatchObject([
      { reason: 'cpu_stolen', unit: 'ratio', mean: 0.02 },
    ]);
  });

  it('by another attempt, where it has the host to itself', () => {
    expect(verdictOf(...times(5, { neighbourCores: 0 }), { neighbourCores: 0.5 })).toMatchObject([
      { reason: 'neighbour', seconds: 1, max: 0.5 },
    ]);
  });

  it('by throttled clocks, each GPU for itself', () => {
    const both = {
      gpus: [
        {
          id: 'GPU-1',
          clockReasons: ['hw_thermal', 'hw_slowdown', 'idle'] as const,
          foreign: null,
        },
        { id: 'GPU-2', clockReasons: null, foreign: null },
      ].map((one) => ({
        ...one,
        clockReasons: one.clockReasons === null ? null : [...one.clockReasons],
      })),
    };
    expect(verdictOf(...times(4, gpu()), ...times(4, both))).toEqual([
      {
        reason: 'gpu_throttled',
        gpu: 'GPU-1',
        seconds: 4,
        share: 0.5,
        mean: null,
        max: null,
        unit: null,
        what: ['hw_thermal', 'hw_slowdown'],
      },
    ]);
  });

  it('by a foreign process on a GPU', () => {
    const seen = { gpus: [{ id: 'G', clockReasons: [], foreign: [{ pid: 7, name: 'ffmpeg' }] }] };
    expect(verdictOf(...times(5, {}), seen)).toMatchObject([
      { reason: 'gpu_foreign', gpu: 'G', what: ['ffmpeg (7)'], seconds: 1 },
    ]);
  });
});

describe('always', () => {
  const second = fc.record({
    spanMs: fc.integer({ min: 1, max: 5_000 }),
    cpus: fc.integer({ min: 1, max: 256 }),
    otherCores: fc.option(fc.double({ min: 0, max: 256, noNaN: true })),
    cpuSteal: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
    neighbourCores: fc.option(fc.double({ min: 0, max: 8, noNaN: true })),
    gpus: fc.constantFrom([], gpu('sw_thermal').gpus, gpu('idle').gpus),
  });

  it('a verdict can be sent, its shares are shares, and more of the same is no less', () => {
    fc.assert(
      fc.property(fc.array(second, { maxLength: 60 }), (seconds) => {
        const verdict = verdictOf(...seconds);
        for (const one of verdict ?? []) {
          Perturbation.parse(one);
          if (one.mean !== null) expect(one.mean).toBeLessThanOrEqual((one.max ?? 0) + 0.001);
        }
        const twice = verdictOf(...seconds, ...seconds);
        const reasons = (of: typeof verdict): string[] => (of ?? []).map(({ reason }) => reason);
        expect(reasons(twice)).toEqual(expect.arrayContaining(reasons(verdict)));
      }),
    );
  });

  it('a host used by others for a whole attempt is never called quiet', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 1, max: 64 }),
        (count, cpus) => {
          const otherCores = Math.max(THRESHOLDS.otherMeanCores, THRESHOLDS.otherMeanShare * cpus);
          const verdict = verdictOf(...times(count, { otherCores: otherCores * 1.001, cpus }));
          expect(verdict?.[0]?.reason).toBe('other_cpu');
        },
      ),
    );
  });
});
