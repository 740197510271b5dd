/**
 * Fair share: of runs of the same priority, the one that has least in hand is served first. In hand are the
 * slots of its attempts, or their GPUs where those are more; an exclusive one has all slots of its agent. Pure.
 */
import { gpuCountOf } from '#protocol/messages/attempt/needs.ts';
import type {
  AgentCapacity,
  Reservation,
  ScheduledLane,
  ScheduledRun,
  SchedulerState,
} from './scheduler-state.ts';

/** Of two runs of the same priority; below 0 where the first is served first. */
export function turnOf(a: ScheduledRun, b: ScheduledRun): number {
  const awaited = Number(b.hasReserved) - Number(a.hasReserved);
  return a.inHand - b.inHand || awaited || a.queue.order - b.queue.order;
}

/**
 * Hosts are kept for this, and no more for what they were before. Of runs with as much in hand its run is served
 * first: else an earlier one, whose attempts end one by one, would have each turn.
 */
export function reserve(state: SchedulerState, reserved: Reservation | null): void {
  const [before, after] = [state.reserved?.run, reserved?.run];
  state.reserved = reserved;
  if (before === after) return;
  for (const id of [before, after]) {
    const run = id === undefined ? undefined : state.runs.get(id);
    if (run === undefined) continue;
    run.hasReserved = id === after;
    reviewShare(state, run);
  }
}

/** An attempt of the lane is with the agent (1), or no longer (-1). */
export function takeInHand(
  state: SchedulerState,
  { run, lane: { needs } }: ScheduledLane,
  { agent, sign }: { readonly agent: string; readonly sign: 1 | -1 },
): void {
  if (needs.exclusive) {
    run.alone.set(agent, (run.alone.get(agent) ?? 0) + sign);
    if (run.alone.get(agent) === 0) run.alone.delete(agent);
    run.inHand += sign * (state.slotsOf.get(agent) ?? 0);
  } else run.inHand += sign * Math.max(needs.slots, gpuCountOf(needs));
  reviewShare(state, run);
}

/** The agent says, perhaps anew, how many slots it has. */
export function resize(
  state: SchedulerState,
  { id, slots }: Pick<AgentCapacity, 'id' | 'slots'>,
): void {
  const more = slots - (state.slotsOf.get(id) ?? 0);
  if (more === 0) return;
  state.slotsOf.set(id, slots);
  for (const run of state.runs.values()) {
    const attempts = run.alone.get(id);
    if (attempts === undefined) continue;
    run.inHand += attempts * more;
    reviewShare(state, run);
  }
}

/** Where its lanes stand among those of other runs. */
function reviewShare({ runs }: SchedulerState, run: ScheduledRun): void {
  if (runs.size < 2) return;
  for (const lane of run.lanes) {
    const { eligible } = lane.of;
    const at = eligible.length < 2 ? -1 : eligible.indexOf(lane);
    if (at < 0) continue;
    eligible.splice(at, 1);
    insertInTurn(eligible, lane);
  }
}

export function insertInTurn(eligible: ScheduledLane[], lane: ScheduledLane): void {
  const before = eligible.findIndex((other) => turnOf(lane.run, other.run) < 0);
  eligible.splice(before === -1 ? eligible.length : before, 0, lane);
}
