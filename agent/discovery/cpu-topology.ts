/** Sockets, cores, threads and NUMA nodes of the machine, from what the kernel says. Pure. */
import type { NumaNode } from '#protocol/messages/agent/hardware.ts';
import type { ReadText } from './cgroup-limits.ts';

export interface Topology {
  readonly sockets: number | null;
  readonly cores: number | null;
  readonly threads: number | null;
}

const MOST_CPUS = 4_096;
const MOST_NODES = 256;

/** From the text of /proc/cpuinfo; where it has no cores (not x86), from `read` of sysfs. */
export function readTopology(cpuinfo: string, read: ReadText): Topology {
  const cpus = cpuinfo
    .split(/\n\s*\n/)
    .map(fieldsOf)
    .filter((fields) => fields.has('processor'))
    .slice(0, MOST_CPUS);
  if (cpus.length === 0) return { sockets: null, cores: null, threads: null };
  const sockets = new Set<string>();
  const cores = new Set<string>();
  for (const fields of cpus) {
    const dir = `/sys/devices/system/cpu/cpu${fields.get('processor') ?? ''}/topology`;
    const socket = fields.get('physical id') ?? idIn(read, `${dir}/physical_package_id`);
    const core = fields.get('core id') ?? idIn(read, `${dir}/core_id`);
    if (socket === null || core === null) {
      return { sockets: null, cores: null, threads: cpus.length };
    }
    sockets.add(socket);
    cores.add(`${socket}/${core}`);
  }
  return { sockets: sockets.size, cores: cores.size, threads: cpus.length };
}

function fieldsOf(block: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of block.split('\n')) {
    const at = line.indexOf(':');
    if (at !== -1) fields.set(line.slice(0, at).trim(), line.slice(at + 1).trim());
  }
  return fields;
}

function idIn(read: ReadText, path: string): string | null {
  const text = read(path)?.trim() ?? '';
  return /^\d+$/.test(text) ? text : null;
}

export function readNumaNodes(read: ReadText): NumaNode[] {
  const dir = '/sys/devices/system/node';
  return expandList(read(`${dir}/online`) ?? '').map((node) => ({
    node,
    cpus: (read(`${dir}/node${node}/cpulist`) ?? '').trim(),
    memoryMiB: kibToMib(read(`${dir}/node${node}/meminfo`) ?? '', 'MemTotal'),
  }));
}

/** The numbers of `0-1,4`; none of what is no such list. */
function expandList(list: string): number[] {
  const numbers: number[] = [];
  for (const part of list.trim().split(',')) {
    const [, from, to = from] = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(part) ?? [];
    if (from === undefined) continue;
    for (let at = Number(from); at <= Number(to) && numbers.length < MOST_NODES; at += 1) {
      numbers.push(at);
    }
  }
  return numbers;
}

/** `MemTotal:  24000 kB`, as in /proc/meminfo and, behind the node's name, in sysfs. */
export function kibToMib(text: string, name: string): number | null {
  const kib = new RegExp(`(?:^|\\s)${name}:\\s+(\\d{1,15}) kB`, 'm').exec(text)?.[1];
  return kib === undefined ? null : Math.floor(Number(kib) / 1_024);
}
