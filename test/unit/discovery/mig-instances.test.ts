/** MIG instances as GPUs of their own. */
import { describe, expect, it } from 'vitest';
import { readInstances, readMigDetails, withInstances } from '#agent/discovery/mig-instances.ts';
import { readGpus } from '#agent/discovery/nvidia-gpus.ts';
import type { Gpu } from '#protocol/messages/agent/hardware.ts';
import { section, type Load } from '#test/support/smi-captures.ts';

const PARENT = 'GPU-00000000-0000-0000-0000-000000000000';
const idOf = (n: number): string => `MIG-0000000${n}-0000-0000-0000-00000000000${n}`;

function migGpus(load: Load): Gpu[] {
  const { gpus } = readGpus(section('h100-mig', `${load}-gpus`));
  const instances = readInstances(section('h100-mig', 'list'));
  return withInstances(gpus, instances, readMigDetails(section('h100-mig', `${load}-details`)));
}

describe('the capture of an H100 in four parts', () => {
  it('has the GPU, which is not to be had, and its instances with their memory', () => {
    const [gpu, ...instances] = migGpus('idle');
    expect(gpu).toMatchObject({ id: PARENT, state: 'partitioned', kind: 'gpu' });
    expect(gpu?.reason).toBe('it is in MIG mode: its 4 instances are GPUs here');
    expect(instances.map(({ id, index, name, memoryMiB }) => [id, index, name, memoryMiB])).toEqual(
      [
        [idOf(0), 0, 'NVIDIA H100 80GB HBM3 MIG 3g.40gb', 40_448],
        [idOf(1), 1, 'NVIDIA H100 80GB HBM3 MIG 2g.20gb', 20_096],
        [idOf(2), 2, 'NVIDIA H100 80GB HBM3 MIG 1g.10gb', 9_984],
        [idOf(3), 3, 'NVIDIA H100 80GB HBM3 MIG 1g.10gb', 9_984],
      ],
    );
    for (const instance of instances) {
      expect(instance).toMatchObject({
        kind: 'mig',
        parent: PARENT,
        state: 'ready',
        processes: [],
      });
    }
  });

  it('tells which instance is used, and how much of it is free', () => {
    const [, first, second] = migGpus('load');
    expect(first?.memoryFreeMiB).toBe(29_357);
    expect(first?.processes?.map(({ pid }) => pid)).toEqual([21_180, 21_181, 21_198]);
    expect(first?.processes?.[2]).toEqual({ pid: 21_198, name: './gpu_burn', memoryMiB: 7_484 });
    expect(second?.processes).toEqual([]);
  });

  it('tells a bounded number of processes', () => {
    const text = section('h100-mig', 'load-details');
    const block = /( {8}GPU instance ID[\s\S]*?MiB\n)/.exec(text)?.[1] ?? '';
    const details = readMigDetails(text.replace(block, block.repeat(100)));
    expect(details.get(`${PARENT}/0`)?.processes).toHaveLength(64);
  });

  it.each(['l40s', 'h100', 'rtx-2080-super'] as const)('%s has none', (capture) => {
    expect(readInstances(section(capture, 'list'))).toEqual([]);
    expect(readMigDetails(section(capture, 'idle-details')).size).toBe(0);
  });
});

describe('what is missing is said', () => {
  const { gpus } = readGpus(section('h100-mig', 'idle-gpus'));
  const instances = readInstances(section('h100-mig', 'list'));

  it('MIG mode without instances', () => {
    expect(withInstances(gpus, [], new Map())[0]).toMatchObject({
      state: 'failed',
      reason: 'it is in MIG mode and nvidia-smi lists no instance of it',
    });
  });

  it('instances without details', () => {
    const [, first] = withInstances(gpus, instances, new Map());
    expect(first).toMatchObject({ state: 'degraded', processes: null, memoryMiB: null });
  });

  it('instances of a GPU that failed fail with it, and are still there', () => {
    const failed = gpus.map((gpu): Gpu => ({ ...gpu, state: 'failed', reason: 'Reset' }));
    const all = withInstances(failed, instances, new Map());
    expect(all.map(({ state, reason }) => [state, reason])).toEqual(
      Array(5).fill(['failed', 'Reset']),
    );
  });

  it('instances as drivers before 470 name them', () => {
    const text = 'GPU 0: A100 (UUID: GPU-a)\n  MIG 1g.5gb Device 0: (UUID: MIG-GPU-a/7/0)\n';
    expect(readInstances(text)).toEqual([
      { parent: 'GPU-a', device: 0, uuid: 'MIG-GPU-a/7/0', profile: '1g.5gb' },
    ]);
  });
});
