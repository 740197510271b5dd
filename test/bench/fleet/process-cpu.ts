/** CPU time of processes and of the machine, from /proc: all threads together. */
import { readFileSync } from 'node:fs';

/** Clock ticks a second in /proc on Linux, whatever the kernel's own. */
const TICKS = 100;
const UTIME = 11;
/** In the line of all CPUs: user, nice, system, idle, iowait, irq, softirq. */
const IDLE = [3, 4];
const COUNTED = 7;

/** Milliseconds since the process began; NaN where it is gone. */
export function cpuMs(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return ((Number(fields[UTIME]) + Number(fields[UTIME + 1])) * 1_000) / TICKS;
  } catch {
    return NaN;
  }
}

/** Milliseconds that the CPUs were busy with anything, all of them together. */
function machineMs(): number {
  const [line = ''] = readFileSync('/proc/stat', 'latin1').split('\n');
  const ticks = line
    .trim()
    .split(/\s+/)
    .slice(1, 1 + COUNTED)
    .map(Number);
  const busy = ticks.filter((_, at) => !IDLE.includes(at)).reduce((sum, one) => sum + one, 0);
  return (busy * 1_000) / TICKS;
}

export function rssMiB(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1_024;
  } catch {
    return NaN;
  }
}

/** How much of one core each of the named processes has used since, and everybody else (`others`). */
export class CpuMeter {
  readonly #pids: Readonly<Record<string, readonly number[]>>;
  readonly #beganMs = performance.now();
  readonly #machineMs = machineMs();
  readonly #before: Readonly<Record<string, number>>;

  constructor(pids: Readonly<Record<string, readonly number[]>>) {
    this.#pids = pids;
    this.#before = this.#now();
  }

  /** 1: a whole core. */
  shares(): Readonly<Record<string, number>> {
    const tookMs = performance.now() - this.#beganMs;
    const used = this.usedMs();
    const all = machineMs() - this.#machineMs;
    const others = all - Object.values(used).reduce((sum, ms) => sum + ms, 0);
    return Object.fromEntries(
      Object.entries({ ...used, others: Math.max(0, others) }).map(([name, ms]) => [
        name,
        ms / tookMs,
      ]),
    );
  }

  /** Of the named processes alone. */
  usedMs(): Readonly<Record<string, number>> {
    return Object.fromEntries(
      Object.entries(this.#now()).map(([name, ms]) => [name, ms - (this.#before[name] ?? NaN)]),
    );
  }

  #now(): Record<string, number> {
    return Object.fromEntries(
      Object.entries(this.#pids).map(([name, pids]) => [
        name,
        pids.reduce((sum, pid) => sum + cpuMs(pid), 0),
      ]),
    );
  }
}
