/** A request to bind the agent and its helpers to CPUs, as meshrun/spawner.h describes it. Pure. */
import { formatCpuList } from '#protocol/messages/agent/cpu-list.ts';
import { frameOf } from './start-frame.ts';

/** A process, so that no later one of its pid is meant. */
export interface Process {
  readonly pid: number;
  /** Clock ticks since boot: field 22 of /proc/PID/stat. */
  readonly startTime: number;
}

/** The spawner, and what it made, need not be named. */
export function bindFrame(
  id: number,
  cpus: readonly number[],
  processes: readonly Process[],
): Buffer {
  const named = processes.map(({ pid, startTime }) => `${pid}:${startTime}`);
  return frameOf(id, [`--bind=${formatCpuList(cpus)}`, ...named], []);
}
