/** What keeps a GPU from being given away. */
import { describe, expect, it } from 'vitest';
import { blankGpu } from '#agent/discovery/gpu-facts.ts';
import { troubleOf, type Holder, type Owner } from '#agent/gpus/fence-policy.ts';
import { GpuFences } from '#agent/gpus/gpu-fences.ts';
import type { Gpu, Hardware } from '#protocol/messages/agent/hardware.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';

const gpu = (change: Partial<Gpu> = {}): Gpu => ({ ...blankGpu('nvidia', 'GPU-0'), ...change });
const used = (...pids: number[]): Gpu =>
  gpu({ processes: pids.map((pid) => ({ pid, name: '/usr/bin/python', memoryMiB: 1 })) });
const OWNERS: Readonly<Record<number, Owner>> = {
  1: { kind: 'attempt', key: 'a' },
  2: { kind: 'attempt', key: 'b' },
  3: { kind: 'stranger' },
  4: { kind: 'ended' },
  5: { kind: 'unseen' },
};
const ownerOf = (pid: number): Owner => OWNERS[pid] ?? { kind: 'stranger' };
const heldBy = (holder: Holder | null) => ({ holderOf: () => holder, ownerOf });
const A: Holder = { key: 'a', survivors: [] };

describe('against a GPU', () => {
  it.each<[string, Gpu, Holder | null, string | null]>([
    ['nothing', gpu(), null, null],
    ['nothing that is told', gpu({ processes: null }), null, null],
    ['it is lost', gpu({ state: 'failed', reason: 'GPU is lost' }), null, 'GPU is lost'],
    ['it is gone', gpu({ state: 'absent', reason: 'no more' }), null, 'no more'],
    ['its memory', gpu({ state: 'degraded', reason: 'rows', fault: 'memory' }), null, 'rows'],
    ['not that its name is not told', gpu({ state: 'degraded', reason: 'name' }), null, null],
    ['in MIG mode it is no place at all', gpu({ state: 'partitioned', reason: 'x' }), null, null],
    ['a stranger', used(3), null, 'in use by python (pid 3)'],
    ['strangers', used(3, 33), null, 'in use by python (pid 3) and 1 more'],
    [
      'an attempt that was not given it',
      used(1),
      null,
      'in use by python (pid 1) of a, which was not given it',
    ],
    ['not its owner', used(1), A, null],
    ['another attempt', used(1, 2), A, 'in use by python (pid 2) of b, which was not given it'],
    ['a stranger beside its owner', used(1, 3), A, 'in use by python (pid 3)'],
    ['not what has ended', used(4), null, null],
    ['a pid of another namespace', used(5), null, 'in use by python (pid 5)'],
    ['but not beside its owner: it is probably that', used(5), A, null],
  ])('%s', (_name, found, holder, reason) => {
    expect(troubleOf(found, heldBy(holder))?.reason ?? null).toBe(reason);
  });
});

describe('fences', () => {
  const golden = goldenMessages['agent.changed'].registration.hardware;
  if (golden === undefined) throw new Error('the golden registration has no hardware');
  const host = (one: Gpu): Hardware => ({ ...golden, gpus: [one] });
  const fenceIn = (hardware: Hardware | null) => hardware?.gpus[0]?.fence ?? null;

  it('keep since when, and go with a clean look', () => {
    const fences = new GpuFences();
    expect(fences.review(() => null, 't0')).toBeNull();
    expect(fenceIn(fences.onLook(host(gpu()), heldBy(null), 't1'))).toBeNull();
    expect(fenceIn(fences.onLook(host(used(3)), heldBy(null), 't2'))).toMatchObject({
      kind: 'used',
      since: 't2',
    });
    const failed = host(gpu({ state: 'failed', reason: 'lost' }));
    expect(fenceIn(fences.onLook(failed, heldBy(null), 't3'))).toEqual({
      kind: 'state',
      reason: 'lost',
      since: 't2',
    });
    expect(fenceIn(fences.onLook(host(gpu()), heldBy(null), 't4'))).toBeNull();
  });

  it('of survivors come and go without a look, and what a look said of its owner stays said', () => {
    const fences = new GpuFences();
    expect(fenceIn(fences.onLook(host(used(1)), heldBy(A), 't1'))).toBeNull();
    const left = { key: 'a', survivors: [1] };
    expect(fenceIn(fences.review(() => left, 't2'))).toEqual({
      kind: 'survivor',
      reason: 'held by survivors of a (pid 1)',
      since: 't2',
    });
    expect(fenceIn(fences.review(() => null, 't3'))).toBeNull();
  });
});
