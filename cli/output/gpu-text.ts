/** GPUs of a host in few words. Pure. */
import type { Gpu, Hardware } from '#protocol/messages/agent/hardware.ts';

/** Worst first. */
const TROUBLES = ['failed', 'absent', 'degraded'] as const;

/** `2x NVIDIA L40S, 1x NVIDIA H100 MIG 3g.40gb (1 failed)`; `-` for none. */
export function gpusText({ gpus, gpuProbes }: Pick<Hardware, 'gpus' | 'gpuProbes'>): string {
  const counted = gpus.filter(({ state }) => state !== 'partitioned');
  const names = new Map<string, number>();
  for (const { name, vendor } of counted) {
    const shown = name ?? `unknown ${vendor}`;
    names.set(shown, (names.get(shown) ?? 0) + 1);
  }
  const kinds = Array.from(names, ([name, count]) => `${count}x ${name}`).join(', ');
  const troubles = TROUBLES.flatMap((state) => {
    const count = counted.filter((gpu) => gpu.state === state).length;
    return count === 0 ? [] : [`${count} ${state}`];
  });
  const fenced = counted.filter(isFencedWell).length;
  if (fenced > 0) troubles.push(`${fenced} fenced`);
  const broken = gpuProbes.filter(({ state }) => state === 'failed' || state === 'waiting');
  if (counted.length === 0) {
    return broken.length === 0
      ? '-'
      : broken.map(({ tool, state }) => `${tool} ${state}`).join(', ');
  }
  return troubles.length === 0 ? kinds : `${kinds} (${troubles.join(', ')})`;
}

/** Fenced, and not by what its state says already. */
function isFencedWell({ fence, state }: Gpu): boolean {
  return fence !== undefined && (fence.kind !== 'state' || state === 'degraded');
}

/** As people tell one from another on a host. */
export function gpuName({ kind, index, name, id }: Gpu): string {
  const number = index === null ? '' : ` ${index}`;
  const about = name === null ? id : `${name}, ${id}`;
  return `${kind === 'mig' ? 'MIG device' : 'GPU'}${number} (${about})`;
}

/** A line for each GPU and tool that is not well, worst first; what a GPU says its tool need not. */
export function gpuTroubles({ gpus, gpuProbes }: Pick<Hardware, 'gpus' | 'gpuProbes'>): string[] {
  const lines = TROUBLES.flatMap((state) =>
    gpus
      .filter((gpu) => gpu.state === state)
      .map((gpu) => `${gpuName(gpu)} ${state}: ${gpu.reason ?? 'no reason given'}`),
  );
  const fences = gpus.flatMap((gpu) => {
    const { fence } = gpu;
    if (fence === undefined || !isFencedWell(gpu)) return [];
    return [`${gpuName(gpu)} fenced since ${fence.since}: ${fence.reason}`];
  });
  const told = new Set(gpus.map(({ reason }) => reason));
  const tools = gpuProbes
    .filter(({ state, reason }) => state !== 'ready' && state !== 'absent' && !told.has(reason))
    .map(({ tool, state, reason }) => `${tool} ${state}: ${reason ?? 'no reason given'}`);
  return [...tools, ...lines, ...fences];
}
