/** What the scheduler knows: queues by need, what is handed out, who shares a machine. */
import type { Needs } from '#protocol/messages/attempt/attempt-spec.ts';
import type { GpuCounts } from '#protocol/messages/agent/gpu-counts.ts';
import type { RunQueue } from './run-queue.ts';

export interface AgentCapacity {
  readonly id: string;
  readonly hostId: string;
  readonly slots: number;
  readonly cpus: number;
  readonly gpus: GpuCounts;
}

export interface Usage {
  slots: number;
  cpus: number;
  gpus: number;
  attempts: number;
  exclusive: number;
  /** How long its attempts hold their slots of late; null before the first has ended. */
  paceMs: number | null;
}

/** Runs whose next tasks have the same priority and needs. */
export interface NeedClass {
  readonly key: string;
  readonly priority: number;
  readonly needs: Needs;
  /** Runs that could use a place now, earliest first. */
  readonly eligible: RunQueue[];
  /** Its runs, eligible or not: with the last it goes. */
  runs: number;
}

export interface ScheduledRun {
  readonly queue: RunQueue;
  /** Another when its next task has another priority. */
  of: NeedClass;
}

export interface SchedulerState {
  readonly runs: Map<string, ScheduledRun>;
  readonly classes: Map<string, NeedClass>;
  readonly usage: Map<string, Usage>;
  /** Host id of each agent that was ever offered, and the agents of each host id. */
  readonly hostOf: Map<string, string>;
  readonly agentsOn: Map<string, Set<string>>;
}

export function createScheduler(): SchedulerState {
  return {
    runs: new Map(),
    classes: new Map(),
    usage: new Map(),
    hostOf: new Map(),
    agentsOn: new Map(),
  };
}

export function usageOf(state: SchedulerState, agent: string): Usage {
  const known = state.usage.get(agent);
  if (known !== undefined) return known;
  const fresh: Usage = { slots: 0, cpus: 0, gpus: 0, attempts: 0, exclusive: 0, paceMs: null };
  state.usage.set(agent, fresh);
  return fresh;
}
