/**
 * From what nvidia-smi prints to GPUs, and to what is wrong with each. Pure; never throws, whatever
 * the text. A GPU that only an error names is a GPU that failed: none goes missing without a word.
 */
import type { Gpu, GpuProcess, GpuState } from '#protocol/messages/agent/hardware.ts';
import { busIdOf } from './bus-id.ts';
import { blankGpu } from './gpu-facts.ts';
import { amountOf, countOf, parseTable, switchOf, textOf, type Row } from './smi-table.ts';

/** Without these a GPU cannot be told from another; every driver since 2013 has them. */
export const CORE_FIELDS = [
  'index',
  'uuid',
  'name',
  'pci.bus_id',
  'memory.total',
  'memory.free',
  'driver_version',
] as const;
/** Newest first: the first that an older nvidia-smi does not know. */
export const FURTHER_FIELDS = [
  'gpu_recovery_action',
  'compute_cap',
  'mig.mode.current',
  'remapped_rows.failure',
  'remapped_rows.pending',
  'retired_pages.pending',
  'compute_mode',
  'persistence_mode',
  'ecc.mode.current',
  'power.limit',
] as const;
export const PROCESS_FIELDS = ['gpu_uuid', 'pid', 'used_gpu_memory', 'process_name'] as const;

export interface ReadGpus {
  readonly gpus: readonly Gpu[];
  /** What was printed beside the rows and names no GPU; null for nothing. */
  readonly note: string | null;
}

/** Of one GPU. */
export const MOST_PROCESSES = 64;

export function readGpus(text: string): ReadGpus {
  const { rows, notes } = parseTable(text, { key: 'uuid', free: 'name' });
  const gpus = rows.map(gpuOf);
  const lost = readLost(notes.join('\n'));
  const known = new Set(gpus.map(({ busId }) => busId));
  const unheard = lost.gpus.filter(({ busId }) => busId === null || !known.has(busId));
  return { gpus: [...gpus, ...unheard], note: lost.rest };
}

/** `Field "gpu_recovery_action" is not a valid field to query.` */
export function refusedField(text: string): string | null {
  return /field "([\w.]{1,80})" is not a valid field/i.exec(text)?.[1] ?? null;
}

/** `CUDA Version        : 13.2`, or in the head of the table of an older one. */
export function readCuda(text: string): string | null {
  return /CUDA (?:UMD )?Version\s*:\s*(\d{1,3}(?:\.\d{1,3}){1,2})/i.exec(text)?.[1] ?? null;
}

/** Who has a GPU open, by its UUID. */
export function readProcesses(text: string): Map<string, GpuProcess[]> {
  const found = new Map<string, GpuProcess[]>();
  for (const row of parseTable(text, { key: 'gpu_uuid', free: 'process_name' }).rows) {
    const [uuid, pid] = [textOf(row('gpu_uuid')), countOf(row('pid'))];
    if (uuid === null || pid === null) continue;
    const there = found.get(uuid) ?? [];
    found.set(uuid, there);
    if (there.length >= MOST_PROCESSES) continue;
    there.push({
      pid,
      name: short(textOf(row('process_name')) ?? 'unknown'),
      memoryMiB: amountOf(row('used_gpu_memory')),
    });
  }
  return found;
}

function gpuOf(row: Row): Gpu {
  const uuid = textOf(row('uuid'));
  const index = countOf(row('index'));
  const busId = busIdOf(textOf(row('pci.bus_id')));
  const text = (column: string): string | null => {
    const cell = textOf(row(column));
    return cell === null ? null : short(cell);
  };
  return {
    ...blankGpu('nvidia', idOf(uuid, busId, index)),
    ...healthOf(row),
    uuid: uuid === null ? null : short(uuid),
    index,
    busId,
    name: text('name'),
    memoryMiB: amountOf(row('memory.total')),
    memoryFreeMiB: amountOf(row('memory.free')),
    driver: text('driver_version'),
    computeCapability: text('compute_cap'),
    computeMode: text('compute_mode'),
    mig: switchOf(row('mig.mode.current')),
    persistence: switchOf(row('persistence_mode')),
    ecc: switchOf(row('ecc.mode.current')),
    powerLimitW: amountOf(row('power.limit')),
    recoveryAction: text('gpu_recovery_action'),
  };
}

function idOf(uuid: string | null, busId: string | null, index: number | null): string {
  if (uuid !== null) return short(uuid);
  if (busId !== null) return `pci-${busId}`;
  return index === null ? 'nvidia-unknown' : `nvidia-${index}`;
}

interface Health {
  readonly state: GpuState;
  readonly reason: string | null;
  readonly fault?: NonNullable<Gpu['fault']>;
}

/** The worst that its fields say, first match first. */
function healthOf(row: Row): Health {
  const broken = CORE_FIELDS.flatMap((field) => {
    const cell = row(field);
    return cell.kind === 'error' ? [`${field}: ${short(cell.text)}`] : [];
  });
  if (broken.length > 0) return failed(`nvidia-smi cannot read it (${broken.join(', ')})`);
  if (textOf(row('uuid')) === null) return failed('it has no UUID: it cannot be given to a task');
  const action = textOf(row('gpu_recovery_action'));
  if (action !== null && !/^none$/i.test(action)) {
    const reason = `the driver asks for a recovery: ${short(action)}`;
    // A drain lets go on what runs; a reset or a reboot says that nothing does.
    return /drain/i.test(action) ? degraded(reason, 'recovery') : failed(reason);
  }
  if (/prohibited/i.test(textOf(row('compute_mode')) ?? '')) {
    return failed('its compute mode is Prohibited: no program may use it');
  }
  if (switchOf(row('remapped_rows.failure')) === true) {
    return degraded('a faulty row of its memory could not be remapped', 'memory');
  }
  const waits = ['remapped_rows.pending', 'retired_pages.pending'];
  if (waits.some((field) => switchOf(row(field)) === true)) {
    return degraded('faulty memory is taken out of use at its next reset', 'memory');
  }
  const unknown = ['name', 'memory.total'].filter((field) => row(field).kind !== 'value');
  if (unknown.length > 0) return degraded(`nvidia-smi does not tell its ${unknown.join(' and ')}`);
  return { state: 'ready', reason: null };
}

const failed = (reason: string): Health => ({ state: 'failed', reason });
const degraded = (reason: string, fault?: Health['fault']): Health => ({
  state: 'degraded',
  reason,
  ...(fault === undefined ? {} : { fault }),
});

/** `Unable to determine the device handle for GPU 0000:01:00.0: GPU is lost.  Reboot ...`, any of its forms. */
const LOST =
  /unable to determine the device handle for gpu\s*([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]|\d{1,3})?\s*:?\s*([^\n]*(?:\n(?!\s*unable)[^\n:,]{1,80}$)?)/gim;

function readLost(notes: string): { gpus: Gpu[]; rest: string | null } {
  const gpus = new Map<string, Gpu>();
  for (const [, where = '', why = ''] of notes.matchAll(LOST)) {
    const busId = busIdOf(where);
    const index = /^\d+$/.test(where) ? Number(where) : null;
    const id = idOf(null, busId, index);
    const reason = `nvidia-smi: ${short(why.replace(/\s+/g, ' ').trim() || 'no handle')}`;
    gpus.set(id, { ...blankGpu('nvidia', id), ...failed(reason), busId, index });
  }
  const rest = notes.replace(LOST, '').replace(/\s+/g, ' ').trim();
  return { gpus: [...gpus.values()], rest: rest === '' ? null : short(rest) };
}

/** What a device or a driver says of itself is bounded before it goes anywhere. */
export function short(text: string): string {
  const clean = text.replace(/\p{Cc}+/gu, ' ').trim();
  return clean.length <= 200 ? clean : `${clean.slice(0, 199)}…`;
}
