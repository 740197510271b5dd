/** No GPU goes missing without a word. */
import { describe, expect, it } from 'vitest';
import { blankGpu, type VendorGpus } from '#agent/discovery/gpu-facts.ts';
import { rosterOf, type Found } from '#agent/discovery/gpu-roster.ts';
import type { PciGpu } from '#agent/discovery/pci-gpus.ts';
import type { Gpu, GpuProbe } from '#protocol/messages/agent/hardware.ts';

const gpu = (id: string, change: Partial<Gpu> = {}): Gpu => ({
  ...blankGpu('nvidia', id),
  ...{ uuid: id, name: 'X', memoryMiB: 1_000, memoryFreeMiB: 900, processes: [] },
  ...change,
});
const A = gpu('GPU-a', { busId: '0000:01:00.0', index: 0 });
const B = gpu('GPU-b', { busId: '0000:02:00.0', index: 1 });

const look = (
  gpus: readonly Gpu[],
  state: GpuProbe['state'] = 'ready',
  reason?: string,
): VendorGpus => ({
  probe: { tool: 'nvidia-smi', state, reason: reason ?? null },
  gpus,
});
const device = (busId: string, change: Partial<PciGpu> = {}): PciGpu => ({
  ...{ vendor: 'nvidia', busId, driver: 'nvidia', numaNode: null },
  ...change,
});

function states(known: readonly Gpu[], found: Partial<Found>): (string | null)[][] {
  const { gpus } = rosterOf(known, { looks: [look([])], pci: [], isContainer: false, ...found });
  return gpus.map(({ id, state, reason }) => [id, state, reason]);
}

describe('what was known before', () => {
  it.each([
    ['listed: as listed', look([A, B]), 'ready', null],
    ['listed no more', look([A]), 'absent', 'nvidia-smi lists it no more'],
    ['the tool fails', look([], 'failed', 'it hangs'), 'failed', 'it hangs'],
    ['the tool is gone', look([], 'absent'), 'failed', 'nvidia-smi is not installed any more'],
    ['the tool has not answered', look([], 'waiting'), 'ready', null],
  ])('%s', (_name, now, state, reason) => {
    expect(states([A, B], { looks: [now] }).at(-1)).toEqual(['GPU-b', state, reason]);
    const { gpus } = rosterOf([A, B], { looks: [now], pci: [], isContainer: false });
    expect(gpus).toHaveLength(2);
    // Nothing is claimed to be free of what cannot be seen.
    if (state !== 'ready') expect(gpus[1]).toMatchObject({ memoryFreeMiB: null, processes: null });
  });

  it.each([
    ['its place', { busId: '0000:02:00.0' }],
    ['its number', { index: 1 }],
  ])('an error that names it by %s is about it', (_name, place) => {
    const lost: Gpu = {
      ...blankGpu('nvidia', 'somewhere'),
      ...{ state: 'failed', reason: 'GPU is lost' },
      ...place,
    };
    expect(states([A, B], { looks: [look([A, lost])] })).toEqual([
      ['GPU-a', 'ready', null],
      ['GPU-b', 'failed', 'GPU is lost'],
    ]);
  });

  it('known by its place only, it is the one that has a UUID again', () => {
    const nameless = { ...blankGpu('nvidia', 'pci-0000:01:00.0'), busId: '0000:01:00.0' };
    expect(states([nameless], { looks: [look([A])] })).toEqual([['GPU-a', 'ready', null]]);
  });

  it('stays absent, and comes back', () => {
    const first = rosterOf([A, B], { looks: [look([A])], pci: [], isContainer: false });
    const second = rosterOf(first.gpus, { looks: [look([A])], pci: [], isContainer: false });
    expect(second.gpus[1]?.state).toBe('absent');
    expect(states(second.gpus, { looks: [look([A, B])] })[1]).toEqual(['GPU-b', 'ready', null]);
  });

  it('a MIG instance goes with a healthy GPU that has it no more, and fails with a failed one', () => {
    const part = gpu('MIG-1', { kind: 'mig', parent: 'GPU-a' });
    expect(states([A, part], { looks: [look([A])] })).toEqual([['GPU-a', 'ready', null]]);
    const failed: Gpu = { ...A, state: 'failed', reason: 'Reset' };
    expect(states([A, part], { looks: [look([failed])] })[1]).toEqual([
      'MIG-1',
      'failed',
      'its GPU failed: Reset',
    ]);
  });
});

describe('what sits on the bus', () => {
  const pci = [device('0000:01:00.0', { numaNode: 1 }), device('0000:02:00.0')];

  it('gives its NUMA node to a listed one; one that is not listed is failed', () => {
    const { gpus } = rosterOf([], { looks: [look([A])], pci, isContainer: false });
    expect(gpus[0]?.numaNode).toBe(1);
    expect(gpus[1]).toMatchObject({
      id: 'pci-0000:02:00.0',
      state: 'failed',
      busId: '0000:02:00.0',
    });
    expect(gpus[1]?.reason).toBe(
      'it is on the PCI bus (driver nvidia) and nvidia-smi does not list it',
    );
  });

  it.each<[string, [VendorGpus, boolean], number, string]>([
    ['no tool', [look([], 'absent'), false], 2, 'nvidia-smi is not installed'],
    ['a tool that fails', [look([], 'failed', 'it hangs'), false], 2, 'it hangs'],
    ['no tool, in a container: it was given none', [look([], 'absent'), true], 0, ''],
    ['a tool that fails, in a container', [look([], 'failed', 'it hangs'), true], 2, 'it hangs'],
    ['a tool that lists none of it, in a container', [look([B]), true], 1, ''],
    ['a tool that has not answered', [look([], 'waiting'), false], 0, ''],
  ])('%s', (_name, [now, isContainer], count, reason) => {
    const all = states([], { looks: [now], pci, isContainer });
    expect(all).toHaveLength(count);
    if (reason !== '') for (const [, , why] of all) expect(why).toContain(reason);
  });

  it('a device handed to a virtual machine, or an AMD one without rocm-smi, is not ours', () => {
    const others = [
      device('0000:03:00.0', { driver: 'vfio-pci' }),
      device('0000:04:00.0', { vendor: 'amd', driver: 'amdgpu' }),
    ];
    const amd: VendorGpus = { probe: { tool: 'rocm-smi', state: 'absent', reason: '' }, gpus: [] };
    expect(states([], { looks: [look([], 'absent'), amd], pci: others })).toEqual([]);
    const broken: VendorGpus = {
      ...amd,
      probe: { ...amd.probe, state: 'failed', reason: 'hangs' },
    };
    expect(states([], { looks: [broken], pci: others })[0]?.[0]).toBe('pci-0000:04:00.0');
  });
});

it('two of one UUID are two, and the second is not given to anybody', () => {
  const { gpus } = rosterOf([], { looks: [look([A, A])], pci: [], isContainer: false });
  expect(gpus.map(({ id, state }) => [id, state])).toEqual([
    ['GPU-a', 'ready'],
    ['GPU-a#2', 'failed'],
  ]);
});

it('a tool that finds no device where there is none is absent, and failed where there is one', () => {
  const now = look([], 'failed', 'nvidia-smi ended with status 6: No devices were found');
  const probe = (known: readonly Gpu[]): unknown =>
    rosterOf(known, { looks: [now], pci: [], isContainer: false }).probes[0]?.state;
  expect(probe([])).toBe('absent');
  expect(probe([A])).toBe('failed');
});

it('is bounded, and says so', () => {
  const many = Array.from({ length: 300 }, (_, n) =>
    gpu(`GPU-${n}`, {
      processes: Array.from({ length: 64 }, (_each, pid) => ({ pid, name: 'x', memoryMiB: 1 })),
    }),
  );
  const { gpus, probes } = rosterOf([], { looks: [look(many)], pci: [], isContainer: false });
  expect(gpus).toHaveLength(256);
  expect(gpus.flatMap(({ processes }) => processes ?? [])).toHaveLength(512);
  expect(probes[0]).toMatchObject({
    state: 'degraded',
    reason: '300 GPUs are known, 256 are told',
  });
});
