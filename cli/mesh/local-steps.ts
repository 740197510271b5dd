/**
 * Processes of attempts on this host, found without asking anybody: by the environment an agent
 * gives them, which names its state folder, or by their working folder. A guess for the better: a
 * process that has dropped both is not seen. Nothing is seen where there is no /proc.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export function attemptProcesses(stateDir: string): number[] {
  return pids().filter((pid) => pid !== process.pid && belongs(pid, `${stateDir}/attempts/`));
}

function pids(): number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

function belongs(pid: number, attempts: string): boolean {
  return (
    readOr(() => readFileSync(`/proc/${pid}/environ`, 'latin1')).includes(`=${attempts}`) ||
    readOr(() => readlinkSync(`/proc/${pid}/cwd`)).startsWith(attempts)
  );
}

/** '' for a process that is gone, or somebody else's. */
function readOr(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
