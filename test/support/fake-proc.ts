/** A /proc of a test's own: what the kernel would say of a host with these processes. */
import type { ProcFiles } from '#agent/telemetry/proc-reader.ts';

export interface FakeProcess {
  parent: number;
  threads?: number;
  /** Which of its parent's threads has started it; the first. */
  byThread?: number;
  startTime?: number;
  ownTicks?: number;
  reapedTicks?: number;
  rssPages?: number;
  sharedPages?: number;
  read?: number;
  written?: number;
  name?: string;
  /** Its cgroup v2, as /proc tells it; the root. */
  cgroup?: string;
  /** Words of its command line; none. */
  argv?: readonly string[];
}

export class FakeProc implements ProcFiles {
  readonly pageBytes = 4_096;
  readonly processes = new Map<number, FakeProcess>();
  /** Further files, by path: cgroups. */
  readonly files = new Map<string, string>();
  /** Reads since the begin, by path. */
  reads = 0;
  cpus = 4;
  busyTicks = 0;
  idleTicks = 0;
  stealTicks = 0;
  iowaitTicks = 0;
  uptimeSeconds = 10;
  isInitialNamespace = true;
  broken: Error | null = null;

  /** Time passes on all CPUs: this much of it busy, in ticks of 10 ms. */
  pass(ms: number, busyTicks: number, stealTicks = 0): void {
    this.busyTicks += busyTicks;
    this.stealTicks += stealTicks;
    this.idleTicks += (ms / 10) * this.cpus - busyTicks - stealTicks;
  }

  readonly read = (path: string): string | null => {
    this.reads += 1;
    if (this.broken !== null) throw this.broken;
    const file = this.files.get(path);
    if (file !== undefined) return file;
    if (!path.startsWith('/proc/')) return null;
    const [, , first = '', second = '', tid, third] = path.split('/');
    switch (first) {
      case 'stat':
        return this.#stat();
      case 'meminfo':
        return 'MemTotal:  1000 kB\nMemAvailable:  400 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n';
      case 'uptime':
        return `${this.uptimeSeconds.toFixed(2)} 1.00\n`;
      case 'loadavg':
        return '1.50 1.00 0.50 2/200 4242\n';
      case 'diskstats':
        return ` 254 0 vda 1 0 ${this.busyTicks} 1 1 0 ${this.busyTicks * 2} 1 0 ${this.busyTicks} 1\n`;
    }
    if (path === '/proc/2/comm' && this.isInitialNamespace) return 'kthreadd\n';
    const pid = Number(first);
    const found = this.processes.get(pid);
    if (found === undefined) return null;
    if (second === 'task')
      return third === 'children' ? this.#children(pid, Number(tid) - pid) : null;
    return this.#file(pid, second, found);
  };

  readonly list = (path: string): string[] => {
    const below = [...this.files.keys()].filter((file) => file.startsWith(`${path}/`));
    if (below.length > 0) {
      return [...new Set(below.map((file) => file.slice(path.length + 1).split('/')[0] ?? ''))];
    }
    if (path === '/sys/block') return ['vda', 'loop0'];
    if (path === '/sys/block/vda/device') return ['model'];
    const pid = Number(/^\/proc\/(\d+)\/task$/.exec(path)?.[1]);
    const threads = this.processes.get(pid)?.threads ?? 0;
    return Array.from({ length: threads }, (_, at) => String(pid + at));
  };

  #file(pid: number, name: string, found: FakeProcess): string | null {
    const { threads = 1, startTime = 50, ownTicks = 0, reapedTicks = 0 } = found;
    switch (name) {
      case 'stat': {
        const times = `${ownTicks} 0 ${reapedTicks} 0`;
        return `${pid} (${found.name ?? 'a ) (b'}) S ${found.parent} 1 1 0 -1 0 0 0 0 0 ${times} 20 0 ${threads} 0 ${startTime} 0 0 0`;
      }
      case 'statm':
        return `9999 ${found.rssPages ?? 0} ${found.sharedPages ?? 0} 1 0 1 0\n`;
      case 'io':
        return found.read === undefined
          ? null
          : `rchar: 1\nread_bytes: ${found.read}\nwrite_bytes: ${found.written ?? 0}\n`;
      case 'cgroup':
        return `1:name=systemd:/\n0::${found.cgroup ?? '/'}\n`;
      case 'cmdline':
        return (found.argv ?? []).map((word) => `${word}\0`).join('');
      case 'comm':
        return `${found.name ?? 'x'}\n`;
      default:
        return null;
    }
  }

  #children(pid: number, thread: number): string {
    const found = [...this.processes].filter(
      ([, { parent, byThread = 0 }]) => parent === pid && byThread === thread,
    );
    return found.map(([child]) => `${child} `).join('');
  }

  #stat(): string {
    const { busyTicks, idleTicks, iowaitTicks, stealTicks } = this;
    const line = `${busyTicks} 0 0 ${idleTicks} ${iowaitTicks} 0 0 ${stealTicks} 0 0`;
    const each = Array.from({ length: this.cpus }, (_, at) => `cpu${at} 0 0 0 0`).join('\n');
    return `cpu  ${line}\n${each}\nintr 1 2\n`;
  }
}
