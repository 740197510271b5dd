/** What starts on a host past an attempt that has no room yet, and what it must leave for it. */
import { describe, expect, it } from 'vitest';
import { newHost, type HostState } from '#agent/host/host-state.ts';
import { blankGpu } from '#agent/discovery/gpu-facts.ts';
import type { Gpu } from '#protocol/messages/agent/hardware.ts';
import type { Needs } from '#protocol/messages/attempt/needs.ts';
import { ended, key, play, start } from './host-cases.ts';

const gpu = (id: string, name: string, memoryFreeMiB = 80_000): Gpu => ({
  ...blankGpu('nvidia', id),
  ...{ state: 'ready', name, memoryMiB: 80_000, memoryFreeMiB },
});
const GPUS = [gpu('g0', 'NVIDIA A100'), gpu('g1', 'NVIDIA H100'), gpu('g2', 'NVIDIA H100', 100)];
const host = (slots: number, gpus: readonly Gpu[] = GPUS): HostState => ({
  ...newHost(slots, 8),
  memoryMiB: 1_000,
  gpus: { gpus, isKnown: true, lookedMs: 0, asked: null },
});

/** Attempts `a`, `b`, `c` ... in the order in which they came, and those that began. */
function begun(slots: number, needs: readonly Partial<Needs>[], gone: readonly string[] = []) {
  const starts = needs.map((one, at) => start('abcdef'.charAt(at), at + 1, { needs: one }));
  const { effects } = play([...starts, ...gone.map((task) => ended(task))], host(slots));
  return effects.flatMap((effect) =>
    effect.kind === 'begin'
      ? [
          `${'abcdef'.split('').find((task) => key(task) === effect.key) ?? '?'} ${effect.gpus.map(({ id }) => id).join()}`.trim(),
        ]
      : [],
  );
}

const h100 = (count: number) => ({ gpus: { count, name: '*h100*' } });

describe('what waits on a host', () => {
  it('is overtaken by what takes nothing that it waits for', () => {
    expect(begun(4, [{ memoryMiB: 600 }, { memoryMiB: 600 }, {}])).toEqual(['a', 'c']);
    expect(begun(4, [h100(1), h100(2), {}])).toEqual(['a g1', 'c']);
  });

  it('is not overtaken by what takes of it, nor of the slots that it needs then', () => {
    expect(begun(4, [{ memoryMiB: 600 }, { memoryMiB: 600 }, { memoryMiB: 100 }])).toEqual(['a']);
    expect(begun(2, [{ memoryMiB: 600 }, { memoryMiB: 600 }, {}])).toEqual(['a']);
    expect(begun(4, [{}, { exclusive: true }, {}])).toEqual(['a']);
  });

  it('has its turn when what held it ends', () => {
    expect(begun(4, [{ memoryMiB: 600 }, { memoryMiB: 600 }, {}], ['a'])).toEqual(['a', 'c', 'b']);
  });
});

describe('GPUs as a task wants them', () => {
  it('are given by name, and others go to who wants those', () => {
    expect(begun(4, [h100(1), { gpus: { count: 1 } }])).toEqual(['a g1', 'b g0']);
  });

  it('are given with so much VRAM free as is wanted, and waited for with a reason', () => {
    const wanted = { count: 2, name: '*H100*', freeMiB: 50_000 };
    expect(begun(4, [{ gpus: { ...wanted, count: 1 } }])).toEqual(['a g1']);
    const { effects } = play([start('a', 1, { needs: { gpus: wanted } })], host(4));
    expect(effects.find(({ kind }) => kind === 'behind_fence')).toMatchObject({
      reason: 'it needs 2 GPUs *H100* with 50000 MiB free; GPU g2 has 100 MiB free',
    });
  });

  it('that the host does not have are refused', () => {
    const { effects } = play([start('a', 1, { needs: h100(3) })], host(4));
    expect(effects.find(({ kind }) => kind === 'refuse')).toMatchObject({
      reason: 'it needs 3 GPUs *h100*, this host has 2 of one kind',
    });
    const much = play([start('a', 1, { needs: { memoryMiB: 2_048 } })], host(4)).effects;
    expect(much.find(({ kind }) => kind === 'refuse')).toMatchObject({
      reason: 'it needs 2 GiB of memory, this host has 1000 MiB',
    });
  });
});
