/** Reads what the host has but for GPUs: a few small files of /proc and /sys, and one statfs. */
import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import type { DiskFacts, Hardware } from '#protocol/messages/agent/hardware.ts';
import { countCpus, readCgroupLimits, type ReadText } from './cgroup-limits.ts';
import { containerKind } from './container-kind.ts';
import { kibToMib, readNumaNodes, readTopology } from './cpu-topology.ts';

export type HostFacts = Omit<Hardware, 'gpus' | 'gpuProbes'>;

const MIB = 1_024 * 1_024;

export function readHostFacts(stateDir: string): HostFacts {
  const limits = readCgroupLimits(readText);
  const { threads, ...topology } = readTopology(readText('/proc/cpuinfo') ?? '', readText);
  const isRestricted = limits.cpuset !== null && countCpus(limits.cpuset) !== threads;
  const totalMiB = Math.floor(totalmem() / MIB);
  const limitMiB =
    limits.memoryBytes === null ? null : Math.max(1, Math.floor(limits.memoryBytes / MIB));
  return {
    arch: process.arch,
    container: containerKind({ read: readText, exists: existsSync, env: process.env }),
    cgroup: limits.version,
    cpu: {
      ...topology,
      threads,
      numaNodes: readNumaNodes(readText),
      quota: limits.cpus,
      cpuset: isRestricted ? limits.cpuset : null,
    },
    memory: {
      totalMiB,
      limitMiB: limitMiB !== null && limitMiB < totalMiB ? limitMiB : null,
      swapMiB: kibToMib(readText('/proc/meminfo') ?? '', 'SwapTotal'),
    },
    disk: diskOf(stateDir),
  };
}

/**
 * CPUs an attempt may really use: those this process may run on, cut to the quota. Part of a CPU
 * counts only where there is no whole one. Pure.
 */
export function usableCpus({ cpu }: Pick<HostFacts, 'cpu'>, affinity: number): number {
  const allowed = cpu.cpuset === null ? null : countCpus(cpu.cpuset);
  return Math.max(1, Math.floor(Math.min(affinity, allowed ?? affinity, cpu.quota ?? affinity)));
}

export function usableMemoryMiB({ memory }: Pick<HostFacts, 'memory'>): number {
  return Math.max(1, memory.limitMiB ?? memory.totalMiB);
}

/** CPUs that the affinity of this process leaves it. */
export function affinityCpus(): number {
  return availableParallelism();
}

const readText: ReadText = (path) => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
};

/** statfs(2) of the kinds a state folder may lie on. */
const FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x2fc12fc1, 'zfs'],
  [0x01021994, 'tmpfs'],
  [0x794c7630, 'overlay'],
  [0x6969, 'nfs'],
  [0xff534d42, 'cifs'],
  [0x65735546, 'fuse'],
  [0xf2f52010, 'f2fs'],
  [0xca451a4e, 'bcachefs'],
]);

function diskOf(dir: string): DiskFacts | null {
  try {
    const { blocks, bavail, bsize, type } = statfsSync(dir);
    return {
      totalMiB: Math.floor((blocks * bsize) / MIB),
      freeMiB: Math.floor((bavail * bsize) / MIB),
      fileSystem: FILE_SYSTEMS.get(type) ?? null,
    };
  } catch {
    return null;
  }
}
