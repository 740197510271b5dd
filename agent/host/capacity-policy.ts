/**
 * What may start now on this host. Pure.
 *
 * 1. Order: higher priority first, then arrival. The first in the queue that does not fit holds
 *    back those behind it, so nothing starves, an exclusive one least of all. But one that only waits
 *    for survivors of a kill does not: they may live for ever. It has its place again when they end.
 * 2. The claims together never exceed slots and cpus; an exclusive attempt is alone. What is fenced
 *    holds its claim like what runs.
 */
import type { HostState, LiveAttempt } from './host-state.ts';

/** Why the host can never run it; null when it can. */
export function unfit(state: HostState, attempt: LiveAttempt): string | null {
  const { needs } = attempt;
  if (needs.slots > state.slots)
    return `it needs ${needs.slots} slots, this agent has ${state.slots}`;
  if (needs.cpus > state.cpus) return `it needs ${needs.cpus} cpus, this host has ${state.cpus}`;
  return null;
}

export interface Placement {
  readonly attempt: LiveAttempt;
  readonly slots: readonly number[];
}

/** What is held: by what runs and what is fenced, or by what is fenced alone. */
interface Held {
  readonly slots: Set<number>;
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
  return { attempt: first, slots };
}

/** Queued ones that a fence alone keeps from starting, in no order: they wait for its end. */
export function behindFence(state: HostState): LiveAttempt[] {
  const fenced = heldBy(state, ['fenced']);
  if (fenced.attempts === 0) return [];
  return [...state.live.values()].filter(
    (attempt) => attempt.stage === 'queued' && !fitsBeside(state, attempt, fenced),
  );
}

/** Leaves out what a fence alone keeps from starting. */
function firstInQueue(state: HostState, fenced: Held): LiveAttempt | null {
  let first: LiveAttempt | null = null;
  for (const attempt of state.live.values()) {
    if (attempt.stage !== 'queued' || (first !== null && !isBefore(attempt, first))) continue;
    if (fitsBeside(state, attempt, fenced)) first = attempt;
  }
  return first;
}

function heldBy(state: HostState, stages: readonly LiveAttempt['stage'][]): Held {
  const held: Held = { slots: new Set(), cpus: 0, attempts: 0, isExclusive: false };
  for (const { stage, needs, slots } of state.live.values()) {
    if (!stages.includes(stage)) continue;
    held.attempts += 1;
    held.cpus += needs.cpus;
    held.isExclusive ||= needs.exclusive;
    for (const slot of slots) held.slots.add(slot);
  }
  return held;
}

function fitsBeside(state: HostState, { needs }: LiveAttempt, held: Held): boolean {
  if (held.isExclusive || (needs.exclusive && held.attempts > 0)) return false;
  return held.cpus + needs.cpus <= state.cpus && held.slots.size + needs.slots <= state.slots;
}

function isBefore(a: LiveAttempt, b: LiveAttempt): boolean {
  if (a.priority !== b.priority) return a.priority > b.priority;
  return a.era === b.era ? a.sequence < b.sequence : a.era < b.era;
}
