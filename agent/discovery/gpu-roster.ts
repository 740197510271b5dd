/**
 * The GPUs of the host, from everything that knows of any. Pure.
 *
 *   what the vendor's tool lists  +  what was known before  +  what sits on the PCI bus
 *
 * 1. None goes missing without a word: known before and listed no more is `absent`; where the tool as a
 *    whole fails, everything it had listed is `failed` with the tool's reason.
 * 2. One that only an error names, by its place, is the known one of that place.
 * 3. The bus counts only where the tool should have listed it: a container sees the whole machine's
 *    bus and has been given a part; a device handed to a virtual machine (vfio) is another's; a desktop's
 *    AMD device without rocm-smi is not meant for work.
 * 4. A MIG instance that its healthy GPU no longer has was taken away by somebody: it is dropped.
 */
import type { Gpu, GpuProbe } from '#protocol/messages/agent/hardware.ts';
import { blankGpu, type VendorGpus } from './gpu-facts.ts';
import type { PciGpu } from './pci-gpus.ts';

export interface Found {
  readonly looks: readonly VendorGpus[];
  readonly pci: readonly PciGpu[];
  readonly isContainer: boolean;
}

export interface Roster {
  readonly gpus: readonly Gpu[];
  readonly probes: readonly GpuProbe[];
}

const VENDOR_OF = { 'nvidia-smi': 'nvidia', 'rocm-smi': 'amd' } as const;
const NOT_OURS = new Set(['vfio-pci', 'pci-stub']);

export function rosterOf(known: readonly Gpu[], found: Found): Roster {
  const gpus: Gpu[] = [];
  const probes: GpuProbe[] = [];
  for (const look of found.looks) {
    const vendor = VENDOR_OF[look.probe.tool];
    const before = known.filter((gpu) => gpu.vendor === vendor);
    const onBus = found.pci.filter(
      (device) => device.vendor === vendor && !NOT_OURS.has(device.driver ?? ''),
    );
    const listed = distinct(look.gpus.map((gpu) => recognised(gpu, before)));
    const rest = missing(listed, before, look.probe);
    const silent = isBusCounted(look.probe, found.isContainer)
      ? unlisted([...listed, ...rest], onBus, look.probe)
      : [];
    const all = [...listed, ...rest, ...silent].map((gpu) => placed(gpu, found.pci));
    gpus.push(...bounded(all));
    probes.push(probeOf(look.probe, all));
  }
  return { gpus, probes };
}

/** Facts of the known GPU under what is said now of its place (2). */
function recognised(gpu: Gpu, before: readonly Gpu[]): Gpu {
  if (gpu.uuid !== null || gpu.kind === 'mig') return gpu;
  const same = before.find(({ kind, busId, index }) => {
    if (kind === 'mig') return false;
    return gpu.busId === null ? index === gpu.index && gpu.index !== null : busId === gpu.busId;
  });
  if (same === undefined) return gpu;
  const { state, reason } = gpu;
  return { ...same, state, reason, memoryFreeMiB: null, processes: null };
}

/** Two of one id would be taken for one. */
function distinct(gpus: readonly Gpu[]): Gpu[] {
  const counts = new Map<string, number>();
  return gpus.map((gpu) => {
    const count = (counts.get(gpu.id) ?? 0) + 1;
    counts.set(gpu.id, count);
    if (count === 1) return gpu;
    const reason = 'it has the id of another GPU: it cannot be given to a task';
    return { ...gpu, id: `${gpu.id}#${count}`, state: 'failed', reason };
  });
}

/** Known before, and not listed now (1, 4). */
function missing(listed: readonly Gpu[], before: readonly Gpu[], probe: GpuProbe): Gpu[] {
  const ids = new Set(listed.map(({ id }) => id));
  const places = new Set(
    listed.flatMap(({ kind, busId }) => (kind === 'gpu' ? (busId ?? []) : [])),
  );
  const isToolLost = probe.state === 'failed' || probe.state === 'absent';
  return before.flatMap((gpu): Gpu[] => {
    if (ids.has(gpu.id)) return [];
    // Known by its place only, and now by its UUID.
    if (gpu.uuid === null && gpu.busId !== null && places.has(gpu.busId)) return [];
    if (probe.state === 'waiting') return [gpu];
    const blind = { ...gpu, memoryFreeMiB: null, processes: null };
    const parent = listed.find(({ id }) => id === gpu.parent);
    if (gpu.kind === 'mig' && parent !== undefined) {
      if (parent.state !== 'failed') return [];
      return [
        { ...blind, state: 'failed', reason: `its GPU failed: ${parent.reason ?? 'unknown'}` },
      ];
    }
    if (isToolLost) return [{ ...blind, state: 'failed', reason: toolReason(probe) }];
    const reason = `${probe.tool} lists it no more`;
    return [{ ...blind, state: 'absent', reason }];
  });
}

function toolReason({ tool, state, reason }: GpuProbe): string {
  return state === 'absent' ? `${tool} is not installed any more` : (reason ?? `${tool} failed`);
}

function isBusCounted({ tool, state }: GpuProbe, isContainer: boolean): boolean {
  if (state === 'waiting') return false;
  if (state === 'failed') return true;
  return tool === 'nvidia-smi' && !isContainer;
}

function unlisted(known: readonly Gpu[], onBus: readonly PciGpu[], probe: GpuProbe): Gpu[] {
  const places = new Set(known.map(({ busId }) => busId));
  return onBus
    .filter(({ busId }) => !places.has(busId))
    .map((device) => {
      const driver = device.driver === null ? 'no driver' : `driver ${device.driver}`;
      const why =
        probe.state === 'absent'
          ? `${probe.tool} is not installed`
          : probe.state === 'failed'
            ? (probe.reason ?? 'its tool failed')
            : `${probe.tool} does not list it`;
      const reason = `it is on the PCI bus (${driver}) and ${why}`;
      const { busId } = device;
      return { ...blankGpu(device.vendor, `pci-${busId}`), state: 'failed', reason, busId };
    });
}

function placed(gpu: Gpu, pci: readonly PciGpu[]): Gpu {
  const device = pci.find(({ busId }) => busId === gpu.busId);
  return device === undefined ? gpu : { ...gpu, numaNode: device.numaNode };
}

/** A message holds so many (I12): far more than a machine takes, or a person reads. */
const MOST_GPUS = 256;
const MOST_PROCESSES = 512;

function bounded(gpus: readonly Gpu[]): Gpu[] {
  let room = MOST_PROCESSES;
  return gpus.slice(0, MOST_GPUS).map((gpu) => {
    const processes = gpu.processes?.slice(0, room) ?? null;
    room -= processes?.length ?? 0;
    return processes?.length === gpu.processes?.length ? gpu : { ...gpu, processes };
  });
}

/** A tool that finds no device where there is none is as good as not there. */
function probeOf(probe: GpuProbe, gpus: readonly Gpu[]): GpuProbe {
  if (gpus.length > MOST_GPUS) {
    const reason = `${gpus.length} GPUs are known, ${MOST_GPUS} are told`;
    return { ...probe, state: 'degraded', reason };
  }
  const isEmpty = gpus.length === 0 && /no devices were found/i.test(probe.reason ?? '');
  return probe.state === 'failed' && isEmpty ? { ...probe, state: 'absent' } : probe;
}
