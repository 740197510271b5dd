/**
 * What the files of /proc say that telemetry reads, as numbers. Pure; never throws, whatever the text:
 * null for what is not there. proc(5) has the formats; sizes and times are as there (pages, ticks).
 */

/** Clock ticks a second of every time in /proc, on all architectures there are builds for. */
export const TICKS_PER_SECOND = 100;
export const MS_PER_TICK = 1_000 / TICKS_PER_SECOND;
/** Of the disk counters in /proc/diskstats, whatever the device's own is. */
const SECTOR_BYTES = 512;
const KIB = 1_024;

export interface CpuTicks {
  /** All that is neither idle nor stolen. Time of guests is in `user` already. */
  readonly busy: number;
  readonly iowait: number;
  readonly steal: number;
  readonly total: number;
  readonly cpus: number;
}

/** From /proc/stat. */
export function parseCpu(text: string): CpuTicks | null {
  const fields = /^cpu +(.*)$/m.exec(text)?.[1]?.split(' ').map(count);
  if (fields === undefined || fields.length < 4) return null;
  const at = (index: number): number => fields[index] ?? 0;
  const busy = at(0) + at(1) + at(2) + at(5) + at(6);
  const [idle, iowait, steal] = [at(3), at(4), at(7)];
  const cpus = text.match(/^cpu\d+ /gm)?.length ?? 0;
  return { busy, iowait, steal, total: busy + idle + iowait + steal, cpus: Math.max(1, cpus) };
}

export interface MemoryBytes {
  readonly used: number | null;
  readonly available: number | null;
  readonly swapUsed: number | null;
}

/** From /proc/meminfo. */
export function parseMemory(text: string): MemoryBytes {
  const bytes = (name: string): number | null => {
    const digits = new RegExp(`^${name}: *(\\d{1,15}) kB$`, 'm').exec(text)?.[1];
    return digits === undefined ? null : Number(digits) * KIB;
  };
  const available = bytes('MemAvailable');
  return {
    used: less(bytes('MemTotal'), available),
    available,
    swapUsed: less(bytes('SwapTotal'), bytes('SwapFree')),
  };
}

function less(whole: number | null, part: number | null): number | null {
  return whole === null || part === null ? null : Math.max(0, whole - part);
}

/** From /proc/loadavg. */
export function parseLoad(text: string): number | null {
  const load = /^(\d{1,9}\.\d{1,4}) /.exec(text)?.[1];
  return load === undefined ? null : Number(load);
}

export interface DiskCounters {
  readonly readBytes: number;
  readonly writtenBytes: number;
  /** Milliseconds with something in flight, by disk. */
  readonly busyMs: ReadonlyMap<string, number>;
}

const MOST_DISKS = 1_024;

/** From /proc/diskstats, of the disks named: partitions and what lies on other disks would count twice. */
export function parseDisks(text: string, disks: ReadonlySet<string>): DiskCounters {
  let [readBytes, writtenBytes] = [0, 0];
  const busyMs = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, , name, ...fields] = line.trim().split(/ +/);
    if (name === undefined || !disks.has(name) || fields.length < 11) continue;
    if (busyMs.size >= MOST_DISKS || busyMs.has(name)) continue;
    readBytes += count(fields[2]) * SECTOR_BYTES;
    writtenBytes += count(fields[6]) * SECTOR_BYTES;
    busyMs.set(name, count(fields[9]));
  }
  return { readBytes, writtenBytes, busyMs };
}

export interface ProcessStat {
  readonly state: string;
  readonly parent: number;
  /** Own time, in ticks. */
  readonly ticks: number;
  /** Of its children that it has waited for, with theirs. */
  readonly reapedTicks: number;
  readonly threads: number;
  /** Ticks since boot. */
  readonly startTime: number;
}

/** From /proc/PID/stat. The name is in parentheses and may hold anything, parentheses included. */
export function parseStat(text: string): ProcessStat | null {
  const end = text.lastIndexOf(')');
  if (end === -1) return null;
  const fields = text.slice(end + 2).split(' ');
  if (fields.length < 20) return null;
  const at = (index: number): number => count(fields[index]);
  return {
    state: fields[0] ?? 'X',
    parent: at(1),
    ticks: at(11) + at(12),
    reapedTicks: at(13) + at(14),
    threads: Math.max(1, at(17)),
    startTime: at(19),
  };
}

export interface MemoryPages {
  readonly resident: number;
  readonly shared: number;
}

/** The name in the parentheses of /proc/PID/stat, cut to 15 characters by the kernel. */
export function nameIn(stat: string): string {
  return stat.slice(stat.indexOf('(') + 1, Math.max(0, stat.lastIndexOf(')')));
}

/** Seconds since boot, from /proc/uptime; null for no such text. */
export function parseUptime(text: string): number | null {
  const seconds = /^(\d{1,12}\.\d{1,3}) /.exec(text)?.[1];
  return seconds === undefined ? null : Number(seconds);
}

/** From /proc/PID/statm. */
export function parseStatm(text: string): MemoryPages | null {
  const [, resident, shared] = text.split(' ');
  if (resident === undefined || shared === undefined) return null;
  return { resident: count(resident), shared: count(shared) };
}

export interface IoBytes {
  readonly read: number;
  readonly written: number;
}

/** From /proc/PID/io: what came from disks and what is to go there. */
export function parseIo(text: string): IoBytes | null {
  const read = /^read_bytes: (\d{1,20})$/m.exec(text)?.[1];
  const written = /^write_bytes: (\d{1,20})$/m.exec(text)?.[1];
  if (read === undefined || written === undefined) return null;
  return { read: count(read), written: count(written) };
}

/** From /proc/PID/task/TID/children. */
export function parseChildren(text: string): number[] {
  return text.split(' ').flatMap((part) => (/^[1-9]\d{0,9}$/.test(part) ? [Number(part)] : []));
}

/** CPU time of all that ever was in a cgroup v2, in ms: from its cpu.stat, which needs no controller. */
export function parseCgroupCpuMs(text: string): number | null {
  const usec = /^usage_usec (\d{1,18})$/m.exec(text)?.[1];
  return usec === undefined ? null : Number(usec) / 1_000;
}

/** From cgroup.procs: one pid a line, 0 for who is not of this pid namespace. */
export function parsePids(text: string): number[] {
  return text.split('\n').flatMap((line) => (/^[1-9]\d{0,9}$/.test(line) ? [Number(line)] : []));
}

/** Of a file that holds one number. */
export function parseCount(text: string): number | null {
  const digits = /^(\d{1,18})\s*$/.exec(text)?.[1];
  return digits === undefined ? null : Number(digits);
}

/** Its cgroup v2, from /proc/PID/cgroup. */
export function parseCgroupPath(text: string): string | null {
  return /^0::(\/.*)$/m.exec(text)?.[1]?.replace(/ \(deleted\)$/, '') ?? null;
}

/** 0 for what is no number: a counter the kernel does not have. */
function count(text: string | undefined): number {
  return text !== undefined && /^\d{1,20}$/.test(text) ? Number(text) : 0;
}
