/** Exponential back-off with full jitter, as a pure function of the try and a random number. */
export interface BackoffPolicy {
  readonly firstMs: number;
  readonly maxMs: number;
  readonly factor: number;
}

/** Delay before try `attempt` (0 for the first retry); `random` is in [0, 1). */
export function backoffMs(policy: BackoffPolicy, attempt: number, random: number): number {
  const ceiling = Math.min(policy.maxMs, policy.firstMs * policy.factor ** attempt);
  return Math.round(ceiling * (0.5 + random / 2));
}
