/** Which CPUs an attempt is bound to, and the lists they are written as. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readCpuLayout } from '#agent/cpus/cpu-layout.ts';
import { formatCpuList, parseCpuList } from '#protocol/messages/agent/cpu-list.ts';
import { chooseCpus, type CpuLayout } from '#agent/cpus/cpu-policy.ts';

/** Two nodes of two cores with two threads: 0 and 4 are one core, as x86 numbers them. */
const LAYOUT: CpuLayout = {
  cpus: [0, 1, 2, 3, 4, 5, 6, 7].map((cpu) => ({
    cpu,
    core: `${cpu % 4}`,
    node: cpu % 4 < 2 ? 0 : 1,
  })),
};

describe('a choice of CPUs', () => {
  it.each<[string, number, number[], number | null, number[]]>([
    ['a whole core', 2, [], null, [0, 4]],
    ['on the node of the GPU', 2, [], 1, [2, 6]],
    ['a node that has enough, if that of the GPU has not', 3, [2, 6], 1, [0, 1, 4]],
    ['the fullest node that has enough', 2, [2, 6], null, [3, 7]],
    ['beside what shares a core already', 1, [0, 2, 3, 6, 7], null, [4]],
    ['across nodes', 5, [], null, [0, 1, 2, 4, 5]],
    ['none where there are not so many', 3, [0, 1, 2, 3, 4, 5], null, []],
  ])('%s', (...[, count, taken, node, expected]) => {
    expect(chooseCpus(LAYOUT, { count, taken: new Set(taken), node })).toEqual(expected);
  });

  it('never takes one twice, and takes as many as asked for while there are', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            count: fc.integer({ min: 1, max: 4 }),
            node: fc.constantFrom(null, 0, 1, 7),
          }),
        ),
        (wishes) => {
          const taken = new Set<number>();
          for (const { count, node } of wishes) {
            const chosen = chooseCpus(LAYOUT, { count, taken, node });
            expect(chosen).toHaveLength(8 - taken.size >= count ? count : 0);
            for (const cpu of chosen) {
              expect(taken.has(cpu)).toBe(false);
              taken.add(cpu);
            }
          }
        },
      ),
    );
  });
});

describe('a list of CPUs', () => {
  it.each([
    ['0-3,8', [0, 1, 2, 3, 8]],
    ['5', [5]],
    ['3,1-2,2', [1, 2, 3]],
    ['', null],
    ['3-1', null],
    ['a', null],
  ])('%j', (text, cpus) => {
    expect(parseCpuList(text)).toEqual(cpus);
  });
  it('is written short', () => {
    expect(formatCpuList([8, 0, 1, 2, 3, 10])).toBe('0-3,8,10');
  });
});

describe('the layout', () => {
  const files: Readonly<Record<string, string>> = {
    '/proc/self/status': 'Name:\tnode\nCpus_allowed_list:\t1,5-6\n',
    '/sys/devices/system/cpu/cpu1/topology/core_cpus_list': '1,5\n',
    '/sys/devices/system/cpu/cpu5/topology/thread_siblings_list': '1,5\n',
  };
  const numaNodes = [{ node: 3, cpus: '0-5', memoryMiB: null }];
  const cpu = { sockets: 1, cores: 4, threads: 8, numaNodes, quota: null, cpuset: null };
  it('has the CPUs that this process may use, and no others', () => {
    expect(readCpuLayout({ cpu }, (path) => files[path] ?? null)).toEqual({
      cpus: [
        { cpu: 1, core: '1,5', node: 3 },
        { cpu: 5, core: '1,5', node: 3 },
        { cpu: 6, core: '6', node: null },
      ],
    });
    expect(readCpuLayout({ cpu }, () => null)).toBeNull();
  });
});
