/** What the scheduler knows: queues by need, what is handed out, who shares a machine. */
import type { HostCapacity } from '#protocol/messages/agent/fit.ts';
import type { Labels } from '#protocol/messages/agent/labels.ts';
import type { Tags } from '#protocol/messages/attempt/apart.ts';
import type { GpuNeeds, Needs } from '#protocol/messages/attempt/needs.ts';
import type { Lane, RunQueue } from './run-queue.ts';
import type { LockTable } from './lock-table.ts';

export interface AgentCapacity extends HostCapacity {
  readonly id: string;
  readonly hostId: string;
}

export interface Usage {
  slots: number;
  cpus: number;
  memoryMiB: number;
  gpus: number;
  /** Of `gpus`, those that must be of some kind: by what is said of them. */
  readonly wishes: Map<string, { readonly needs: GpuNeeds; count: number }>;
  attempts: number;
  exclusive: number;
  /** Tags of its attempts, and those that they avoid, with their numbers. */
  readonly has: Map<string, number>;
  readonly avoids: Map<string, number>;
  /** How long its attempts hold their slots of late; null before the first has ended. */
  paceMs: number | null;
}

/** Lanes whose next tasks have the same priority and needs. */
export interface NeedClass {
  readonly key: string;
  readonly priority: number;
  readonly needs: Needs;
  /** Of all its lanes. */
  readonly tags: Tags | null;
  readonly suite: string;
  readonly labels: Labels;
  /** Lanes that could use a place now, in the turn of their runs. */
  readonly eligible: ScheduledLane[];
  /** Its lanes, eligible or not: with the last it goes. */
  lanes: number;
}

export interface ScheduledLane {
  readonly lane: Lane;
  readonly run: ScheduledRun;
  /** The same text for lanes of the same class, but for the priority. */
  key: string;
  readonly tags: Tags | null;
  /** Another when its next task has another priority. */
  of: NeedClass;
}

export interface ScheduledRun {
  readonly queue: RunQueue;
  readonly suite: string;
  readonly labels: Labels;
  /** Its attempts may have to make room for what has a higher priority. */
  readonly isPreemptible: boolean;
  /** In the order of the queue's lanes. */
  readonly lanes: ScheduledLane[];
  /** As of the queue when its lanes were looked at last. */
  isOpen: boolean;
  /** Slots that its attempts hold, or GPUs where those are more; of an exclusive one all slots of its agent. */
  inHand: number;
  /** When its last gang was placed, as the number of gangs until then; 0: none was. */
  lastGang: number;
  /** Hosts are kept for one of its gangs. */
  hasReserved: boolean;
  /** Its exclusive attempts, by agent. */
  readonly alone: Map<string, number>;
  /** By index: attempts in hand of a task on several hosts, which counts, and holds its locks, once. */
  readonly ranks: Map<number, number>;
  /** What its attempts hold of locks; of those that have left survivors, until these are gone. */
  readonly heldLocks: Map<string, number>;
}

/** An attempt on one host that is with its agent, as the scheduler counts it. */
export interface HandedOut {
  readonly run: string;
  readonly index: number;
  readonly agent: string;
  readonly lane: ScheduledLane;
  /** Its lane's key when it was handed out: those of one group need the same. */
  readonly group: string;
  /** Monotonic, when its start was stored; Infinity before, -Infinity where a leader before has handed it out. */
  sinceMs: number;
  /** When its first step began, as `sinceMs`; null before. While the streams are replayed by their own clock. */
  begunMs: number | null;
  /** Since when what it does would be lost with it, as `begunMs`: since its newest checkpoint. */
  keptMs: number;
  /** Its agent was asked to give it back. */
  isAsked: boolean;
  /** It is being ended for what has a higher priority. */
  isEnding: boolean;
}

/** Hosts that are kept for a gang which waits for more (gang-policy.ts). */
export interface Reservation {
  readonly of: NeedClass;
  readonly run: string;
  readonly index: number;
  readonly agents: ReadonlySet<string>;
  readonly hosts: ReadonlySet<string>;
}

/** A host that is kept for a rank whose own is lost (replace-policy.ts). */
export interface KeptHost {
  readonly of: NeedClass;
  readonly run: string;
  readonly index: number;
  readonly agent: string;
  readonly host: string;
}

export interface SchedulerState {
  readonly runs: Map<string, ScheduledRun>;
  readonly classes: Map<string, NeedClass>;
  readonly usage: Map<string, Usage>;
  /** Host id of each agent that was ever offered, and the agents of each host id. */
  readonly hostOf: Map<string, string>;
  readonly agentsOn: Map<string, Set<string>>;
  /** Of each agent that was ever offered, its slots. */
  readonly slotsOf: Map<string, number>;
  readonly locks: LockTable;
  /** By agent, then by run and index. */
  readonly handedOut: Map<string, Map<string, HandedOut>>;
  /** Those that have not begun and were not asked for, by group, in the order in which they were handed out. */
  readonly unbegun: Map<string, Set<HandedOut>>;
  /** Of runs whose attempts may have to make room for others, by run. */
  readonly preemptible: Map<string, Set<HandedOut>>;
  /** What may end others when these have run for long enough is not handed out ahead. */
  readonly saved: Set<NeedClass>;
  reserved: Reservation | null;
  /** Placed so far by this leader. */
  gangs: number;
  kept: readonly KeptHost[];
  /** An agent says what it accepts: classes are then by suite, too. */
  isSelective: boolean;
}

export function createScheduler(): SchedulerState {
  return {
    runs: new Map(),
    classes: new Map(),
    usage: new Map(),
    hostOf: new Map(),
    agentsOn: new Map(),
    slotsOf: new Map(),
    locks: new Map(),
    handedOut: new Map(),
    unbegun: new Map(),
    preemptible: new Map(),
    saved: new Set(),
    reserved: null,
    gangs: 0,
    kept: [],
    isSelective: false,
  };
}

export function usageOf(state: SchedulerState, agent: string): Usage {
  const known = state.usage.get(agent);
  if (known !== undefined) return known;
  const fresh: Usage = {
    slots: 0,
    cpus: 0,
    memoryMiB: 0,
    gpus: 0,
    wishes: new Map(),
    attempts: 0,
    exclusive: 0,
    has: new Map(),
    avoids: new Map(),
    paceMs: null,
  };
  state.usage.set(agent, fresh);
  return fresh;
}
