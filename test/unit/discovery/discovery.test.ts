/** Looks, and what of them is said. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { changesBetween } from '#agent/discovery/change-policy.ts';
import { Discovery } from '#agent/discovery/discovery.ts';
import type { VendorGpus } from '#agent/discovery/gpu-facts.ts';
import { GpuMemory } from '#agent/discovery/gpu-memory.ts';
import { readHostFacts, usableCpus, usableMemoryMiB } from '#agent/discovery/host-facts.ts';
import type { Gpu, Hardware } from '#protocol/messages/agent/hardware.ts';
import { silentLog } from '#protocol/runtime/log.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';
import { until } from '#test/support/until.ts';

const golden = goldenMessages['agent.changed'].registration.hardware;
if (golden === undefined) throw new Error('the golden registration has no hardware');
const HOST: Hardware = golden;
const [GPU] = HOST.gpus as [Gpu];

const withGpu = (change: Partial<Gpu>): Hardware => ({ ...HOST, gpus: [{ ...GPU, ...change }] });

describe('a difference that is worth an event', () => {
  it.each<[string, Hardware, string[]]>([
    ['nothing', HOST, []],
    [
      'the state',
      withGpu({ state: 'failed', reason: 'lost' }),
      ['GPU GPU-1: degraded -> failed (lost)'],
    ],
    ['well again', withGpu({ state: 'ready', reason: null }), ['GPU GPU-1: degraded -> ready']],
    ['another reason', withGpu({ reason: 'worse' }), ['GPU GPU-1: degraded -> degraded (worse)']],
    ['a driver', withGpu({ driver: '600.1' }), ['GPU GPU-1: driver 595.80 -> 600.1']],
    ['a power limit', withGpu({ powerLimitW: 200 }), ['GPU GPU-1: power limit W 350 -> 200']],
    ['ECC', withGpu({ ecc: null }), ['GPU GPU-1: ECC true -> unknown']],
    ['a little memory', withGpu({ memoryFreeMiB: 45_000 }), []],
    ['much memory', withGpu({ memoryFreeMiB: 40_000 }), ['GPU GPU-1: free MiB 45460 -> 40000']],
    ['unknown memory', withGpu({ memoryFreeMiB: null }), ['GPU GPU-1: free MiB 45460 -> unknown']],
    ['no user', withGpu({ processes: [] }), ['GPU GPU-1: used by no process']],
    ['unknown users', withGpu({ processes: null }), ['GPU GPU-1: used by unknown processes']],
    [
      'the memory of a user',
      withGpu({ processes: [{ pid: 20_037, name: 'ffmpeg', memoryMiB: 1 }] }),
      [],
    ],
    ['a GPU gone', { ...HOST, gpus: [] }, ['GPU GPU-1: taken away']],
    [
      'a new GPU',
      { ...HOST, gpus: [GPU, { ...GPU, id: 'MIG-2', kind: 'mig', state: 'ready', reason: null }] },
      ['MIG instance MIG-2: found, ready'],
    ],
    [
      'its tool',
      { ...HOST, gpuProbes: [{ tool: 'nvidia-smi', state: 'failed', reason: 'hangs' }] },
      ['nvidia-smi: ready -> failed (hangs)'],
    ],
    ['a quota', { ...HOST, cpu: { ...HOST.cpu, quota: null } }, ['CPU quota: 2.5 -> unknown']],
    [
      'a memory limit',
      { ...HOST, memory: { ...HOST.memory, limitMiB: 1_000 } },
      ['memory limit MiB: 24000 -> 1000'],
    ],
    ['free disk', { ...HOST, disk: { totalMiB: 100_000, freeMiB: 1, fileSystem: 'ext4' } }, []],
  ])('%s', (_name, after, changes) => {
    expect(changesBetween(HOST, after)).toEqual(changes);
  });

  it('is bounded, however many there are', () => {
    const gpus = Array.from({ length: 500 }, (_, n) => ({ ...GPU, id: `GPU-x${n}` }));
    const changes = changesBetween(HOST, { ...HOST, gpus });
    expect(changes).toHaveLength(32);
    expect(changes.at(-1)).toBe('and 470 more');
  });
});

describe('what attempts may use', () => {
  const cpu = (quota: number | null, cpuset: string | null): Pick<Hardware, 'cpu'> => ({
    cpu: { ...HOST.cpu, quota, cpuset },
  });
  it.each([
    [null, null, 16, 16],
    [2, null, 16, 2],
    [2.9, null, 16, 2],
    [0.5, null, 16, 1],
    [null, '0-3', 16, 4],
    [null, '0-3', 2, 2],
    [8, '0-3', 16, 4],
    [64, null, 16, 16],
  ])('a quota of %s, cpuset %s, affinity %i: %i CPUs', (quota, cpuset, affinity, cpus) => {
    expect(usableCpus(cpu(quota, cpuset), affinity)).toBe(cpus);
  });

  it('is the memory limit, else the memory', () => {
    expect(usableMemoryMiB(HOST)).toBe(24_000);
    expect(usableMemoryMiB({ memory: { ...HOST.memory, limitMiB: null } })).toBe(64_000);
  });

  it('is read on this very host', () => {
    const facts = readHostFacts(tmpdir());
    expect(facts.memory.totalMiB).toBeGreaterThan(100);
    expect(facts.cpu.threads).toBeGreaterThan(0);
    expect(facts.disk?.totalMiB).toBeGreaterThan(0);
    expect(readHostFacts('/no/such/folder').disk).toBeNull();
  });
});

describe('discovery', () => {
  let dir: string;
  let discovery: Discovery;
  let answer: () => Promise<VendorGpus>;
  let looks = 0;
  const said: string[][] = [];

  const found = (gpus: readonly Gpu[]): VendorGpus => ({
    probe: { tool: 'nvidia-smi', state: 'ready', reason: null },
    gpus,
  });
  const quiet = (): undefined => undefined;
  const start = (everyMs = 20, firstWaitMs = 1_000): Discovery => {
    const { gpus: _gpus, gpuProbes: _probes, ...facts } = HOST;
    discovery = new Discovery({
      tools: [
        {
          tool: 'nvidia-smi',
          look: () => {
            looks += 1;
            return answer();
          },
        },
      ],
      readFacts: () => facts,
      readPci: () => [],
      memory: new GpuMemory(dir),
      everyMs,
      firstWaitMs,
      abort: new AbortController(),
      log: silentLog,
    });
    return discovery;
  };
  const follow = (): void => {
    discovery.follow((_hardware, changes) => {
      said.push([...changes]);
    });
  };

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'benchmesh-discovery-'));
    said.length = 0;
    looks = 0;
    answer = () => Promise.resolve(found([GPU]));
  });
  afterEach(() => {
    discovery.close();
    rmSync(dir, { recursive: true, force: true });
  });

  it('tells a change once, and nothing while nothing changes', async () => {
    expect((await start().begin()).gpus).toEqual([GPU]);
    follow();
    await until(() => looks >= 4, 'a few looks');
    expect(said).toEqual([]);
    answer = () => Promise.resolve(found([{ ...GPU, state: 'failed', reason: 'lost' }]));
    await until(() => said.length > 0, 'a change');
    const at = looks;
    await until(() => looks > at + 3, 'further looks');
    expect(said).toEqual([['GPU GPU-1: degraded -> failed (lost)']]);
  });

  it('small moves add up: what is said is compared, not what was seen last', async () => {
    let free = 45_460;
    answer = () => {
      free -= 500;
      return Promise.resolve(found([{ ...GPU, memoryFreeMiB: free }]));
    };
    await start().begin();
    follow();
    await until(() => said.length > 0, 'the move to be said');
    expect(said[0]?.[0]).toMatch(/free MiB 44960 -> 42460/);
  });

  it('does not wait for a tool that hangs, and looks never overlap', async () => {
    let release: (look: VendorGpus) => void = quiet;
    answer = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    const first = await start(10, 30).begin();
    expect(first.gpuProbes).toEqual([
      { tool: 'nvidia-smi', state: 'waiting', reason: 'it has not answered yet' },
    ]);
    follow();
    expect(looks).toBe(1);
    release(found([GPU]));
    await until(() => said.length > 0, 'what it found');
    expect(said[0]).toEqual([`GPU GPU-1: found, degraded (${GPU.reason ?? ''})`]);
    await until(() => looks === 2, 'the next look');
  });

  it('remembers over a restart, and misses what is gone', async () => {
    await start().begin();
    discovery.close();
    answer = () => Promise.resolve(found([]));
    const { gpus } = await start().begin();
    expect(gpus.map(({ id, state }) => [id, state])).toEqual([['GPU-1', 'absent']]);
    expect(readFileSync(join(dir, 'gpus.json'), 'utf8')).toContain('GPU-1');
  });

  it.each(['', '{', '{"version":2}', '{"version":1,"gpus":[{}]}'])(
    'a damaged memory %j is none',
    async (text) => {
      writeFileSync(join(dir, 'gpus.json'), text);
      expect((await start().begin()).gpus).toEqual([GPU]);
    },
  );

  it('a defect of a tool is a state of it', async () => {
    answer = () => Promise.reject(new Error('oh'));
    const { gpuProbes } = await start().begin();
    expect(gpuProbes[0]).toMatchObject({ state: 'failed', reason: 'a defect of benchmesh: oh' });
  });
});
