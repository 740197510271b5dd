/**
 * What a host has, as its agent found it: the optional fields of a registration. Where a source did
 * not say, a value is null; docs/hosts.md names the source and the unit of each field.
 */
import { z } from 'zod';

const count = z.number().int().nonnegative();
const amount = z.number().nonnegative();

/**
 * - ready: may be used.
 * - degraded: may be used, and something about it is wrong or not known.
 * - partitioned: split by MIG; its instances are GPUs of their own.
 * - failed: it is there and cannot be used.
 * - absent: it was there before, and nothing lists it any more.
 */
export const GpuState = z.enum(['ready', 'degraded', 'partitioned', 'failed', 'absent']);
export type GpuState = z.infer<typeof GpuState>;

/** A process that had a GPU open when the agent looked. */
export const GpuProcess = z.object({
  pid: z.number().int(),
  name: z.string(),
  memoryMiB: amount.nullable(),
});
export type GpuProcess = z.infer<typeof GpuProcess>;

/**
 * - state: its state says so.
 * - used: a process has it open that no attempt with a claim on it has started.
 * - survivor: a process of ours that no signal ends holds it.
 */
export const GpuFence = z.object({
  kind: z.enum(['state', 'used', 'survivor']),
  reason: z.string(),
  /** ISO 8601, the host's clock: when its agent, in its present process, first saw it. */
  since: z.string(),
});
export type GpuFence = z.infer<typeof GpuFence>;

export const Gpu = z.object({
  /** The UUID where there is one, else the place on the PCI bus: the same as long as it sits there. */
  id: z.string(),
  state: GpuState,
  /** Why it is not ready; null when it is. */
  reason: z.string().nullable(),
  vendor: z.enum(['nvidia', 'amd']),
  kind: z.enum(['gpu', 'mig']),
  /** Of a MIG instance: the id of the GPU it is part of. */
  parent: z.string().nullable(),
  uuid: z.string().nullable(),
  index: count.nullable(),
  name: z.string().nullable(),
  /** `0000:01:00.0`, lower case. */
  busId: z.string().nullable(),
  numaNode: count.nullable(),
  memoryMiB: amount.nullable(),
  memoryFreeMiB: amount.nullable(),
  driver: z.string().nullable(),
  /** Newest CUDA that the driver serves. */
  cuda: z.string().nullable(),
  computeCapability: z.string().nullable(),
  computeMode: z.string().nullable(),
  mig: z.boolean().nullable(),
  persistence: z.boolean().nullable(),
  ecc: z.boolean().nullable(),
  powerLimitW: amount.nullable(),
  recoveryAction: z.string().nullable(),
  /** Null: could not be told. */
  processes: z.array(GpuProcess).nullable(),
  /** What is wrong with a degraded one, where work is better kept away from it. */
  fault: z.enum(['memory', 'recovery']).optional(),
  /** Why no attempt is given it now, though it may run one; absent where none keeps it away. */
  fence: GpuFence.optional(),
});
export type Gpu = z.infer<typeof Gpu>;

/**
 * How asking one vendor's tool went. `absent`: it is not installed, and no GPU of the vendor was found
 * on the bus. `waiting`: it has not answered yet.
 */
export const GpuProbe = z.object({
  tool: z.enum(['nvidia-smi', 'rocm-smi']),
  state: z.enum(['ready', 'degraded', 'failed', 'absent', 'waiting']),
  reason: z.string().nullable(),
});
export type GpuProbe = z.infer<typeof GpuProbe>;

export const NumaNode = z.object({
  node: count,
  /** As in cpuset(7): `0-7,16-23`. */
  cpus: z.string(),
  memoryMiB: amount.nullable(),
});
export type NumaNode = z.infer<typeof NumaNode>;

export const CpuFacts = z.object({
  /** Of the machine, whatever of it this agent may use. */
  sockets: count.nullable(),
  cores: count.nullable(),
  threads: count.nullable(),
  numaNodes: z.array(NumaNode),
  /** What the cgroups allow, in CPUs; null: no limit. */
  quota: z.number().positive().nullable(),
  /** CPUs that the cgroups allow; null: not restricted. */
  cpuset: z.string().nullable(),
});
export type CpuFacts = z.infer<typeof CpuFacts>;

export const MemoryFacts = z.object({
  /** Of the machine. */
  totalMiB: amount,
  /** What the cgroups allow; null: no limit. */
  limitMiB: amount.nullable(),
  swapMiB: amount.nullable(),
});
export type MemoryFacts = z.infer<typeof MemoryFacts>;

/** The disk that holds the state folder. What is free now is in the heartbeat. */
export const DiskFacts = z.object({
  totalMiB: amount,
  freeMiB: amount,
  fileSystem: z.string().nullable(),
});
export type DiskFacts = z.infer<typeof DiskFacts>;

export const Hardware = z.object({
  arch: z.string(),
  /** docker, podman, kubernetes, lxc ...; null: no container was recognised. */
  container: z.string().nullable(),
  /** Version of the cgroup hierarchy that limits were read from. */
  cgroup: z.enum(['v1', 'v2', 'hybrid', 'none']),
  cpu: CpuFacts,
  memory: MemoryFacts,
  disk: DiskFacts.nullable(),
  gpus: z.array(Gpu),
  gpuProbes: z.array(GpuProbe),
});
export type Hardware = z.infer<typeof Hardware>;
