/**
 * A host for one rank of a gang, in the place of one that is lost. Pure.
 *
 * 1. It goes before everything that waits: the gang holds its other hosts meanwhile.
 * 2. Where none has room now the best is kept for it: nothing new begins there that would take its room.
 */
import { couldRun, lackOf, type Lack } from './fit-policy.ts';
import { laneAt } from './scheduler-reducer.ts';
import {
  usageOf,
  type AgentCapacity,
  type KeptHost,
  type NeedClass,
  type SchedulerState,
} from './scheduler-state.ts';

export interface RankWait {
  readonly run: string;
  readonly index: number;
  /** Agents that have, or had, a rank of it: none of them, nor another on their hosts. */
  readonly agents: ReadonlySet<string>;
}

export interface RankHost {
  readonly agent: string;
  /** Else it is the one to be kept. */
  readonly isReady: boolean;
  readonly kept: KeptHost;
}

/** Null where no host that takes work could ever run it. */
export function hostForRank(
  state: SchedulerState,
  wait: RankWait,
  everyone: readonly AgentCapacity[],
): RankHost | null {
  const scheduled = state.runs.get(wait.run);
  if (scheduled === undefined) return null;
  const { of } = laneAt(scheduled, wait.index);
  const hosts = new Set([...wait.agents].map((agent) => state.hostOf.get(agent)));
  const isFree = ({ id, hostId }: AgentCapacity): boolean =>
    !wait.agents.has(id) && !hosts.has(hostId) && !isKeptForOther(state, wait, id);
  const known = state.kept.find((kept) => isOf(kept, wait))?.agent;
  const values = everyone
    .filter((agent) => couldRun(agent, of) && isFree(agent))
    .map((agent) => ({ agent, isReady: rankLack(state, agent, of) === null }))
    .sort((a, b) => {
      if (a.isReady !== b.isReady) return a.isReady ? -1 : 1;
      if (a.agent.id === known || b.agent.id === known) return a.agent.id === known ? -1 : 1;
      return loadOf(state, a.agent) - loadOf(state, b.agent) || (a.agent.id < b.agent.id ? -1 : 1);
    });
  const [best] = values;
  if (best === undefined) return null;
  const { id: agent, hostId: host } = best.agent;
  const { run, index } = wait;
  return { agent, isReady: best.isReady, kept: { of, run, index, agent, host } };
}

/** Its locks are the gang's, and held already. */
export function rankLack(
  state: SchedulerState,
  agent: AgentCapacity,
  { needs: { locks: _, ...needs }, tags }: Pick<NeedClass, 'needs' | 'tags'>,
): Lack | null {
  return lackOf(state, { agent, queued: false }, { needs, tags });
}

function isOf(kept: KeptHost, { run, index }: RankWait): boolean {
  return kept.run === run && kept.index === index;
}

function isKeptForOther({ kept }: SchedulerState, wait: RankWait, agent: string): boolean {
  return kept.some((one) => one.agent === agent && !isOf(one, wait));
}

function loadOf(state: SchedulerState, { id, slots }: AgentCapacity): number {
  return usageOf(state, id).attempts / slots;
}
