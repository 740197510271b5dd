/** Whether an agent has what a task needs: ever, and now. What it lacks has a name, for `explain`. Pure. */
import { gpuCountOf, type Needs } from '#protocol/messages/attempt/attempt-spec.ts';
import { aheadFactor } from './ahead-policy.ts';
import { usageOf, type AgentCapacity, type SchedulerState } from './scheduler-state.ts';

/** More than there is at all. */
export type Misfit = 'slots' | 'cpus' | 'gpus';

/**
 * - `alone`: it needs the host to itself, and something runs there.
 * - `taken`: an attempt there has the host to itself.
 * - the others: others hold them; of GPUs, also a fence.
 */
export type Lack = 'alone' | 'taken' | 'slots' | 'cpus' | 'gpus';

/** A GPU that failed or is fenced may come back, so it counts here. */
export function misfit(agent: AgentCapacity, needs: Needs): Misfit | null {
  if (needs.slots > agent.slots) return 'slots';
  if (needs.cpus > agent.cpus) return 'cpus';
  return gpuCountOf(needs) > agent.gpus.most ? 'gpus' : null;
}

/** What keeps it from the agent now; null for nothing. `queued`: it would wait there for its turn. */
export function lackOf(
  state: SchedulerState,
  input: { readonly agent: AgentCapacity; readonly needs: Needs; readonly queued: boolean },
): Lack | null {
  const { agent, needs, queued } = input;
  const mine = usageOf(state, agent.id);
  let gpusHeld = mine.gpus;
  for (const other of state.agentsOn.get(agent.hostId) ?? []) {
    if (other === agent.id) continue;
    const usage = state.usage.get(other);
    if (usage === undefined || usage.attempts === 0) continue;
    if (needs.exclusive) return 'alone';
    if (usage.exclusive > 0) return 'taken';
    gpusHeld += usage.gpus;
  }
  const factor = queued ? aheadFactor(mine.paceMs) : 1;
  if (!hasGpus(gpuCountOf(needs), { gpusHeld, usable: agent.gpus.usable * factor, queued }))
    return 'gpus';
  if (needs.exclusive) {
    if (mine.attempts !== mine.exclusive) return 'alone';
    return mine.exclusive < factor ? null : 'taken';
  }
  if (mine.exclusive > 0) return 'taken';
  if (mine.slots + needs.slots > agent.slots * factor) return 'slots';
  return mine.cpus + needs.cpus > agent.cpus * factor ? 'cpus' : null;
}

/**
 * Agents of one host share its GPUs. Where GPUs are fenced, one attempt goes there to wait for them and
 * to say so.
 */
function hasGpus(
  count: number,
  room: { readonly gpusHeld: number; readonly usable: number; readonly queued: boolean },
): boolean {
  if (count === 0 || room.gpusHeld + count <= room.usable) return true;
  return room.queued && room.gpusHeld === 0;
}
