/**
 * The host between two looks at its counters: shares, rates, levels. Pure but for the reading of files
 * it is lent. A counter that went back (a device that went, a container moved) gives no value.
 */
import type { HostSample } from '#protocol/messages/agent/telemetry.ts';
import {
  parseCpu,
  parseDisks,
  parseLoad,
  parseMemory,
  TICKS_PER_SECOND,
  type CpuTicks,
  type DiskCounters,
} from './proc-text.ts';
import type { ProcFiles } from './proc-reader.ts';

export interface HostCounters {
  readonly atMs: number;
  readonly cpu: CpuTicks | null;
  readonly disks: DiskCounters;
}

/** What is counted up from one look to the next. */
export function readCounters(
  { read }: ProcFiles,
  disks: ReadonlySet<string>,
  atMs: number,
): HostCounters {
  return {
    atMs,
    cpu: parseCpu(read('/proc/stat') ?? ''),
    disks: parseDisks(read('/proc/diskstats') ?? '', disks),
  };
}

export type HostRates = Pick<
  HostSample,
  'cpuBusy' | 'cpuIowait' | 'cpuSteal' | 'diskReadBps' | 'diskWriteBps' | 'diskBusy'
> & {
  readonly cpus: number;
  readonly busyCores: number | null;
};

export function ratesBetween(before: HostCounters, after: HostCounters): HostRates {
  const spanMs = after.atMs - before.atMs;
  return { ...cpuRates(before.cpu, after.cpu, spanMs), ...diskRates(before, after, spanMs) };
}

type CpuRates = Pick<HostRates, 'cpus' | 'busyCores' | 'cpuBusy' | 'cpuIowait' | 'cpuSteal'>;

function cpuRates(before: CpuTicks | null, after: CpuTicks | null, spanMs: number): CpuRates {
  const cpus = after?.cpus ?? 1;
  const total = after === null || before === null ? 0 : after.total - before.total;
  if (after === null || before === null || total <= 0 || spanMs <= 0) {
    return { cpus, busyCores: null, cpuBusy: null, cpuIowait: null, cpuSteal: null };
  }
  const share = (is: number, was: number): number => clamp((is - was) / total);
  const ticks = Math.max(0, after.busy - before.busy);
  return {
    cpus,
    busyCores: Math.min(cpus, (ticks / TICKS_PER_SECOND / spanMs) * 1_000),
    cpuBusy: share(after.busy, before.busy),
    cpuIowait: share(after.iowait, before.iowait),
    cpuSteal: share(after.steal, before.steal),
  };
}

function diskRates(
  { disks: before }: HostCounters,
  { disks: after }: HostCounters,
  spanMs: number,
): Pick<HostRates, 'diskReadBps' | 'diskWriteBps' | 'diskBusy'> {
  const isSame = sameKeys(before.busyMs, after.busyMs);
  if (after.busyMs.size === 0 || !isSame || spanMs <= 0) {
    return { diskReadBps: null, diskWriteBps: null, diskBusy: null };
  }
  const rate = (is: number, was: number): number | null =>
    is < was ? null : Math.round(((is - was) / spanMs) * 1_000);
  const busy = [...after.busyMs].map(
    ([name, ms]) => (ms - (before.busyMs.get(name) ?? ms)) / spanMs,
  );
  return {
    diskReadBps: rate(after.readBytes, before.readBytes),
    diskWriteBps: rate(after.writtenBytes, before.writtenBytes),
    diskBusy: clamp(busy.reduce((most, one) => Math.max(most, one), 0)),
  };
}

function sameKeys(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  return a.size === b.size && [...a.keys()].every((key) => b.has(key));
}

/** To four digits, within 0 and 1. */
function clamp(share: number): number {
  return Math.round(Math.min(1, Math.max(0, share)) * 10_000) / 10_000;
}

export type HostLevels = Pick<
  HostSample,
  'load1' | 'memoryUsedBytes' | 'memoryAvailableBytes' | 'swapUsedBytes'
>;

export function readLevels({ read }: ProcFiles): HostLevels {
  const memory = parseMemory(read('/proc/meminfo') ?? '');
  return {
    load1: parseLoad(read('/proc/loadavg') ?? ''),
    memoryUsedBytes: memory.used,
    memoryAvailableBytes: memory.available,
    swapUsedBytes: memory.swapUsed,
  };
}
