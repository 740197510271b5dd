/** A failing seed with as little as still fails: faults and orders are left out one by one. */
import type { Fault, Order } from './scenarios/scenario.ts';
import { simulate } from './simulate.ts';
import type { Simulated, SimulateOptions } from './simulated.ts';

export interface Shrunk {
  readonly faults: readonly Fault[];
  readonly orders: readonly Order[];
  readonly violations: readonly string[];
}

export async function shrink(failed: Simulated, options: SimulateOptions = {}): Promise<Shrunk> {
  const { seed, scenario } = failed;
  let best: Shrunk = {
    faults: scenario.faults,
    orders: scenario.orders,
    violations: failed.violations,
  };
  const without = async (change: Partial<Pick<Shrunk, 'faults' | 'orders'>>): Promise<boolean> => {
    const tried = { ...best, ...change };
    const { violations } = await simulate(seed, {
      ...options,
      faults: tried.faults,
      orders: tried.orders,
    });
    if (violations.length === 0) return false;
    best = { ...tried, violations };
    return true;
  };
  for (let isSmaller = true; isSmaller;) {
    isSmaller = false;
    for (const fault of best.faults)
      if (await without({ faults: best.faults.filter((one) => one !== fault) })) isSmaller = true;
    for (const order of best.orders)
      if (await without({ orders: best.orders.filter((one) => one !== order) })) isSmaller = true;
  }
  return best;
}
