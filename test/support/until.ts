/** Waits for a condition instead of for a time. */

const STEP_MS = 5;

/**
 * Resolves with the first value of `look` that is neither false, null nor undefined. Rejects after
 * `deadlineMs` (a bound on hanging, not an assertion on speed) with what was last seen.
 */
export async function until<T>(
  look: () => T | Promise<T>,
  what = 'the condition',
  deadlineMs = 30_000,
): Promise<NonNullable<Exclude<T, false>>> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    let last: unknown;
    try {
      const seen = await look();
      if (seen !== false && seen !== null && seen !== undefined) {
        return seen as NonNullable<Exclude<T, false>>;
      }
      last = seen;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`waited ${deadlineMs} ms for ${what}; last seen: ${String(last)}`);
    }
    await new Promise((resolve) => {
      setTimeout(resolve, STEP_MS);
    });
  }
}
