/**
 * What may start here before an attempt that waits for its place: what takes nothing that it waits for, so
 * that this is only ever given back. Pure.
 */
import { isPlace } from '#protocol/messages/agent/gpu-counts.ts';
import { matchesGpu } from '#protocol/messages/agent/gpu-match.ts';
import { chooseGpus, freeGpus } from '../gpus/gpu-policy.ts';
import type { Held } from './capacity-policy.ts';
import type { HostState, LiveAttempt } from './host-state.ts';

interface Pair {
  readonly waits: Pick<LiveAttempt, 'needs'>;
  readonly by: Pick<LiveAttempt, 'needs'>;
}

/** Of all that both need there is room for both. */
export function mayOvertake(state: HostState, held: Held, { waits, by }: Pair): boolean {
  const [first, second] = [waits.needs, by.needs];
  if (first.exclusive || second.exclusive) return false;
  const isRoom = (taken: number, [a = 0, b = 0]: (number | undefined)[], has: number): boolean =>
    a === 0 || b === 0 || taken + a + b <= has;
  return (
    isRoom(held.slots.size, [first.slots, second.slots], state.slots) &&
    isRoom(held.cpus, [first.cpus, second.cpus], state.cpus) &&
    isRoom(held.memoryMiB, [first.memoryMiB, second.memoryMiB], state.memoryMiB) &&
    areGpusLeft(state, held, { waits, by })
  );
}

/** There are enough for both, or they want others. */
function areGpusLeft({ gpus: { gpus } }: HostState, held: Held, { waits, by }: Pair): boolean {
  const [first, second] = [waits.needs.gpus, by.needs.gpus];
  if (first === undefined || second === undefined) return true;
  if (first.count === 0 || second.count === 0) return true;
  const taken = chooseGpus(second, freeGpus(gpus, held.gpus));
  if (taken === null) return true; // it does not fit itself
  const rest = new Set([...held.gpus, ...taken.map(({ id }) => id)]);
  if (chooseGpus(first, freeGpus(gpus, rest)) !== null) return true;
  const places = gpus.filter(isPlace);
  return !places.some((gpu) => matchesGpu(gpu, first) && matchesGpu(gpu, second));
}

/** Whatever needs a slot does not get past it. */
export function blocksAll(
  state: HostState,
  held: Held,
  { needs }: Pick<LiveAttempt, 'needs'>,
): boolean {
  return needs.exclusive || held.isExclusive || held.slots.size + needs.slots + 1 > state.slots;
}
