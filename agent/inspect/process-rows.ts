/** What processes do, from two looks at /proc. Pure but for the reading of files it is lent. */
import type { InspectedProcess } from '#protocol/messages/agent/agent-api.ts';
import {
  nameIn,
  parseStat,
  parseStatm,
  parseUptime,
  TICKS_PER_SECOND,
  type ProcessStat,
} from '../telemetry/proc-text.ts';
import type { ProcFiles } from '../telemetry/proc-reader.ts';

const COMMAND_CHARS = 400;

export interface Look {
  readonly atMs: number;
  readonly stats: ReadonlyMap<number, ProcessStat>;
}

/** Of the pids that live. */
export function lookAt({ read }: ProcFiles, pids: Iterable<number>, atMs: number): Look {
  const stats = new Map<number, ProcessStat>();
  for (const pid of pids) {
    const stat = parseStat(read(`/proc/${pid}/stat`) ?? '');
    if (stat !== null) stats.set(pid, stat);
  }
  return { atMs, stats };
}

/** The processes of `after`, by pid; what `before` saw of the same ones gives their share of a CPU. */
export function processRows(
  files: ProcFiles,
  looks: { readonly before: Look; readonly after: Look },
  stepOf: (pid: number) => string,
): InspectedProcess[] {
  const { before, after } = looks;
  const uptimeMs = (parseUptime(files.read('/proc/uptime') ?? '') ?? 0) * 1_000;
  const spanMs = after.atMs - before.atMs;
  const rows: InspectedProcess[] = [];
  for (const [pid, stat] of after.stats) {
    const was = before.stats.get(pid);
    const isSame = was?.startTime === stat.startTime && spanMs > 0;
    const usedMs = isSame ? ((stat.ticks - was.ticks) / TICKS_PER_SECOND) * 1_000 : 0;
    rows.push({
      pid,
      parent: stat.parent,
      step: stepOf(pid),
      state: stat.state,
      threads: stat.threads,
      cpuSeconds: stat.ticks / TICKS_PER_SECOND,
      cpuPercent: isSame ? Math.max(0, Math.round((usedMs / spanMs) * 1_000) / 10) : null,
      rssBytes: rssOf(files, pid),
      elapsedMs: Math.max(0, Math.round(uptimeMs - (stat.startTime / TICKS_PER_SECOND) * 1_000)),
      command: commandOf(files, pid),
    });
  }
  return rows.sort((a, b) => a.pid - b.pid);
}

function rssOf({ read, pageBytes }: ProcFiles, pid: number): number {
  return (parseStatm(read(`/proc/${pid}/statm`) ?? '')?.resident ?? 0) * pageBytes;
}

/** A process that has none (it is dead, or the kernel's) is told by its name. */
function commandOf({ read }: ProcFiles, pid: number): string {
  const words = utf8(read(`/proc/${pid}/cmdline`) ?? '')
    .replace(/\0+$/, '')
    .replaceAll('\0', ' ');
  if (words.trim() === '') return `[${utf8(nameIn(read(`/proc/${pid}/stat`) ?? ''))}]`;
  return words.length <= COMMAND_CHARS ? words : `${words.slice(0, COMMAND_CHARS - 1)}…`;
}

/** Files of /proc are read a byte a character. */
function utf8(text: string): string {
  return Buffer.from(text, 'latin1').toString('utf8');
}
