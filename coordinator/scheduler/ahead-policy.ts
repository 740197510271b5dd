/**
 * How much an agent is handed beyond what it can run at once, pure.
 *
 * A slot must never wait for a round trip (exit -> coordinator -> next start), but what is queued on
 * an agent is lost to better uses. So it is counted in time, not in tasks: COVER_MS of work for each
 * slot, at the pace the agent's attempts have had lately, and one task at least. Measured with 2,000
 * tasks of `true` on two slots: 8 to 34 % more tasks per second than with two queued for each slot.
 */
const COVER_MS = 100;
/** Handed out per slot at most: what runs, and what is queued. */
export const FACTOR_MOST = 9;
/** While nothing is known of its pace: what runs, and one queued. */
const FACTOR_LEAST = 2;
/** Of the newest attempt in the moving average. */
const WEIGHT = 1 / 8;

/** The moving average of how long attempts hold their slots, in ms, after one more has ended. */
export function paceAfter(paceMs: number | null, heldMs: number): number {
  return paceMs === null ? heldMs : paceMs + (heldMs - paceMs) * WEIGHT;
}

/** Attempts in flight per slot: what runs, and what is queued on the agent. */
export function aheadFactor(paceMs: number | null): number {
  if (paceMs === null) return FACTOR_LEAST;
  const queued = Math.ceil(COVER_MS / Math.max(1, paceMs));
  return Math.min(FACTOR_MOST, Math.max(FACTOR_LEAST, 1 + queued));
}
