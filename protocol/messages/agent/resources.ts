/** What an attempt was given of its host, and what that host was, frozen when the attempt began. */
import { z } from 'zod';

const count = z.number().int().nonnegative();

export const AssignedGpu = z.object({
  /** As in the host's hardware. */
  id: z.string(),
  uuid: z.string().nullable(),
  index: count.nullable(),
  name: z.string().nullable(),
  vendor: z.enum(['nvidia', 'amd']),
  kind: z.enum(['gpu', 'mig']),
  /** Of a MIG instance: the id of the GPU it is part of. */
  parent: z.string().optional(),
  memoryMiB: z.number().nonnegative().nullable(),
  numaNode: count.nullable(),
  driver: z.string().nullable(),
  cuda: z.string().nullable(),
  powerLimitW: z.number().nonnegative().nullable(),
});
export type AssignedGpu = z.infer<typeof AssignedGpu>;

export const HostSnapshot = z.object({
  os: z.string(),
  kernel: z.string(),
  cpuModel: z.string(),
  /** Frequency policy of the first CPU; null where the kernel does not tell. */
  governor: z.string().nullable(),
  maxMhz: z.number().nonnegative().nullable(),
});
export type HostSnapshot = z.infer<typeof HostSnapshot>;

export const AttemptResources = z.object({
  /** In the order its processes are told them. */
  gpus: z.array(AssignedGpu),
  /** CPUs its processes are bound to; empty: to none. */
  cpus: z.array(count),
  host: HostSnapshot,
});
export type AttemptResources = z.infer<typeof AttemptResources>;
