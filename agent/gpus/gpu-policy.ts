/**
 * Which GPUs an attempt gets. Pure, and deterministic: the same free ones give the same choice.
 *
 * 1. They are of one kind (protocol/messages/agent/gpu-counts.ts), and as the task wants them (gpu-match.ts).
 * 2. On one NUMA node where one node has enough: the node with the lowest free index. Where the node
 *    is not known, it is a node of its own. Else wherever they are.
 * 3. The lowest indexes first; a MIG instance by its GPU, then by its own index.
 */
import { gpuKind, isPlace, isWell } from '#protocol/messages/agent/gpu-counts.ts';
import { hasFree, matchesGpu } from '#protocol/messages/agent/gpu-match.ts';
import type { Gpu } from '#protocol/messages/agent/hardware.ts';
import type { GpuNeeds } from '#protocol/messages/attempt/needs.ts';

/** Those that may be given to an attempt now. */
export function freeGpus(gpus: readonly Gpu[], held: ReadonlySet<string>): Gpu[] {
  return gpus.filter(
    (gpu) => isPlace(gpu) && isWell(gpu) && gpu.fence === undefined && !held.has(gpu.id),
  );
}

/** Null where no kind has enough that are as wanted. */
export function chooseGpus(needs: GpuNeeds | undefined, free: readonly Gpu[]): Gpu[] | null {
  const { count = 0 } = needs ?? {};
  if (needs === undefined || count === 0) return [];
  const ordered = inOrder(free.filter((gpu) => matchesGpu(gpu, needs) && hasFree(gpu, needs)));
  const kinds = [...groupedBy(ordered, gpuKind).values()].filter((kind) => kind.length >= count);
  const kind = kinds[0];
  if (kind === undefined) return null;
  const onOneNode = [...groupedBy(kind, ({ numaNode }) => String(numaNode)).values()].find(
    (node) => node.length >= count,
  );
  return (onOneNode ?? kind).slice(0, count);
}

/** As nvidia-smi lists them: a GPU's instances have its place. */
function inOrder(gpus: readonly Gpu[]): Gpu[] {
  return gpus.toSorted(
    (a, b) =>
      order(a.busId ?? '', b.busId ?? '', a.kind === 'mig' && b.kind === 'mig') ||
      (a.index ?? Infinity) - (b.index ?? Infinity) ||
      order(a.id, b.id, true),
  );
}

/** 0 where it does not count. */
function order(a: string, b: string, counts: boolean): number {
  if (!counts || a === b) return 0;
  return a < b ? -1 : 1;
}

function groupedBy(gpus: readonly Gpu[], keyOf: (gpu: Gpu) => string): Map<string, Gpu[]> {
  const groups = new Map<string, Gpu[]>();
  for (const gpu of gpus) groups.set(keyOf(gpu), [...(groups.get(keyOf(gpu)) ?? []), gpu]);
  return groups;
}
