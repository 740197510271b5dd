/**
 * Which process is this? A pid alone may have been given to another process, so one is named by
 * pid, start time and boot. Linux reads /proc; elsewhere `ps` answers.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessIdentity {
  readonly pid: number;
  /** Opaque: equal for the same process, different for a later one of the same pid. */
  readonly startTime: string;
}

/** The identity of a live process, or null if there is none (a zombie is dead). */
export function identityOf(pid: number): ProcessIdentity | null {
  const startTime = process.platform === 'linux' ? linuxStart(pid) : psField(pid, 'lstart=');
  return startTime === null ? null : { pid, startTime };
}

export function isAlive(identity: ProcessIdentity): boolean {
  return identityOf(identity.pid)?.startTime === identity.startTime;
}

/** The command line of a live process, arguments joined by spaces; '' if there is none. */
export function commandLineOf(pid: number): string {
  if (process.platform !== 'linux') return psField(pid, 'command=') ?? '';
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

/** Pids of live processes whose command line contains `text`. */
export function pidsByCommandLine(text: string): number[] {
  if (process.platform !== 'linux') {
    const lines = ps(['-axo', 'pid=,command=']).split('\n');
    return lines.filter((line) => line.includes(text)).map((line) => Number.parseInt(line, 10));
  }
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && commandLineOf(pid).includes(text));
}

/** Changes with each boot of the host, where that can be known; else ''. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

function linuxStart(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command name may hold spaces and parentheses: fields start after the last `)`.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, startTime] = [fields[0], fields[19]];
    if (state === 'Z' || state === 'X' || startTime === undefined) return null;
    return `${bootId()}:${startTime}`;
  } catch {
    return null;
  }
}

function psField(pid: number, field: string): string | null {
  const text = ps(['-o', field, '-p', String(pid)]).trim();
  return text === '' ? null : text;
}

function ps(args: string[]): string {
  try {
    return execFileSync('ps', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return '';
  }
}
