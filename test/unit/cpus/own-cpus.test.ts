/** Where the agent runs: on what it reserves, else off what attempts are bound to. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CpuKeeper } from '#agent/cpus/cpu-keeper.ts';
import type { CpuLayout } from '#agent/cpus/cpu-policy.ts';
import { ownCpus, reservedOf, withoutReserved } from '#agent/cpus/own-cpus.ts';
import type { Binding } from '#agent/process/types.ts';

/** Four cores of two threads: 0 and 4 are one. */
const LAYOUT: CpuLayout = {
  cpus: [0, 1, 2, 3, 4, 5, 6, 7].map((cpu) => ({ cpu, core: `${cpu % 4}`, node: 0 })),
};

describe('the CPUs of the agent', () => {
  it.each([
    ['all while nothing is bound', [], [0, 1, 2, 3, 4, 5, 6, 7]],
    ['those of other cores', [0, 1], [2, 3, 6, 7]],
    ['those of shared cores where there are no others', [0, 1, 2, 3], [4, 5, 6, 7]],
    ['all where none are left', [0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3, 4, 5, 6, 7]],
  ])('%s', (_name, pinned, expected) => {
    expect(ownCpus(LAYOUT, new Set(pinned))).toEqual(expected);
  });

  it('are never none, and never bound ones while there are others', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 7 })), (pinned) => {
        const own = ownCpus(LAYOUT, new Set(pinned));
        expect(own.length).toBeGreaterThan(0);
        if (pinned.length < 8) expect(own.filter((cpu) => pinned.includes(cpu))).toEqual([]);
      }),
    );
  });
});

describe('reserved CPUs', () => {
  const usable = [0, 1, 2, 3];
  it.each([
    ['0', { kind: 'reserved', cpus: [0] }],
    ['3,0-1', { kind: 'reserved', cpus: [0, 1, 3] }],
    ['', { kind: 'wrong', reason: 'must be a list of CPUs such as 0-1,8' }],
    ['9999', { kind: 'wrong', reason: 'must be a list of CPUs such as 0-1,8' }],
    ['3-4', { kind: 'wrong', reason: 'names CPU 4, and this agent may use 0-3' }],
    ['0,7-9', { kind: 'wrong', reason: 'names CPUs 7-9, and this agent may use 0-3' }],
    ['0-3', { kind: 'wrong', reason: 'leaves no CPU for attempts: this agent may use 0-3' }],
  ])('%j', (list, expected) => {
    expect(reservedOf(list, usable)).toEqual(expected);
  });
  it('are not among those of attempts', () => {
    expect(withoutReserved(LAYOUT, [0, 4]).cpus.map(({ cpu }) => cpu)).toEqual([1, 2, 3, 5, 6, 7]);
  });
});

describe('the keeper', () => {
  const kept = (reserved: readonly number[], turns: readonly (readonly number[])[]): Binding[] => {
    const asked: Binding[] = [];
    const supervisor = { bind: (binding: Binding) => asked.push(binding) };
    const keeper = new CpuKeeper({ layout: LAYOUT, reserved, supervisor });
    for (const pinned of turns) keeper.onPinned(pinned);
    return asked;
  };
  it('asks for nothing while nothing is bound, and for each change once', () => {
    expect(kept([], [[]])).toEqual([]);
    const steps = [0, 1, 2, 3, 4, 5, 6, 7];
    expect(kept([], [[0, 4], [0, 4], []])).toEqual([
      { own: [1, 2, 3, 5, 6, 7], steps },
      { own: steps, steps: null },
    ]);
  });
  it('stays on what is reserved', () => {
    expect(kept([0, 4], [[1], []])).toEqual([{ own: [0, 4], steps: [1, 2, 3, 5, 6, 7] }]);
  });
});
