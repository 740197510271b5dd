/** What the ranks of a gang have measured becomes the gang's: by operator, by merged sketches, over time. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RequestTally } from '#agent/report/request-tally.ts';
import { ReportFold } from '#agent/report/report-fold.ts';
import { metricsAcross, requestsAcross } from '#protocol/fold/across-ranks.ts';
import { seriesAcross } from '#protocol/fold/series-across.ts';
import type { RankOperator } from '#protocol/messages/attempt/gang.ts';
import type { Metric } from '#protocol/messages/attempt/outcome.ts';
import type { ReportedSample } from '#protocol/messages/attempt/report.ts';

const metric = (value: number, across?: RankOperator, name = 'm'): Metric => ({
  ...{ name, value, unit: 'x', direction: 'higher' },
  ...(across === undefined ? {} : { across }),
});
const across = (...ranks: Metric[][]): Metric[] =>
  metricsAcross(ranks.map((metrics) => ({ metrics, requests: null })));

const GANG = {
  rank: 0,
  peers: [
    { agent: 'a', host: 'a', address: '' },
    { agent: 'b', host: 'b', address: '' },
  ],
  port: 1,
  barriers: [],
};

/** As a rank's agent sums up what its benchmark reported. */
function reported(values: readonly number[], figure: 'p95' | 'mean' = 'p95'): Metric[] {
  const fold = new ReportFold({
    phases: [],
    metrics: [
      {
        ...{ name: 'lat', unit: 'ms', direction: 'lower', required: true },
        from: { kind: 'report', figure, phases: null },
      },
    ],
    gang: GANG,
  });
  for (const value of values) fold.take(`metric lat ${value} ms`, { elapsedMs: 0, wallMs: 0 });
  return [...fold.figures().metrics];
}

/** The value at rank ceil(q * count) of all of them. */
function exact(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil(q * sorted.length) - 1] ?? 0;
}

describe('metrics across ranks', () => {
  it.each([
    ['sum', 9],
    ['mean', 3],
    ['max', 5],
    ['min', 1],
    [undefined, 3],
  ] as const)('are one value by %s', (by, value) => {
    expect(across([metric(5, by)], [metric(1, by)], [metric(3, by)])).toEqual([
      { ...metric(value), across: by ?? 'mean', ranks: 3 },
    ]);
  });

  it('counts a rank once: its measurements are their mean, or their largest or smallest', () => {
    const two = (by: RankOperator): Metric[] =>
      across([metric(2, by), metric(4, by)], [metric(10, by)]);
    expect(two('sum')[0]?.value).toBe(13);
    expect(two('mean')[0]?.value).toBe(6.5);
    expect(two('min')[0]?.value).toBe(2);
    expect(two('max')[0]?.value).toBe(10);
  });

  it('leaves what one rank alone has measured as it is, and says of how many ranks a value is', () => {
    const found = across(
      [metric(1, 'sum', 'own'), metric(2, 'sum', 'own')],
      [metric(7, 'sum')],
      [],
    );
    expect(found.map(({ name, value, ranks }) => [name, value, ranks])).toEqual([
      ['own', 1, 1],
      ['own', 2, 1],
      ['m', 7, 1],
    ]);
  });

  it('merges quantiles: within 1 % of those of all samples together', () => {
    const samples = fc.array(fc.double({ min: 0.01, max: 1e4, noNaN: true }), {
      minLength: 1,
      maxLength: 300,
    });
    fc.assert(
      fc.property(samples, samples, (one, other) => {
        const [found] = across(reported(one), reported(other));
        const wanted = exact([...one, ...other], 0.95);
        expect(Math.abs((found?.value ?? NaN) - wanted)).toBeLessThanOrEqual(wanted * 0.0101);
        expect(found?.series?.count).toBe(one.length + other.length);
      }),
      { numRuns: 100 },
    );
  });

  it('is of both signs, and not the mean of the ranks: each sample counts', () => {
    const [found] = across(reported([1, 1, 1], 'mean'), reported([-5], 'mean'));
    expect(found).toMatchObject({ value: -0.5, across: 'merge', ranks: 2 });
    expect(found?.series).toMatchObject({ count: 4, min: -5, max: 1 });
    expect(found?.series?.sketch).toBeUndefined();
  });

  it('sums up requests of all ranks, and makes their figures anew', () => {
    const tally = (latencies: readonly number[], errors = 0) => {
      const one = new RequestTally();
      latencies.forEach((latencyMs, at) => {
        one.add({ latencyMs, tokens: 2, error: null, timeMs: at * 100 }, 0);
      });
      for (let at = 0; at < errors; at += 1)
        one.add({ latencyMs: null, tokens: null, error: 'no', timeMs: 0 }, 0);
      return one.summary(true);
    };
    const fast = Array.from({ length: 90 }, () => 10);
    const slow = Array.from({ length: 10 }, () => 1_000);
    const [a, b] = [tally(fast), tally(slow, 2)];
    const merged = requestsAcross([a, null, b]);
    expect(merged).toMatchObject({ total: 102, ok: 100, errors: 2, firstError: 'no', tokens: 200 });
    expect(merged?.requestsPerSecond).toBeCloseTo(
      (a?.requestsPerSecond ?? 0) + (b?.requestsPerSecond ?? 0),
      6,
    );
    // Of the slow rank the median is 1,000, of both together 10; the mean of p95s would be 505.
    expect(merged?.latencyMs).toMatchObject({ min: 10, max: 1_000, mean: 109 });
    expect(Math.abs((merged?.latencyMs?.p50 ?? 0) - 10)).toBeLessThan(0.2);
    expect(Math.abs((merged?.latencyMs?.p95 ?? 0) - 1_000)).toBeLessThan(11);
    const names = metricsAcross([
      { metrics: [metric(1, undefined, 'requests.rate')], requests: a },
      { metrics: [], requests: b },
    ]);
    expect(names.filter(({ name }) => name === 'requests.rate')).toHaveLength(1);
  });
});

describe('a series across ranks', () => {
  const sample = (timeMs: number, value: number): ReportedSample => ({
    ...{ timeMs, elapsedMs: 0, phase: null, name: 'rate', value, unit: '1/s' },
  });

  it('has a value a second, of the ranks that are there', () => {
    const ranks = [
      [sample(1_000, 10), sample(1_500, 20), sample(3_100, 30)],
      [sample(2_200, 5), sample(3_000, 6), sample(4_000, 7)],
    ];
    const rows = seriesAcross(ranks, () => 'sum');
    // In second 2 rank 0 said nothing: what it said before holds; after its end it counts no more.
    expect(rows.map(({ timeMs, value, ranks: of }) => [timeMs, value, of])).toEqual([
      [1_000, 15, 1],
      [2_000, 20, 2],
      [3_000, 36, 2],
      [4_000, 7, 1],
    ]);
    expect(seriesAcross(ranks, () => undefined)[1]?.value).toBe(10);
  });
});
