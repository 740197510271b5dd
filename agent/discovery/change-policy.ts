/**
 * Which differences between two looks are worth an event: what an assignment, a person or a check would
 * act on. Pure. Free memory moves all the time: only a move of a twentieth of it counts; the disk's
 * free space is the heartbeat's.
 */
import type { Gpu, GpuProbe, Hardware } from '#protocol/messages/agent/hardware.ts';

/** Of one event; the rest is counted. */
const MOST = 32;
const FREE_STEP = 1 / 20;

/** What is different, for people; empty where nothing is that matters. */
export function changesBetween(before: Hardware, after: Hardware): string[] {
  const changes = [
    ...hostChanges(before, after),
    ...after.gpuProbes.flatMap((probe) => probeChanges(before.gpuProbes, probe)),
    ...after.gpus.flatMap((gpu) => gpuChanges(before.gpus, gpu)),
    ...before.gpus
      .filter(({ id }) => !after.gpus.some((gpu) => gpu.id === id))
      .map((gpu) => `${nameOf(gpu)}: taken away`),
  ];
  if (changes.length <= MOST) return changes;
  return [...changes.slice(0, MOST - 1), `and ${changes.length - MOST + 1} more`];
}

function hostChanges(before: Hardware, after: Hardware): string[] {
  const pairs: readonly (readonly [string, Said, Said])[] = [
    ['CPU quota', before.cpu.quota, after.cpu.quota],
    ['cpuset', before.cpu.cpuset, after.cpu.cpuset],
    ['CPU threads', before.cpu.threads, after.cpu.threads],
    ['memory MiB', before.memory.totalMiB, after.memory.totalMiB],
    ['memory limit MiB', before.memory.limitMiB, after.memory.limitMiB],
    ['swap MiB', before.memory.swapMiB, after.memory.swapMiB],
    ['disk MiB', before.disk?.totalMiB, after.disk?.totalMiB],
  ];
  return pairs
    .filter(([, was, is]) => was !== is)
    .map(([what, was, is]) => `${what}: ${say(was)} -> ${say(is)}`);
}

function probeChanges(before: readonly GpuProbe[], probe: GpuProbe): string[] {
  const was = before.find(({ tool }) => tool === probe.tool);
  if (was?.state === probe.state && was.reason === probe.reason) return [];
  // It had not answered yet: what it found is said by its GPUs.
  if (was?.state === 'waiting' && (probe.state === 'ready' || probe.state === 'absent')) return [];
  return [`${probe.tool}: ${was?.state ?? 'unknown'} -> ${stateText(probe)}`];
}

function gpuChanges(before: readonly Gpu[], gpu: Gpu): string[] {
  const was = before.find(({ id }) => id === gpu.id);
  if (was === undefined) return [`${nameOf(gpu)}: found, ${stateText(gpu)}`];
  const changes: string[] = [];
  if (was.state !== gpu.state || was.reason !== gpu.reason) {
    changes.push(`${was.state} -> ${stateText(gpu)}`);
  }
  for (const [field, what] of WATCHED) {
    if (was[field] !== gpu[field]) changes.push(`${what} ${say(was[field])} -> ${say(gpu[field])}`);
  }
  if (was.fence?.reason !== gpu.fence?.reason) {
    changes.push(gpu.fence === undefined ? 'not fenced any more' : `fenced: ${gpu.fence.reason}`);
  }
  if (pidsOf(was) !== pidsOf(gpu)) changes.push(`used by ${usersText(gpu)}`);
  if (isFreeMoved(was, gpu)) {
    changes.push(`free MiB ${say(was.memoryFreeMiB)} -> ${say(gpu.memoryFreeMiB)}`);
  }
  return changes.map((change) => `${nameOf(gpu)}: ${change}`);
}

const WATCHED = [
  ['name', 'name'],
  ['index', 'index'],
  ['busId', 'bus id'],
  ['numaNode', 'NUMA node'],
  ['memoryMiB', 'memory MiB'],
  ['driver', 'driver'],
  ['cuda', 'CUDA'],
  ['computeCapability', 'compute capability'],
  ['computeMode', 'compute mode'],
  ['mig', 'MIG'],
  ['persistence', 'persistence'],
  ['ecc', 'ECC'],
  ['powerLimitW', 'power limit W'],
  ['recoveryAction', 'recovery action'],
] as const satisfies readonly (readonly [keyof Gpu, string])[];

function isFreeMoved(was: Gpu, is: Gpu): boolean {
  if (was.memoryFreeMiB === null || is.memoryFreeMiB === null) {
    return was.memoryFreeMiB !== is.memoryFreeMiB;
  }
  const least = (is.memoryMiB ?? was.memoryFreeMiB) * FREE_STEP;
  return Math.abs(is.memoryFreeMiB - was.memoryFreeMiB) > least;
}

function pidsOf({ processes }: Gpu): string {
  return processes === null
    ? '?'
    : processes
        .map(({ pid }) => pid)
        .sort((a, b) => a - b)
        .join(' ');
}

function usersText({ processes }: Gpu): string {
  if (processes === null) return 'unknown processes';
  if (processes.length === 0) return 'no process';
  const named = processes.slice(0, 4).map(({ pid, name }) => `${name} (${pid})`);
  return named.join(', ') + (processes.length > 4 ? ` and ${processes.length - 4} more` : '');
}

function stateText({ state, reason }: Gpu | GpuProbe): string {
  return reason === null ? state : `${state} (${reason})`;
}

function nameOf(gpu: Gpu): string {
  return `${gpu.kind === 'mig' ? 'MIG instance' : 'GPU'} ${gpu.id}`;
}

type Said = string | number | boolean | null | undefined;

function say(value: Said): string {
  return value === null || value === undefined ? 'unknown' : String(value);
}
