/** The CPUs this process may use, with their cores and NUMA nodes, as the kernel tells them. */
import { readFileSync } from 'node:fs';
import type { Hardware } from '#protocol/messages/agent/hardware.ts';
import { parseCpuList } from '#protocol/messages/agent/cpu-list.ts';
import type { CpuLayout } from './cpu-policy.ts';

/** The text of a file; null where it cannot be read. */
export type ReadText = (path: string) => string | null;

/** Affinity and cpusets are one here: the kernel has cut the first to the second. Null: not told. */
export function readUsableCpus(read: ReadText = readText): number[] | null {
  const status = read('/proc/self/status') ?? '';
  return parseCpuList(/^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? '');
}

/** Null: not told. Once this process was bound it tells less. */
export function readCpuLayout(
  { cpu: { numaNodes } }: Pick<Hardware, 'cpu'>,
  read: ReadText = readText,
): CpuLayout | null {
  const cpus = readUsableCpus(read);
  if (cpus === null) return null;
  const nodeOf = new Map<number, number>();
  for (const { node, cpus: list } of numaNodes) {
    for (const cpu of parseCpuList(list) ?? []) nodeOf.set(cpu, node);
  }
  return {
    cpus: cpus.map((cpu) => ({ cpu, core: coreOf(cpu, read), node: nodeOf.get(cpu) ?? null })),
  };
}

/** The list of its core's threads; a CPU that does not tell is a core of its own. */
function coreOf(cpu: number, read: ReadText): string {
  const dir = `/sys/devices/system/cpu/cpu${cpu}/topology`;
  const threads = read(`${dir}/core_cpus_list`) ?? read(`${dir}/thread_siblings_list`);
  return threads?.trim() ?? String(cpu);
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
