/** How many GPUs of a host attempts can have: what agents place by, and coordinators and plans count. */
import type { Gpu } from './hardware.ts';

export interface GpuCounts {
  /** That may be given to an attempt now: neither fenced nor failed. */
  readonly usable: number;
  /** That are there, also those which cannot be used now: they may come back. */
  readonly all: number;
  /** The most of them that are of one kind: what one attempt can have at all. */
  readonly most: number;
}

type Counted = Pick<Gpu, 'state' | 'vendor' | 'kind' | 'fence'>;

export function countGpus(gpus: readonly Counted[]): GpuCounts {
  const there = gpus.filter(isPlace);
  const kinds = new Map<string, number>();
  for (const gpu of there) kinds.set(gpuKind(gpu), (kinds.get(gpuKind(gpu)) ?? 0) + 1);
  return {
    usable: there.filter((gpu) => gpu.fence === undefined && isWell(gpu)).length,
    all: there.length,
    most: Math.max(0, ...kinds.values()),
  };
}

/** One in MIG mode is none: its instances are. */
export function isPlace({ state }: Pick<Gpu, 'state'>): boolean {
  return state !== 'partitioned';
}

/** Its state lets work go there. */
export function isWell({ state }: Pick<Gpu, 'state'>): boolean {
  return state === 'ready' || state === 'degraded';
}

/** An attempt has GPUs of one kind only: no program can use two vendors' at once, or MIG beside whole ones. */
export function gpuKind({ vendor, kind }: Pick<Gpu, 'vendor' | 'kind'>): string {
  return `${vendor}/${kind}`;
}
