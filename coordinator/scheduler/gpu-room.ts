/**
 * Whether a host's GPUs will do for what its agents have in hand and for more. The agents choose which
 * GPU goes to whom; here it is only counted that a choice exists. Pure.
 */
import { isWell, isPlace } from '#protocol/messages/agent/gpu-counts.ts';
import { isChoosy, matchesGpu } from '#protocol/messages/agent/gpu-match.ts';
import type { Gpu } from '#protocol/messages/agent/hardware.ts';
import type { GpuNeeds } from '#protocol/messages/attempt/needs.ts';
import type { AgentCapacity, SchedulerState } from './scheduler-state.ts';

interface GpuRoom {
  readonly agent: AgentCapacity;
  /** How many attempts a GPU may have in hand, one after the other. */
  readonly factor: number;
  /**
   * It would wait there: where GPUs are fenced, one attempt goes there to wait for them and to say so.
   */
  readonly queued: boolean;
}

interface Wish {
  readonly needs: GpuNeeds | null;
  readonly count: number;
}

/** Beside all that is in hand on the host, since its agents share its GPUs. */
export function hasGpus(
  state: SchedulerState,
  { agent, factor, queued }: GpuRoom,
  needs: GpuNeeds | undefined,
): boolean {
  if (needs === undefined || needs.count === 0) return true;
  const { held, wishes } = inHand(state, agent);
  if (queued && held === 0) return true;
  const { count } = needs;
  if (wishes.length === 0 && !isChoosy(needs)) return held + count <= agent.counts.usable * factor;
  return canServe(agent.gpus, [...allOf(held, wishes), { needs, count }], factor);
}

/** Whether the second takes none that the first waits for: there are enough for both, or it wants others. */
export function areGpusLeft(
  state: SchedulerState,
  { agent, factor }: Omit<GpuRoom, 'queued'>,
  [first, second]: readonly [GpuNeeds | undefined, GpuNeeds | undefined],
): boolean {
  if (first === undefined || second === undefined) return true;
  if (first.count === 0 || second.count === 0) return true;
  const { held, wishes } = inHand(state, agent);
  if (wishes.length === 0 && !isChoosy(first) && !isChoosy(second))
    return held + first.count + second.count <= agent.counts.usable * factor;
  const before = [...allOf(held, wishes), { needs: second, count: second.count }];
  const both = [...before, { needs: first, count: first.count }];
  if (canServe(agent.gpus, both, factor)) return true;
  return areDisjoint(agent, [first, second]) && canServe(agent.gpus, before, factor);
}

function allOf(held: number, wishes: readonly Wish[]): Wish[] {
  const plain = held - wishes.reduce((sum, wish) => sum + wish.count, 0);
  return [...wishes, { needs: null, count: plain }];
}

function areDisjoint({ gpus }: AgentCapacity, asked: readonly GpuNeeds[]): boolean {
  return !gpus.some((gpu) => isPlace(gpu) && asked.every((needs) => matchesGpu(gpu, needs)));
}

/** What the agents of its host have in hand. */
function inHand(
  state: SchedulerState,
  { id, hostId }: AgentCapacity,
): { held: number; wishes: Wish[] } {
  let held = 0;
  const wishes: Wish[] = [];
  for (const agent of state.agentsOn.get(hostId) ?? [id]) {
    const usage = state.usage.get(agent);
    if (usage === undefined) continue;
    held += usage.gpus;
    wishes.push(...usage.wishes.values());
  }
  return { held, wishes };
}

/** Whether each wish can have GPUs that match it, none of them more than `factor` times. */
function canServe(gpus: readonly Gpu[], wishes: readonly Wish[], factor: number): boolean {
  const usable = gpus.filter((gpu) => isPlace(gpu) && isWell(gpu) && gpu.fence === undefined);
  /** Of each GPU the wishes that have it. */
  const given = usable.map((): number[] => []);
  const fitting = wishes.map(({ needs }) =>
    usable.flatMap((gpu, at) => (needs === null || matchesGpu(gpu, needs) ? [at] : [])),
  );
  const give = (wish: number, tried: Set<number>): boolean => {
    for (const at of fitting[wish] ?? []) {
      const has = given[at];
      if (has === undefined || tried.has(at)) continue;
      tried.add(at);
      if (has.length < factor) {
        has.push(wish);
        return true;
      }
      const moved = has.findIndex((other) => give(other, tried));
      if (moved < 0) continue;
      has[moved] = wish;
      return true;
    }
    return false;
  };
  return wishes.every(({ count }, wish) => {
    for (let left = count; left > 0; left -= 1) if (!give(wish, new Set())) return false;
    return true;
  });
}
