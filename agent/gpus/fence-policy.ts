/**
 * Which GPUs no attempt is given now, and why. Pure.
 *
 * 1. In a bad state: failed, absent, or degraded by a fault of its memory or a recovery that its driver
 *    asks for. Degraded for want of a name or a size does not keep work away.
 * 2. Used by a process that no attempt with a claim on it has started: a stranger's, or one of another
 *    attempt. What has ended since the look does not count; nor, on a GPU in use by an attempt of ours,
 *    does a pid that is nobody's here: in a container nvidia-smi may print the host's pids.
 * 3. Held by survivors of a kill, until they are gone (I5).
 * 4. `since` is when it was first seen so, for as long as some fence is there.
 */
import type { Gpu, GpuFence, GpuProcess } from '#protocol/messages/agent/hardware.ts';
import { isPlace, isWell } from '#protocol/messages/agent/gpu-counts.ts';

/**
 * Whose a process is: the key of an attempt, a stranger's, nobody's because it has ended, or not to be
 * told because this process does not see it.
 */
export type Owner =
  | { readonly kind: 'attempt'; readonly key: string }
  | { readonly kind: 'stranger' | 'ended' | 'unseen' };

/** An attempt that holds a GPU. */
export interface Holder {
  readonly key: string;
  /** Pids no signal ends, once it is over; empty while it runs. */
  readonly survivors: readonly number[];
}

/** What is found wrong, before it is known since when. */
export type Trouble = Pick<GpuFence, 'kind' | 'reason'>;

export interface Claims {
  readonly holderOf: (gpu: string) => Holder | null;
  readonly ownerOf: (pid: number) => Owner;
}

/** What a look says against a GPU (1, 2). */
export function troubleOf(gpu: Gpu, { holderOf, ownerOf }: Claims): Trouble | null {
  if (!isPlace(gpu)) return null;
  if (!isWell(gpu) || gpu.fault !== undefined) {
    return { kind: 'state', reason: gpu.reason ?? gpu.state };
  }
  const holder = holderOf(gpu.id);
  const intruders = (gpu.processes ?? []).filter(({ pid }) =>
    isIntruder(ownerOf(pid), holder?.key ?? null),
  );
  const [first] = intruders;
  if (first === undefined) return null;
  const owner = ownerOf(first.pid);
  const whose = owner.kind === 'attempt' ? ` of ${owner.key}, which was not given it` : '';
  const more = intruders.length === 1 ? '' : ` and ${intruders.length - 1} more`;
  return { kind: 'used', reason: `in use by ${nameOf(first)} (pid ${first.pid})${whose}${more}` };
}

/** What the end of the attempt that holds it says against it (3). */
export function survivorTrouble(holder: Holder | null): Trouble | null {
  if (holder === null || holder.survivors.length === 0) return null;
  const pids = holder.survivors.slice(0, 8).join(', ');
  return { kind: 'survivor', reason: `held by survivors of ${holder.key} (pid ${pids})` };
}

/** The GPU with its fence, or without one (4). */
export function fenced(
  gpu: Gpu,
  trouble: Trouble | null,
  at: { before: Gpu | undefined; now: string },
): Gpu {
  const { fence: _fence, ...rest } = gpu;
  if (trouble === null) return rest;
  return { ...rest, fence: { ...trouble, since: at.before?.fence?.since ?? at.now } };
}

function isIntruder(owner: Owner, holder: string | null): boolean {
  switch (owner.kind) {
    case 'attempt':
      return owner.key !== holder;
    case 'stranger':
      return true;
    case 'ended':
      return false;
    case 'unseen':
      return holder === null;
  }
}

function nameOf({ name }: GpuProcess): string {
  return name.split('/').at(-1) ?? name;
}
