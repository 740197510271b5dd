/**
 * What may start now on this host. Pure.
 *
 * 1. Order: higher priority first, then arrival. The first in the queue that does not fit holds
 *    back those behind it, so nothing starves, an exclusive one least of all.
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

/** The next to start, or null. */
export function nextToStart(state: HostState): Placement | null {
  let first: LiveAttempt | null = null;
  const held = new Set<number>();
  let cpus = 0;
  let running = 0;
  let isExclusive = false;
  for (const attempt of state.live.values()) {
    if (attempt.stage === 'running' || attempt.stage === 'fenced') {
      running += 1;
      cpus += attempt.needs.cpus;
      isExclusive ||= attempt.needs.exclusive;
      for (const slot of attempt.slots) held.add(slot);
    } else if (attempt.stage === 'queued' && (first === null || isBefore(attempt, first))) {
      first = attempt;
    }
  }
  if (first === null || isExclusive || (first.needs.exclusive && running > 0)) return null;
  if (cpus + first.needs.cpus > state.cpus) return null;
  const slots: number[] = [];
  for (let slot = 0; slot < state.slots && slots.length < first.needs.slots; slot += 1) {
    if (!held.has(slot)) slots.push(slot);
  }
  return slots.length < first.needs.slots ? null : { attempt: first, slots };
}

function isBefore(a: LiveAttempt, b: LiveAttempt): boolean {
  if (a.priority !== b.priority) return a.priority > b.priority;
  return a.era === b.era ? a.sequence < b.sequence : a.era < b.era;
}
