/**
 * What may start now on this host. Pure.
 *
 * 1. Order: higher priority first, then arrival. The first in the queue that does not fit holds
 *    back those behind it, so nothing starves, an exclusive one least of all. But one that only waits
 *    for survivors of a kill, or for GPUs that are fenced, does not: that may last for ever. It has its
 *    place again when they end. Nor does one whose host is being prepared by another.
 * 2. The claims together never exceed slots and cpus; an exclusive attempt is alone. What is fenced
 *    holds its claim like what runs.
 * 3. No GPU and no CPU has two owners, and no GPU is given away that is fenced.
 */
import { gpuCountOf } from '#protocol/messages/attempt/attempt-spec.ts';
import { countGpus } from '#protocol/messages/agent/gpu-counts.ts';
import type { Gpu } from '#protocol/messages/agent/hardware.ts';
import { chooseCpus } from '../cpus/cpu-policy.ts';
import { chooseGpus, freeGpus } from '../gpus/gpu-policy.ts';
import { makerFor } from './host-setups.ts';
import type { HostState, LiveAttempt } from './host-state.ts';

/** Why the host can never run it; null when it can. */
export function unfit(state: HostState, attempt: LiveAttempt): string | null {
  const { needs } = attempt;
  if (needs.slots > state.slots)
    return `it needs ${needs.slots} slots, this agent has ${state.slots}`;
  if (needs.cpus > state.cpus) return `it needs ${needs.cpus} cpus, this host has ${state.cpus}`;
  const { most } = countGpus(state.gpus.gpus);
  const gpus = gpuCountOf(needs);
  if (gpus > most && state.gpus.isKnown) {
    return `it needs ${gpus} ${gpus === 1 ? 'GPU' : 'GPUs'}, this host has ${most === 0 ? 'none' : `${most} of one kind`}`;
  }
  return null;
}

export interface Placement {
  readonly attempt: LiveAttempt;
  readonly slots: readonly number[];
  readonly gpus: readonly Gpu[];
  readonly cpus: readonly number[];
}

/** What is held: by what runs and what is fenced, or by what is fenced alone. */
interface Held {
  readonly slots: Set<number>;
  readonly gpus: Set<string>;
  readonly pinned: Set<number>;
  cpus: number;
  attempts: number;
  isExclusive: boolean;
}

/** The next to start, or null. */
export function nextToStart(state: HostState): Placement | null {
  const first = firstInQueue(state, heldBy(state, ['fenced']));
  if (first === null) return null;
  const held = heldBy(state, ['running', 'fenced']);
  if (!fitsBeside(state, first, held)) return null;
  const slots: number[] = [];
  for (let slot = 0; slot < state.slots && slots.length < first.needs.slots; slot += 1) {
    if (!held.slots.has(slot)) slots.push(slot);
  }
  const gpus = chooseGpus(gpuCountOf(first.needs), freeGpus(state.gpus.gpus, held.gpus)) ?? [];
  return { attempt: first, slots, gpus, cpus: cpusFor(state, first, { held, gpus }) };
}

function cpusFor(
  { layout }: HostState,
  { needs }: LiveAttempt,
  at: { readonly held: Held; readonly gpus: readonly Gpu[] },
): number[] {
  if (layout === null || needs.pin === false || needs.cpus === 0) return [];
  const node = at.gpus[0]?.numaNode ?? null;
  return chooseCpus(layout, { count: needs.cpus, taken: at.held.pinned, node });
}

/** Queued ones that a fence alone keeps from starting, in no order: they wait for its end. */
export function behindFence(state: HostState): LiveAttempt[] {
  const fenced = heldBy(state, ['fenced']);
  return [...state.live.values()].filter(
    ({ stage, needs }) =>
      stage === 'queued' &&
      (fenced.attempts > 0 || gpuCountOf(needs) > 0) &&
      !fitsBeside(state, { needs }, fenced),
  );
}

/** What one behind a fence waits for, in words. */
export function waitReason(state: HostState, { needs }: LiveAttempt): string {
  const count = gpuCountOf(needs);
  const fencedBy = [...state.live.values()].filter(({ stage }) => stage === 'fenced');
  if (hasGpus(state, count, heldBy(state, ['fenced']))) {
    const keys = fencedBy.map(({ key }) => key).join(', ');
    return `survivors of a kill hold what it needs: ${keys}`;
  }
  const { gpus, isKnown } = state.gpus;
  if (!isKnown && gpus.length === 0) return 'the GPUs of this host are not known yet';
  const needed = `it needs ${count} ${count === 1 ? 'GPU' : 'GPUs'}`;
  const why = gpus.flatMap(({ id, index, fence }) =>
    fence === undefined ? [] : [`GPU ${index ?? id} is fenced: ${fence.reason}`],
  );
  return why.length === 0 ? `${needed}, and they are not there` : `${needed}; ${why.join('; ')}`;
}

/** Leaves out what a fence alone keeps from starting. */
function firstInQueue(state: HostState, fenced: Held): LiveAttempt | null {
  let first: LiveAttempt | null = null;
  for (const attempt of state.live.values()) {
    if (attempt.stage !== 'queued' || (first !== null && !isBefore(attempt, first))) continue;
    if (makerFor(state, attempt) === null && fitsBeside(state, attempt, fenced)) first = attempt;
  }
  return first;
}

function heldBy(state: HostState, stages: readonly LiveAttempt['stage'][]): Held {
  const held: Held = {
    slots: new Set(),
    gpus: new Set(),
    pinned: new Set(),
    cpus: 0,
    attempts: 0,
    isExclusive: false,
  };
  for (const { stage, needs, slots, gpus, cpus } of state.live.values()) {
    if (!stages.includes(stage)) continue;
    held.attempts += 1;
    held.cpus += needs.cpus;
    held.isExclusive ||= needs.exclusive;
    for (const slot of slots) held.slots.add(slot);
    for (const gpu of gpus) held.gpus.add(gpu);
    for (const cpu of cpus) held.pinned.add(cpu);
  }
  return held;
}

function fitsBeside(state: HostState, { needs }: Pick<LiveAttempt, 'needs'>, held: Held): boolean {
  if (held.isExclusive || (needs.exclusive && held.attempts > 0)) return false;
  if (!hasGpus(state, gpuCountOf(needs), held)) return false;
  return held.cpus + needs.cpus <= state.cpus && held.slots.size + needs.slots <= state.slots;
}

function hasGpus({ gpus }: HostState, count: number, held: Held): boolean {
  return count === 0 || chooseGpus(count, freeGpus(gpus.gpus, held.gpus)) !== null;
}

function isBefore(a: LiveAttempt, b: LiveAttempt): boolean {
  if (a.priority !== b.priority) return a.priority > b.priority;
  return a.era === b.era ? a.sequence < b.sequence : a.era < b.era;
}
