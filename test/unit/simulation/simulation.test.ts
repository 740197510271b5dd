import { describe, expect, it } from 'vitest';
import { simulate } from '#test/simulation/simulate.ts';

/** The same in each run; `npm run simulate` takes others. */
const SEEDS = 200;
const AT_A_TIME = 25;

describe('the simulated mesh', () => {
  it.each(Array.from({ length: SEEDS / AT_A_TIME }, (_, at) => 1 + at * AT_A_TIME))(
    'keeps its invariants in the seeds from %i on',
    async (from) => {
      let compared = 0;
      for (let seed = from; seed < from + AT_A_TIME; seed += 1) {
        const result = await simulate(seed);
        compared += result.compared;
        const replay = `npm run simulate -- --seed ${seed} --trace`;
        expect(result.violations, replay).toEqual([]);
      }
      expect(compared).toBeGreaterThan(0);
    },
  );

  it('is decided by its seed alone', async () => {
    const [first, second] = [[], []] as [string[], string[]];
    await simulate(7, { trace: (line) => first.push(line) });
    await simulate(7, { trace: (line) => second.push(line) });
    expect(second).toEqual(first);
    expect(first.length).toBeGreaterThan(50);
  });
});
