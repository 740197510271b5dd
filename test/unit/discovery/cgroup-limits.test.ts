/** What cgroups allow: v1, v2, hybrid, nested, in containers with and without a namespace. */
import { describe, expect, it } from 'vitest';
import { countCpus, readCgroupLimits } from '#agent/discovery/cgroup-limits.ts';

type Files = Readonly<Record<string, string>>;

const V2 = '30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate';
const v1 = (name: string, root = '/'): string =>
  `3${name.length} 31 0:29 ${root} /sys/fs/cgroup/${name} rw,relatime - cgroup cgroup rw,${name}`;
const V1_ALL = (root = '/'): string =>
  [v1('cpu,cpuacct', root), v1('memory', root), v1('cpuset', root)].join('\n');

function limits(mountinfo: string, own: string, files: Files): unknown {
  const all: Files = { '/proc/self/mountinfo': mountinfo, '/proc/self/cgroup': own, ...files };
  const { version, ...rest } = readCgroupLimits((path) => all[path] ?? null);
  return [version, rest];
}

const NONE = { cpus: null, memoryBytes: null, cpuset: null };
const AT = '/sys/fs/cgroup';

describe('cgroup v2', () => {
  it.each<[string, string, Files, Partial<typeof NONE>]>([
    [
      'no limit',
      '0::/a',
      { [`${AT}/a/cpu.max`]: 'max 100000\n', [`${AT}/a/memory.max`]: 'max\n' },
      {},
    ],
    ['nothing there', '0::/', {}, {}],
    [
      'a quota of two and a half',
      '0::/a',
      { [`${AT}/a/cpu.max`]: '250000 100000\n' },
      { cpus: 2.5 } as never,
    ],
    ['half a CPU', '0::/a', { [`${AT}/a/cpu.max`]: '50000 100000\n' }, { cpus: 0.5 } as never],
    [
      'memory',
      '0::/a',
      { [`${AT}/a/memory.max`]: '1073741824\n' },
      { memoryBytes: 2 ** 30 } as never,
    ],
    [
      'nested: the least of all levels binds',
      '0::/a/b/c',
      {
        [`${AT}/a/cpu.max`]: '100000 100000',
        [`${AT}/a/b/cpu.max`]: '400000 100000',
        [`${AT}/a/b/c/cpu.max`]: 'max 100000',
        [`${AT}/a/memory.max`]: '2000000000',
        [`${AT}/a/b/memory.max`]: '1000000000',
        [`${AT}/a/b/c/memory.max`]: 'max',
      },
      { cpus: 1, memoryBytes: 1_000_000_000 } as never,
    ],
    [
      'a container with its own namespace sees its limits at the top',
      '0::/',
      { [`${AT}/cpu.max`]: '200000 100000', [`${AT}/memory.max`]: '4294967296' },
      { cpus: 2, memoryBytes: 2 ** 32 } as never,
    ],
    [
      'a path outside of the namespace: the top is what is seen',
      '0::/../..',
      { [`${AT}/cpu.max`]: '300000 100000' },
      { cpus: 3 } as never,
    ],
    [
      'cpuset, what is effective',
      '0::/a',
      { [`${AT}/a/cpuset.cpus.effective`]: '0-3,8\n', [`${AT}/a/cpuset.cpus`]: '\n' },
      { cpuset: '0-3,8' } as never,
    ],
    [
      'cpuset of the level above where the own has none',
      '0::/a/b',
      { [`${AT}/a/cpuset.cpus.effective`]: '1\n' },
      { cpuset: '1' } as never,
    ],
    [
      'garbage is no limit',
      '0::/a',
      {
        [`${AT}/a/cpu.max`]: 'lots please',
        [`${AT}/a/memory.max`]: '-5',
        [`${AT}/a/cpuset.cpus.effective`]: 'all',
      },
      {},
    ],
    ['a period of 0', '0::/a', { [`${AT}/a/cpu.max`]: '100 0' }, {}],
  ])('%s', (_name, own, files, expected) => {
    expect(limits(V2, `${own}\n`, files)).toEqual(['v2', { ...NONE, ...expected }]);
  });
});

describe('cgroup v1', () => {
  const own = (path: string): string =>
    `5:cpu,cpuacct:${path}\n4:memory:${path}\n3:cpuset:${path}\n`;
  const files = (path: string, quota: string, bytes: string): Files => ({
    [`${AT}/cpu,cpuacct${path}/cpu.cfs_quota_us`]: `${quota}\n`,
    [`${AT}/cpu,cpuacct${path}/cpu.cfs_period_us`]: '100000\n',
    [`${AT}/memory${path}/memory.limit_in_bytes`]: `${bytes}\n`,
  });

  it('a quota of -1 and the greatest number are no limits', () => {
    expect(limits(V1_ALL(), own('/a'), files('/a', '-1', '9223372036854771712'))).toEqual([
      'v1',
      NONE,
    ]);
  });

  it('limits, and cpuset', () => {
    const all = {
      ...files('/a', '150000', '536870912'),
      [`${AT}/cpuset/a/cpuset.effective_cpus`]: '2-3\n',
    };
    expect(limits(V1_ALL(), own('/a'), all)).toEqual([
      'v1',
      { cpus: 1.5, memoryBytes: 2 ** 29, cpuset: '2-3' },
    ]);
  });

  it('nested: the least binds', () => {
    const all = { ...files('/a', '100000', '1000'), ...files('/a/b', '-1', '2000') };
    expect(limits(V1_ALL(), own('/a/b'), all)).toEqual([
      'v1',
      { ...NONE, cpus: 1, memoryBytes: 1_000 },
    ]);
  });

  it('a container without a namespace: its path is that of the host, its mount begins there', () => {
    const path = '/docker/0123abcd';
    expect(limits(V1_ALL(path), own(path), files('', '200000', '4096'))).toEqual([
      'v1',
      { ...NONE, cpus: 2, memoryBytes: 4_096 },
    ]);
  });
});

it("below the root of a mount that is not the hierarchy's, levels count from there", () => {
  const files = { [`${AT}/memory/sub/memory.limit_in_bytes`]: '4096' };
  const own = '4:memory:/docker/x/sub\n';
  expect(limits(v1('memory', '/docker/x'), own, files)).toEqual([
    'v1',
    { ...NONE, memoryBytes: 4_096 },
  ]);
  // A path beside that root is not to be seen.
  expect(limits(v1('memory', '/docker/xy'), own, files)).toEqual(['v1', NONE]);
});

describe('both mounted (hybrid)', () => {
  it('reads each controller where it is; the v2 mount without controllers has none', () => {
    const mounts = [
      ...['cpu', 'cpuacct', 'cpuset', 'memory'].map((name) => v1(name)),
      '40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd',
      '41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
    ].join('\n');
    const own = '9:name=systemd:/\n4:memory:/jobs/1\n3:cpuset:/\n2:cpuacct:/\n1:cpu:/\n0::/\n';
    const files = {
      [`${AT}/cpu/cpu.cfs_quota_us`]: '-1\n',
      [`${AT}/cpu/cpu.cfs_period_us`]: '100000\n',
      [`${AT}/memory/jobs/1/memory.limit_in_bytes`]: '9223372036854771712\n',
      [`${AT}/memory/jobs/memory.limit_in_bytes`]: '8589934592\n',
      [`${AT}/unified/cpu.max`]: '1 100000\n',
    };
    expect(limits(mounts, own, files)).toEqual(['hybrid', { ...NONE, memoryBytes: 2 ** 33 }]);
  });

  it('a controller that only v2 has is read there', () => {
    const mounts = `${v1('cpu')}\n41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw`;
    const files = { [`${AT}/unified/a/memory.max`]: '4096' };
    expect(limits(mounts, '1:cpu:/\n0::/a\n', files)).toEqual([
      'hybrid',
      { ...NONE, memoryBytes: 4_096 },
    ]);
  });
});

it('a machine without cgroups has no limits, and spaces in a path are read', () => {
  expect(limits('', '', {})).toEqual(['none', NONE]);
  const mount = String.raw`30 23 0:26 / /a\040b rw - cgroup2 cgroup2 rw`;
  expect(limits(mount, '0::/c\n', { '/a b/c/memory.max': '7' })).toEqual([
    'v2',
    { ...NONE, memoryBytes: 7 },
  ]);
});

it.each([
  ['0', 1],
  ['0-3', 4],
  ['0-3,8,10-11\n', 7],
  ['3-1', null],
  ['', null],
  ['all', null],
])('%j are %s CPUs', (list, count) => {
  expect(countCpus(list)).toBe(count);
});
