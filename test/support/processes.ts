/** What runs on this machine, read from /proc by the test itself: never from what benchmesh says. */
import { readdirSync, readFileSync } from 'node:fs';

function read(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null; // gone in between, or not ours to read
  }
}

function pids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** State letter of /proc/pid/stat; null when there is no such process. */
function stateOf(pid: number): string | null {
  const stat = read(`/proc/${pid}/stat`);
  return stat === null
    ? null
    : stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) || null;
}

/** Alive: there, and not a zombie. */
export function isRunning(pid: number): boolean {
  const state = stateOf(pid);
  return state !== null && state !== 'Z' && state !== 'X';
}

/** Live processes with `mark`, and `also`, each as one whole argument of their command line. */
export function processesMarked(mark: string, also = mark): number[] {
  // Every command line has an empty one after its last: what is found may be about to be killed.
  if (mark.length < 8) throw new Error(`"${mark}" does not mark the processes of one test`);
  return pids().filter((pid) => {
    const words = (read(`/proc/${pid}/cmdline`) ?? '').split('\0');
    return words.includes(mark) && words.includes(also) && isRunning(pid);
  });
}

/** Live processes whose initial environment has `name=value`; never the caller. */
export function processesWithEnvironment(name: string, value: string): number[] {
  const entry = `${name}=${value}`;
  return pids().filter(
    (pid) =>
      pid !== process.pid &&
      (read(`/proc/${pid}/environ`) ?? '').split('\0').includes(entry) &&
      isRunning(pid),
  );
}

/**
 * Of those, the ones with this in their command line: what a shell waits with comes and goes, and has, until it
 * is executed, the command line of its shell.
 */
export function commandsWithEnvironment(name: string, value: string, text: string): number[] {
  return processesWithEnvironment(name, value).filter((pid) => {
    const command = commandOf(pid);
    return command.includes(text) && command !== commandOf(parentOf(pid));
  });
}

function commandOf(pid: number): string {
  return (read(`/proc/${pid}/cmdline`) ?? '').replaceAll('\0', ' ');
}

export function parentOf(pid: number): number {
  const stat = read(`/proc/${pid}/stat`) ?? '';
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? 0);
}

/** Live children of a process. */
export function childrenOf(parent: number): number[] {
  return pids().filter((pid) => parentOf(pid) === parent && isRunning(pid));
}

/** Its children that have ended and that it has not waited for. */
export function zombieChildrenOf(parent: number): number[] {
  return pids().filter((pid) => parentOf(pid) === parent && stateOf(pid) === 'Z');
}

/** Resident bytes of a process. */
export function residentBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`) ?? '');
  return Number(match?.[1] ?? 0) * 1024;
}

/** The most it has ever had resident. */
export function peakResidentBytes(pid: number): number {
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`) ?? '');
  return Number(match?.[1] ?? 0) * 1024;
}

/** CPU seconds a process has used, its reaped children not counted. */
export function cpuSeconds(pid: number): number {
  const stat = read(`/proc/${pid}/stat`) ?? '';
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / 100;
}

/** Bytes a process has written so far, to whatever. */
export function writtenBytes(pid: number): number {
  return Number(/^wchar: (\d+)$/m.exec(read(`/proc/${pid}/io`) ?? '')?.[1] ?? 0);
}
