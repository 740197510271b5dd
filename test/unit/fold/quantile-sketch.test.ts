import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { QuantileSketch } from '#protocol/fold/quantile-sketch.ts';

const values = fc.array(
  fc.oneof(
    fc.double({ min: 0, max: 1e15, noNaN: true }),
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.nat(200),
  ),
  { minLength: 1, maxLength: 400 },
);

function sketched(all: readonly number[]): QuantileSketch {
  const sketch = new QuantileSketch();
  for (const value of all) sketch.add(value);
  return sketch;
}

describe('a sketch', () => {
  it('has quantiles within 1 % of the value at their rank, the rest exactly', () => {
    fc.assert(
      fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (all, q) => {
        const sorted = all.toSorted((a, b) => a - b);
        const exact = sorted[Math.max(0, Math.ceil(q * all.length) - 1)] ?? NaN;
        const sketch = sketched(all);
        const tolerance = exact * 0.010_000_1 + 1e-6;
        expect(Math.abs(sketch.quantile(q) - exact)).toBeLessThanOrEqual(tolerance);
        const found = sketch.distribution();
        const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
        expect(found).toMatchObject({ count: all.length, min: sorted[0], max: sorted.at(-1) });
        expect(Math.abs((found?.mean ?? NaN) - mean)).toBeLessThanOrEqual(
          Math.abs(mean) * 1e-9 + Number.MIN_VALUE,
        );
      }),
    );
  });

  it('stays small however much is added', () => {
    const sketch = new QuantileSketch();
    for (let at = 0; at < 500_000; at += 1)
      sketch.add(10 ** ((at * 7_919) % 22) * (1 + (at % 997)));
    expect(sketch.buckets).toBeLessThan(2_540);
  });

  it('knows nothing of nothing, and leaves out what is no measurement', () => {
    const sketch = sketched([NaN, -1, Infinity]);
    expect(sketch.distribution()).toBeNull();
    expect(sketch.quantile(0.5)).toBe(0);
    expect(sketched([0, 0, 0]).distribution()).toMatchObject({ min: 0, p95: 0, max: 0 });
  });
});
