/** What is due at a time of its own, sooner or more exactly than the next tick. */
import type { Context } from './core-state.ts';

/** A timer of very long is set again on the way: what it is for may move meanwhile. */
const LONGEST_MS = 3_600_000;

/** Asks to be woken at this monotonic time, unless that happens earlier anyway. */
export function wakeAt({ state, now, effects }: Context, atMs: number): void {
  if (atMs >= state.wakeAtMs) return;
  state.wakeAtMs = atMs;
  const afterMs = Math.min(Math.max(0, atMs - now.monotonicMs), LONGEST_MS);
  effects.push({ kind: 'wake_soon', afterMs });
}
