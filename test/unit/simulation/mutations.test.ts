import { describe, expect, it } from 'vitest';
import { MUTATIONS } from '#test/simulation/mutations/mutations.ts';
import { shrink } from '#test/simulation/shrink.ts';
import { simulate } from '#test/simulation/simulate.ts';
import type { Simulated, SimulateOptions } from '#test/simulation/simulated.ts';

/** Of those that simulation.test.ts runs without a bug. */
const SEEDS_MOST = 200;

async function firstFailure(options: SimulateOptions): Promise<Simulated | null> {
  for (let seed = 1; seed <= SEEDS_MOST; seed += 1) {
    const result = await simulate(seed, options);
    if (result.violations.length > 0) return result;
  }
  return null;
}

describe('planted bugs', () => {
  it.each(MUTATIONS)(
    '$name: $what',
    async ({ plant }) => {
      expect(await firstFailure({ plant })).not.toBeNull();
    },
    300_000,
  );

  it('a failing seed is shrunk to what makes it fail, and fails the same way again', async () => {
    const plant = MUTATIONS.find(({ name }) => name === 'skip-fence')?.plant;
    expect(plant).toBeDefined();
    if (plant === undefined) return;
    const failed = await firstFailure({ plant });
    expect(failed).not.toBeNull();
    if (failed === null) return;
    const { faults, orders, violations } = await shrink(failed, { plant });
    expect(orders.length).toBeLessThanOrEqual(failed.scenario.orders.length);
    const again = await simulate(failed.seed, { plant, faults, orders });
    expect(again.violations).toEqual(violations);
    expect(faults.length).toBeLessThan(4);
  });
});
