/** Topology, NUMA nodes, containers, places on the bus: pure parts of what a host is. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { busIdOf } from '#agent/discovery/bus-id.ts';
import { containerKind } from '#agent/discovery/container-kind.ts';
import { kibToMib, readNumaNodes, readTopology } from '#agent/discovery/cpu-topology.ts';
import { readPciGpus } from '#agent/discovery/pci-gpus.ts';

const cpu = (n: number, socket: number, core: number): string =>
  `processor\t: ${n}\nmodel name\t: X\nphysical id\t: ${socket}\ncore id\t\t: ${core}\n`;
const none = (): null => null;

describe('topology', () => {
  it('counts cores by socket: the same core id on two sockets is two', () => {
    const text = [cpu(0, 0, 0), cpu(1, 0, 0), cpu(2, 1, 0), cpu(3, 1, 0)].join('\n');
    expect(readTopology(text, none)).toEqual({ sockets: 2, cores: 2, threads: 4 });
  });

  it('asks sysfs where cpuinfo has no cores', () => {
    const text = 'processor : 0\nBogoMIPS : 50\n\nprocessor : 1\nBogoMIPS : 50\n\nHardware : X\n';
    const read = (path: string): string => (path.endsWith('core_id') ? (path[27] ?? '') : '0');
    expect(readTopology(text, read)).toEqual({ sockets: 1, cores: 2, threads: 2 });
    expect(readTopology(text, none)).toEqual({ sockets: null, cores: null, threads: 2 });
    expect(readTopology('', none)).toEqual({ sockets: null, cores: null, threads: null });
  });

  it('reads NUMA nodes, also where numbers are missing', () => {
    const files: Record<string, string> = {
      online: '0,2\n',
      'node0/cpulist': '0-7\n',
      'node0/meminfo': 'Node 0 MemTotal:       12280388 kB\nNode 0 MemFree: 1 kB\n',
    };
    const read = (path: string): string | null =>
      files[path.slice('/sys/devices/system/node/'.length)] ?? null;
    expect(readNumaNodes(read)).toEqual([
      { node: 0, cpus: '0-7', memoryMiB: 11_992 },
      { node: 2, cpus: '', memoryMiB: null },
    ]);
    expect(readNumaNodes(none)).toEqual([]);
  });

  it('reads swap', () => {
    expect(kibToMib('MemTotal: 5 kB\nSwapTotal:       2048 kB\n', 'SwapTotal')).toBe(2);
    expect(kibToMib('', 'SwapTotal')).toBeNull();
  });
});

describe('a container', () => {
  it.each<[string | null, Record<string, string>, string[], Record<string, string>]>([
    [null, {}, [], {}],
    ['docker', {}, ['/.dockerenv'], {}],
    ['podman', {}, ['/run/.containerenv', '/.dockerenv'], {}],
    ['kubernetes', {}, ['/.dockerenv'], { KUBERNETES_SERVICE_HOST: '10.0.0.1' }],
    ['kubernetes', { '/proc/1/cgroup': '0::/kubepods/burstable/pod1\n' }, [], {}],
    ['lxc', {}, [], { container: 'lxc' }],
    ['systemd-nspawn', { '/run/systemd/container': 'systemd-nspawn\n' }, [], {}],
    ['docker', { '/proc/1/cgroup': '4:memory:/docker/0123\n' }, [], {}],
    ['podman', { '/proc/1/cgroup': '0::/machine.slice/libpod-1.scope\n' }, [], {}],
    [null, { '/proc/1/cgroup': '0::/init.scope\n' }, [], { container: 'NO SUCH THING!' }],
  ])('%s', (kind, files, existing, env) => {
    const marks = {
      read: (path: string) => files[path] ?? null,
      exists: (path: string) => existing.includes(path),
      env,
    };
    expect(containerKind(marks)).toBe(kind);
  });
});

it.each([
  ['00000000:0C:00.0', '0000:0c:00.0'],
  ['0000:0c:00.0', '0000:0c:00.0'],
  ['0c:00.0', '0000:0c:00.0'],
  ['00010000:0C:00.0', '10000:0c:00.0'],
  ['10000:e1:00.0', '10000:e1:00.0'],
  ['', null],
  [null, null],
  ['GPU0', null],
])('%s on the bus is %s', (text, busId) => {
  expect(busIdOf(text)).toBe(busId);
});

it('finds display devices of the two makers in sysfs, and no others', () => {
  const dir = mkdtempSync(join(tmpdir(), 'benchmesh-pci-'));
  const device = (name: string, files: Record<string, string>, driver?: string): void => {
    mkdirSync(join(dir, name));
    for (const [file, text] of Object.entries(files)) writeFileSync(join(dir, name, file), text);
    if (driver !== undefined) symlinkSync(`/drivers/${driver}`, join(dir, name, 'driver'));
  };
  const gpu = { vendor: '0x10de\n', class: '0x030200\n' };
  device('0000:01:00.0', { ...gpu, numa_node: '1\n' }, 'nvidia');
  device('0000:01:00.1', { vendor: '0x10de\n', class: '0x040300\n' }); // its sound
  device('0000:02:00.0', { ...gpu, vendor: '0x1002\n', numa_node: '-1\n' });
  device('0000:03:00.0', { ...gpu, vendor: '0x8086\n' });
  device('0000:04:00.0', {});
  expect(readPciGpus(dir)).toEqual([
    { vendor: 'nvidia', busId: '0000:01:00.0', driver: 'nvidia', numaNode: 1 },
    { vendor: 'amd', busId: '0000:02:00.0', driver: null, numaNode: null },
  ]);
  expect(readPciGpus(join(dir, 'none'))).toEqual([]);
  rmSync(dir, { recursive: true });
});
