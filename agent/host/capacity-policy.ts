/**
 * What may start now on this host. Pure.
 *
 * 1. Order: higher priority first, then arrival. What does not fit is overtaken only by what takes
 *    nothing that it waits for (overtake-policy.ts), so nothing starves, an exclusive one least of all.
 *    But one that only waits for survivors of a kill, or for GPUs that are fenced, holds back nobody: that
 *    may last for ever. It has its place again when they end. Nor does one whose host is being prepared by
 *    another.
 * 2. The claims together never exceed slots, cpus and memory; an exclusive attempt is alone. What is
 *    fenced holds its claim like what runs.
 * 3. No GPU and no CPU has two owners, and no GPU is given away that is fenced.
 */
import { gpuCountOf } from '#protocol/messages/attempt/needs.ts';
import { countGpus, isPlace } from '#protocol/messages/agent/gpu-counts.ts';
import { gpuWishText, hasFree, matchesGpu, sizeText } from '#protocol/messages/agent/gpu-match.ts';
import { shortGpuName } from '#protocol/messages/agent/gpu-names.ts';
import type { Gpu } from '#protocol/messages/agent/hardware.ts';
import { chooseCpus } from '../cpus/cpu-policy.ts';
import { chooseGpus, freeGpus } from '../gpus/gpu-policy.ts';
import { makerFor } from './host-setups.ts';
import type { HostState, LiveAttempt } from './host-state.ts';
import { blocksAll, mayOvertake } from './overtake-policy.ts';

/** Why the host can never run it; null when it can. */
export function unfit(state: HostState, attempt: LiveAttempt): string | null {
  const { needs } = attempt;
  if (needs.slots > state.slots)
    return `it needs ${needs.slots} slots, this agent has ${state.slots}`;
  if (needs.cpus > state.cpus) return `it needs ${needs.cpus} cpus, this host has ${state.cpus}`;
  const { memoryMiB = 0 } = needs;
  if (memoryMiB > state.memoryMiB)
    return `it needs ${sizeText(memoryMiB)} of memory, this host has ${sizeText(state.memoryMiB)}`;
  const gpus = gpuCountOf(needs);
  const { most } = countGpus(matching(state, needs));
  if (gpus > most && state.gpus.isKnown) {
    const those = most === 0 ? 'none' : `${most} of one kind`;
    return `it needs ${gpusText(needs)}, this host has ${those}`;
  }
  return null;
}

function matching({ gpus }: HostState, { gpus: wanted }: LiveAttempt['needs']): readonly Gpu[] {
  return wanted === undefined ? gpus.gpus : gpus.gpus.filter((gpu) => matchesGpu(gpu, wanted));
}

/** `2 GPUs *H100* with 40 GiB`. */
function gpusText({ gpus = { count: 0 } }: LiveAttempt['needs']): string {
  return `${gpus.count} ${gpus.count === 1 ? 'GPU' : 'GPUs'}${gpuWishText(gpus)}`;
}

export interface Placement {
  readonly attempt: LiveAttempt;
  readonly slots: readonly number[];
  readonly gpus: readonly Gpu[];
  readonly cpus: readonly number[];
}

/** What is held: by what runs and what is fenced, or by what is fenced alone. */
export interface Held {
  readonly slots: Set<number>;
  readonly gpus: Set<string>;
  readonly pinned: Set<number>;
  cpus: number;
  memoryMiB: number;
  attempts: number;
  isExclusive: boolean;
}

/** The next to start, or null. */
export function nextToStart(state: HostState): Placement | null {
  const held = heldBy(state, ['running', 'fenced']);
  const first = firstToFit(state, held);
  if (first === null) return null;
  const slots: number[] = [];
  for (let slot = 0; slot < state.slots && slots.length < first.needs.slots; slot += 1) {
    if (!held.slots.has(slot)) slots.push(slot);
  }
  const gpus = chooseGpus(first.needs.gpus, freeGpus(state.gpus.gpus, held.gpus)) ?? [];
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
  const fencedBy = [...state.live.values()].filter(({ stage }) => stage === 'fenced');
  if (hasGpus(state, needs, heldBy(state, ['fenced']))) {
    const keys = fencedBy.map(({ key }) => key).join(', ');
    return `survivors of a kill hold what it needs: ${keys}`;
  }
  const { gpus, isKnown } = state.gpus;
  if (!isKnown && gpus.length === 0) return 'the GPUs of this host are not known yet';
  const needed = `it needs ${gpusText(needs)}`;
  const why = gpus.flatMap((gpu) => {
    if (gpu.fence !== undefined)
      return [`${shortGpuName(gpu, gpus)} is fenced: ${gpu.fence.reason}`];
    if (needs.gpus === undefined || hasFree(gpu, needs.gpus) || !isPlace(gpu)) return [];
    const { memoryFreeMiB: free } = gpu;
    return [
      `${shortGpuName(gpu, gpus)} has ${free === null ? 'an unknown amount' : sizeText(free)} free`,
    ];
  });
  return why.length === 0 ? `${needed}, and they are not there` : `${needed}; ${why.join('; ')}`;
}

/** So many at most are overtaken at once. */
const MOST_OVERTAKEN = 16;

/** The first in the queue that fits now and takes nothing that one before it waits for; null for none. */
function firstToFit(state: HostState, held: Held): LiveAttempt | null {
  const fenced = heldBy(state, ['fenced']);
  const before: LiveAttempt[] = [];
  for (;;) {
    const next = firstInQueue(state, fenced, before.at(-1) ?? null);
    if (next === null) return null;
    const isFree = before.every((one) => mayOvertake(state, held, { waits: one, by: next }));
    if (isFree && fitsBeside(state, next, held)) return next;
    before.push(next);
    if (before.length > MOST_OVERTAKEN || blocksAll(state, held, next)) return null;
  }
}

/** After another, or the first of all. Leaves out what a fence alone keeps from starting. */
function firstInQueue(
  state: HostState,
  fenced: Held,
  after: LiveAttempt | null,
): LiveAttempt | null {
  let first: LiveAttempt | null = null;
  for (const attempt of state.live.values()) {
    if (attempt.stage !== 'queued' || (first !== null && !isBefore(attempt, first))) continue;
    if (after !== null && !isBefore(after, attempt)) continue;
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
    memoryMiB: 0,
    attempts: 0,
    isExclusive: false,
  };
  for (const { stage, needs, slots, gpus, cpus } of state.live.values()) {
    if (!stages.includes(stage)) continue;
    held.attempts += 1;
    held.cpus += needs.cpus;
    held.memoryMiB += needs.memoryMiB ?? 0;
    held.isExclusive ||= needs.exclusive;
    for (const slot of slots) held.slots.add(slot);
    for (const gpu of gpus) held.gpus.add(gpu);
    for (const cpu of cpus) held.pinned.add(cpu);
  }
  return held;
}

function fitsBeside(state: HostState, { needs }: Pick<LiveAttempt, 'needs'>, held: Held): boolean {
  if (held.isExclusive || (needs.exclusive && held.attempts > 0)) return false;
  if (!hasGpus(state, needs, held)) return false;
  if (held.memoryMiB + (needs.memoryMiB ?? 0) > state.memoryMiB) return false;
  return held.cpus + needs.cpus <= state.cpus && held.slots.size + needs.slots <= state.slots;
}

function hasGpus({ gpus }: HostState, needs: LiveAttempt['needs'], held: Held): boolean {
  return gpuCountOf(needs) === 0 || chooseGpus(needs.gpus, freeGpus(gpus.gpus, held.gpus)) !== null;
}

function isBefore(a: LiveAttempt, b: LiveAttempt): boolean {
  if (a.priority !== b.priority) return a.priority > b.priority;
  if (a.era !== b.era) return a.era < b.era;
  if (a.sequence !== b.sequence) return a.sequence < b.sequence;
  const [first, second] = [a.place ?? 0, b.place ?? 0];
  return first === second ? a.key < b.key : first < second;
}
