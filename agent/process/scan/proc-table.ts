/**
 * Reads /proc: who runs, whose child, in which session. Synchronous with one reused buffer,
 * which is six times faster than asynchronous; called when something has to be found or
 * killed, never periodically (I10).
 */
import { closeSync, openSync, readFileSync, readSync, readdirSync } from 'node:fs';

export interface ProcessRow {
  readonly pid: number;
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Clock ticks since boot; with the pid it names a process for good. */
  readonly startTime: number;
}

const buffer = Buffer.allocUnsafe(65_536);

/** All processes that are not dead (Z, X). */
export function readProcesses(): ProcessRow[] {
  const rows: ProcessRow[] = [];
  for (const name of readdirSync('/proc')) {
    const first = name.charCodeAt(0);
    if (first < 0x30 || first > 0x39) continue;
    const row = readProcess(Number(name));
    if (row !== null) rows.push(row);
  }
  return rows;
}

/** Null if there is none, or it is dead. */
export function readProcess(pid: number): ProcessRow | null {
  const stat = readInto(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // The name is in parentheses and may contain anything, spaces and parentheses included.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields[0] ?? 'X';
  if (state === 'Z' || state === 'X') return null;
  return {
    pid,
    state,
    parent: Number(fields[1]),
    group: Number(fields[2]),
    session: Number(fields[3]),
    startTime: Number(fields[19]),
  };
}

/** Whether the process was started with `name=value` in its environment, as far as one may look. */
export function hasVariable(pid: number, name: string, value: string): boolean {
  const environ = readInto(`/proc/${pid}/environ`);
  return environ !== null && `\0${environ}`.includes(`\0${name}=${value}\0`);
}

export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
}

function readInto(path: string): string | null {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return null; // gone, or another user's
  }
  try {
    let text = '';
    for (;;) {
      const size = readSync(fd, buffer, 0, buffer.length, null);
      if (size === 0) return text;
      text += buffer.toString('latin1', 0, size);
      if (size < 4096) return text;
    }
  } catch {
    return null;
  } finally {
    closeSync(fd);
  }
}
