/** Which GPUs an attempt gets: by hand, and for any host and any order of attempts. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blankGpu } from '#agent/discovery/gpu-facts.ts';
import { gpuEnv } from '#agent/gpus/gpu-env.ts';
import { chooseGpus, freeGpus } from '#agent/gpus/gpu-policy.ts';
import { resourcesOf } from '#agent/host/resources-of.ts';
import { countGpus } from '#protocol/messages/agent/gpu-counts.ts';
import type { Gpu } from '#protocol/messages/agent/hardware.ts';

const gpu = (index: number, change: Partial<Gpu> = {}): Gpu => ({
  ...blankGpu('nvidia', `GPU-${index}`),
  uuid: `GPU-${index}`,
  index,
  ...change,
});
const FENCE = { kind: 'used', reason: 'x', since: '2026-01-01T00:00:00.000Z' } as const;
const mig = (index: number): Gpu =>
  gpu(index, { kind: 'mig', id: `MIG-${index}`, parent: 'GPU-0' });

describe('a choice of GPUs', () => {
  it.each<[string, number, Gpu[], string[] | null]>([
    ['none', 0, [], []],
    ['the lowest index', 1, [gpu(2), gpu(0), gpu(1)], ['GPU-0']],
    [
      'two of one node',
      2,
      [gpu(0, { numaNode: 0 }), gpu(1, { numaNode: 1 }), gpu(2, { numaNode: 1 })],
      ['GPU-1', 'GPU-2'],
    ],
    [
      'across nodes where none has enough',
      2,
      [gpu(0, { numaNode: 0 }), gpu(1, { numaNode: 1 })],
      ['GPU-0', 'GPU-1'],
    ],
    ['an unknown node', 2, [gpu(0), gpu(1)], ['GPU-0', 'GPU-1']],
    ['more than there are', 2, [gpu(0)], null],
    ['never two kinds', 2, [gpu(0), mig(1)], null],
    ['MIG instances of one GPU', 2, [mig(1), mig(0), gpu(5)], ['MIG-0', 'MIG-1']],
    ['never two vendors', 2, [gpu(0), gpu(1, { vendor: 'amd' })], null],
  ])('%s', (_name, count, gpus, expected) => {
    expect(
      chooseGpus({ count: count }, freeGpus(gpus, new Set()))?.map(({ id }) => id) ?? null,
    ).toEqual(expected);
  });

  it('leaves out what is fenced, failed, absent, partitioned or held', () => {
    const gpus = [
      gpu(0, { fence: FENCE }),
      gpu(1, { state: 'failed' }),
      gpu(2, { state: 'absent' }),
      gpu(3, { state: 'partitioned' }),
      gpu(4),
      gpu(5, { state: 'degraded' }),
    ];
    expect(freeGpus(gpus, new Set(['GPU-4'])).map(({ id }) => id)).toEqual(['GPU-5']);
    expect(countGpus(gpus)).toEqual({ usable: 2, all: 5, most: 5 });
  });

  const anyGpu = fc.record({
    state: fc.constantFrom('ready', 'degraded', 'failed', 'absent', 'partitioned' as const),
    kind: fc.constantFrom('gpu', 'mig' as const),
    numaNode: fc.constantFrom(null, 0, 1),
    isFenced: fc.boolean(),
  });

  it('never gives one twice, or a fenced one, and is the same in whatever order they are listed', () => {
    fc.assert(
      fc.property(
        fc.array(anyGpu, { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 12 }),
        (found, wishes) => {
          const gpus = found.map(({ isFenced, ...change }, index) =>
            gpu(index, { ...change, ...(isFenced ? { fence: FENCE } : {}) }),
          );
          const held = new Set<string>();
          for (const count of wishes) {
            const free = freeGpus(gpus, held);
            const chosen = chooseGpus({ count: count }, free);
            expect(chooseGpus({ count: count }, free.toReversed())).toEqual(chosen);
            const most = Math.max(
              ...['gpu', 'mig'].map((kind) => free.filter((each) => each.kind === kind).length),
            );
            expect(chosen === null).toBe(most < count);
            for (const each of chosen ?? []) {
              expect(held.has(each.id)).toBe(false);
              expect(each.fence).toBeUndefined();
              expect(['ready', 'degraded']).toContain(each.state);
              held.add(each.id);
            }
          }
        },
      ),
    );
  });
});

describe('what processes are told of GPUs', () => {
  const given = (...gpus: Gpu[]) =>
    resourcesOf({ gpus, cpus: [] }, { os: 'x', kernel: 'x', cpuModel: 'x' }).gpus;
  it.each([
    ['nothing, where the task says nothing', null, {}],
    [
      'that there are none',
      [],
      {
        CUDA_VISIBLE_DEVICES: '',
        NVIDIA_VISIBLE_DEVICES: 'void',
        ROCR_VISIBLE_DEVICES: '',
        HIP_VISIBLE_DEVICES: '-1',
      },
    ],
    [
      'UUIDs',
      given(gpu(0), gpu(1)),
      {
        CUDA_VISIBLE_DEVICES: 'GPU-0,GPU-1',
        NVIDIA_VISIBLE_DEVICES: 'GPU-0,GPU-1',
        ROCR_VISIBLE_DEVICES: '',
        HIP_VISIBLE_DEVICES: '-1',
        BENCHMESH_GPUS: 'GPU-0,GPU-1',
      },
    ],
    [
      'of AMD, the unique id or the index, and places in that list',
      given(
        gpu(3, { vendor: 'amd', uuid: 'AMD-5a1b' }),
        gpu(4, { vendor: 'amd', uuid: null, id: 'pci-x' }),
      ),
      {
        CUDA_VISIBLE_DEVICES: '',
        NVIDIA_VISIBLE_DEVICES: 'void',
        ROCR_VISIBLE_DEVICES: 'GPU-5a1b,4',
        HIP_VISIBLE_DEVICES: '0,1',
        BENCHMESH_GPUS: 'AMD-5a1b,pci-x',
      },
    ],
  ])('%s', (_name, gpus, env) => {
    expect(gpuEnv(gpus)).toEqual(env);
  });
});
