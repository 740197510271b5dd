/**
 * MIG instances as GPUs of their own. Pure. nvidia-smi tells their UUIDs in `-L`, their memory and
 * who uses them in `-q` only; the two are joined by the GPU's UUID and the device number within it.
 * (`--query-compute-apps` lists the processes of an instance under its GPU: seen with driver 590.)
 */
import type { Gpu, GpuProcess } from '#protocol/messages/agent/hardware.ts';
import { blankGpu } from './gpu-facts.ts';
import { MOST_PROCESSES, short } from './nvidia-gpus.ts';

export interface MigInstance {
  /** UUID of the GPU it is part of. */
  readonly parent: string;
  readonly device: number;
  readonly uuid: string;
  /** `3g.40gb`. */
  readonly profile: string;
}

/** What `-q` says of an instance. */
export interface MigDetail {
  memoryMiB: number | null;
  memoryFreeMiB: number | null;
  readonly processes: GpuProcess[];
}

const GPU_LINE = /^GPU\s+\d+:.*\(UUID:\s*(GPU-[\w-]{1,64})\)/;
const MIG_LINE = /^\s+MIG\s+(\S{1,32})\s+Device\s+(\d{1,3}):\s*\(UUID:\s*(MIG-[\w/-]{1,96})\)/;

/** From `nvidia-smi -L`. */
export function readInstances(text: string): MigInstance[] {
  const found: MigInstance[] = [];
  let parent: string | null = null;
  for (const line of text.split('\n')) {
    parent = GPU_LINE.exec(line)?.[1] ?? parent;
    const [, profile, device, uuid] = MIG_LINE.exec(line) ?? [];
    if (parent === null || profile === undefined || uuid === undefined) continue;
    found.push({ parent, device: Number(device), uuid, profile });
  }
  return found;
}

/** From `nvidia-smi -q`: by `<UUID of the GPU>/<device>`. */
export function readMigDetails(text: string): Map<string, MigDetail> {
  const found = new Map<string, MigDetail>();
  for (const block of text.split(/^GPU [0-9A-F]{4,8}:[0-9A-F:.]{7}$/im).slice(1)) {
    const sections = sectionsOf(block);
    const uuid = sections.find(({ name }) => name === 'GPU UUID')?.value ?? '';
    const processes = sections.filter(({ name }) => name === 'Processes').flatMap(processesOf);
    for (const section of sections) {
      if (section.name !== 'MIG Device') continue;
      const device = field(section, 'Index');
      if (!/^\d{1,3}$/.test(device)) continue;
      const [gi, ci] = [field(section, 'GPU Instance ID'), field(section, 'Compute Instance ID')];
      const own = processes.filter((each) => each.gi === gi && each.ci === ci);
      found.set(`${uuid}/${Number(device)}`, {
        ...memoryOf(section),
        processes: own.slice(0, MOST_PROCESSES).map(({ process }) => process),
      });
    }
  }
  return found;
}

interface Line {
  readonly indent: number;
  readonly name: string;
  readonly value: string;
}

/** A line of the outermost level of a GPU, and what is indented below it. */
interface Section extends Line {
  readonly below: Line[];
}

const OUTERMOST = 4;

function sectionsOf(block: string): Section[] {
  const sections: Section[] = [];
  for (const text of block.split('\n')) {
    const name = text.split(':', 1)[0] ?? '';
    const line = {
      indent: text.length - text.trimStart().length,
      name: name.trim(),
      value: text.slice(name.length + 1).trim(),
    };
    if (line.name === '') continue;
    if (line.indent > OUTERMOST) sections.at(-1)?.below.push(line);
    else sections.push({ ...line, below: [] });
  }
  return sections;
}

function field({ below }: Section, name: string): string {
  return below.find((line) => line.name === name)?.value ?? '';
}

function mib(text: string | undefined): number | null {
  const digits = /^(\d{1,12}) MiB$/.exec(text ?? '')?.[1];
  return digits === undefined ? null : Number(digits);
}

function memoryOf({ below }: Section): Pick<MigDetail, 'memoryMiB' | 'memoryFreeMiB'> {
  const at = below.findIndex(({ name }) => /^(?:Shared )?FB Memory Usage$/.test(name));
  const heading = below[at];
  if (heading === undefined) return { memoryMiB: null, memoryFreeMiB: null };
  const rest = below.slice(at + 1);
  const end = rest.findIndex(({ indent }) => indent <= heading.indent);
  const inside = end === -1 ? rest : rest.slice(0, end);
  const read = (name: string): number | null =>
    mib(inside.find((line) => line.name === name)?.value);
  return { memoryMiB: read('Total'), memoryFreeMiB: read('Free') };
}

interface InstanceProcess {
  readonly gi: string;
  readonly ci: string;
  readonly process: GpuProcess;
}

function processesOf({ below }: Section): InstanceProcess[] {
  const found: InstanceProcess[] = [];
  let [gi, ci] = ['', ''];
  for (const { name, value } of below) {
    if (name === 'GPU instance ID') gi = value;
    else if (name === 'Compute instance ID') ci = value;
    else if (name === 'Process ID' && /^\d{1,10}$/.test(value)) {
      found.push({ gi, ci, process: { pid: Number(value), name: 'unknown', memoryMiB: null } });
    }
    const last = found.at(-1);
    if (last === undefined) continue;
    if (name === 'Name') last.process.name = short(value);
    if (name === 'Used GPU Memory') last.process.memoryMiB = mib(value);
  }
  return found;
}

/**
 * The GPUs, each with its instances behind it; one in MIG mode is itself no longer to be had. Without
 * `instances` nvidia-smi did not say which there are.
 */
export function withInstances(
  gpus: readonly Gpu[],
  instances: readonly MigInstance[] | null,
  details: ReadonlyMap<string, MigDetail>,
): Gpu[] {
  return gpus.flatMap((gpu) => {
    if (gpu.mig !== true) return [gpu];
    const own = (instances ?? []).filter(({ parent }) => parent === gpu.uuid);
    const parts = own.map((instance) =>
      instanceGpu(gpu, instance, details.get(`${instance.parent}/${instance.device}`) ?? null),
    );
    return [partitioned(gpu, instances === null ? null : own.length), ...parts];
  });
}

function partitioned(gpu: Gpu, instances: number | null): Gpu {
  if (gpu.state === 'failed') return gpu;
  if (instances === null) {
    const reason = 'it is in MIG mode and nvidia-smi could not list its instances';
    return { ...gpu, state: 'failed', reason };
  }
  if (instances === 0) {
    const reason = 'it is in MIG mode and nvidia-smi lists no instance of it';
    return { ...gpu, state: 'failed', reason };
  }
  const what =
    instances === 1 ? 'its one instance is a GPU' : `its ${instances} instances are GPUs`;
  return { ...gpu, state: 'partitioned', reason: `it is in MIG mode: ${what} here` };
}

function instanceGpu(gpu: Gpu, instance: MigInstance, detail: MigDetail | null): Gpu {
  const { uuid, profile, device } = instance;
  const { memoryMiB = null, memoryFreeMiB = null, processes = null } = detail ?? {};
  return {
    ...blankGpu('nvidia', uuid),
    ...healthOf(gpu, memoryMiB),
    kind: 'mig',
    parent: gpu.id,
    uuid,
    index: device,
    name: short(`${gpu.name ?? 'GPU'} MIG ${profile}`),
    busId: gpu.busId,
    numaNode: gpu.numaNode,
    memoryMiB,
    memoryFreeMiB,
    driver: gpu.driver,
    cuda: gpu.cuda,
    computeCapability: gpu.computeCapability,
    computeMode: gpu.computeMode,
    persistence: gpu.persistence,
    ecc: gpu.ecc,
    recoveryAction: gpu.recoveryAction,
    processes,
  };
}

/** What is wrong with the GPU is wrong with each of its instances. */
function healthOf(gpu: Gpu, memoryMiB: number | null): Pick<Gpu, 'state' | 'reason' | 'fault'> {
  if (gpu.state !== 'ready') {
    const { state, reason, fault } = gpu;
    return { state, reason, ...(fault === undefined ? {} : { fault }) };
  }
  if (memoryMiB !== null) return { state: 'ready', reason: null };
  return { state: 'degraded', reason: 'nvidia-smi does not tell its memory' };
}
