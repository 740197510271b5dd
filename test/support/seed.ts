/** Randomness that can be repeated: a seed that is printed, and taken from the environment. */
import { randomInt } from 'node:crypto';

/** BENCHMESH_TEST_SEED, else a new one; printed, since only with it a failure can be repeated. */
export function seedOf(test: string): number {
  const named = process.env['BENCHMESH_TEST_SEED'] ?? '';
  const seed = named === '' ? randomInt(2 ** 31) : Number(named);
  process.stdout.write(`${test}: BENCHMESH_TEST_SEED=${seed}\n`);
  return seed;
}

/** Numbers from 0 to below 1 (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
