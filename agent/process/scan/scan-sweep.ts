/**
 * Finds and kills what belongs to a step by scanning /proc: the rung of last resort, and what
 * is done for the orphans of a meshrun that was killed.
 *
 * A process belongs to the step if it carries the step's cookie, is in its main process's
 * session or group, or descends from one that does. It cannot see a daemon that cleared its
 * environment, and it races with forks: two empty scans in a row are the best it can do, and
 * prove nothing (design, section 5). What it kills it froze before, so that it cannot fork on.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { hasVariable, readProcesses, type ProcessRow } from './proc-table.ts';
import { COOKIE_VARIABLE } from '../meshrun-client/start-frame.ts';
import type { Started } from '../record/step-record.ts';

export interface SweepTarget {
  /** An environment variable that only the step's processes have. */
  readonly mark: { readonly name: string; readonly value: string };
  /** Its main process, if known. */
  readonly main: { readonly pid: number; readonly startTime: number } | null;
  /** Pids never to touch: helpers of ours that share the session. */
  readonly spare?: ReadonlySet<number>;
}

/** A target of which the main process is known. */
export interface NamedTarget extends SweepTarget {
  readonly main: { readonly pid: number; readonly startTime: number };
}

export interface Swept {
  /** Distinct processes signalled. */
  readonly processes: number;
  readonly waves: number;
  readonly survivors: readonly number[];
}

const EMPTY_SCANS = 2;
const PATIENCE_WAVES = 60;
const SLOWEST_WAVE_MS = 100;

/** What to look for, of a step whose record says who it is. */
export function targetOf({ cookie, pid, startTime }: Started): NamedTarget {
  return { mark: { name: COOKIE_VARIABLE, value: cookie }, main: { pid, startTime } };
}

/** The step's processes as far as a scan shows them. */
export function findProcesses(target: SweepTarget): number[] {
  const rows = readProcesses();
  const known = belongs(rows, target);
  const children = byParent(rows);
  const queue = rows.filter((row) => known(row));
  const found = new Set(queue.map((row) => row.pid));
  for (const { pid } of queue) {
    for (const child of children.get(pid) ?? []) {
      if (found.has(child.pid) || isSpared(child.pid, target)) continue;
      found.add(child.pid);
      queue.push(child);
    }
  }
  return [...found];
}

/** Sends one signal, then CONT, to all that is found; says how many. */
export function signalProcesses(target: SweepTarget, signal: number): number {
  const pids = findProcesses(target);
  for (const pid of pids) send(pid, signal);
  for (const pid of pids) send(pid, 'SIGCONT');
  return pids.length;
}

/** Kills until two scans find nothing, or patience ends. Never rejects. */
export async function killProcesses(target: SweepTarget): Promise<Swept> {
  const all = new Set<number>();
  let empty = 0;
  let waves = 0;
  for (let round = 0; round < PATIENCE_WAVES; round++) {
    const pids = findProcesses(target);
    if (pids.length === 0) {
      empty += 1;
      if (empty === EMPTY_SCANS) return { processes: all.size, waves, survivors: [] };
    } else {
      empty = 0;
      waves += 1;
      for (const pid of pids) send(pid, 'SIGSTOP');
      for (const pid of findProcesses(target)) {
        all.add(pid);
        send(pid, 'SIGKILL');
      }
    }
    await sleep(Math.min(SLOWEST_WAVE_MS, 2 + round * 4));
  }
  return { processes: all.size, waves, survivors: findProcesses(target).slice(0, 64) };
}

function byParent(rows: readonly ProcessRow[]): Map<number, ProcessRow[]> {
  const children = new Map<number, ProcessRow[]>();
  for (const row of rows) {
    const siblings = children.get(row.parent);
    if (siblings === undefined) children.set(row.parent, [row]);
    else siblings.push(row);
  }
  return children;
}

function belongs(rows: readonly ProcessRow[], target: SweepTarget): (row: ProcessRow) => boolean {
  const { main, mark } = target;
  // Another process with that pid means that its session and group are another's too.
  const reused = rows.some((row) => row.pid === main?.pid && row.startTime !== main.startTime);
  return (row) => {
    if (isSpared(row.pid, target) || row.startTime < (main?.startTime ?? 0)) return false;
    if (main !== null && !reused && (row.session === main.pid || row.group === main.pid)) {
      return true;
    }
    return hasVariable(row.pid, mark.name, mark.value);
  };
}

function isSpared(pid: number, target: SweepTarget): boolean {
  return pid <= 1 || pid === process.pid || target.spare?.has(pid) === true;
}

function send(pid: number, signal: number | NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone already, or not ours to signal: the next scan tells.
  }
}
