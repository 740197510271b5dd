import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lengthMs, meet, union, without, type Span } from '#protocol/fold/progress/spans.ts';

const MOST = 30;
const someSpans = fc.array(
  fc
    .tuple(fc.nat(MOST), fc.nat(MOST))
    .map(([a, b]): Span => ({ fromMs: Math.min(a, b), toMs: Math.max(a, b) })),
  { maxLength: 6 },
);

/** Which whole milliseconds are in it. */
function ticks(spans: readonly Span[]): string {
  return Array.from({ length: MOST }, (_, at) =>
    spans.some(({ fromMs, toMs }) => fromMs <= at && at < toMs) ? '#' : '.',
  ).join('');
}

const both = (a: string, b: string): string =>
  a.replace(/#/g, (tick, at: number) => (b[at] === tick ? tick : '.'));
const count = (text: string): number => text.split('#').length - 1;

describe('sets of times', () => {
  it('their union has what any of them has, in order, disjoint', () => {
    fc.assert(
      fc.property(someSpans, (spans) => {
        const all = union(spans);
        expect(ticks(all)).toBe(ticks(spans));
        expect(lengthMs(all)).toBe(count(ticks(spans)));
        for (const [at, { fromMs, toMs }] of all.entries()) {
          expect(toMs).toBeGreaterThan(fromMs);
          expect(fromMs).toBeGreaterThan(all[at - 1]?.toMs ?? -1);
        }
      }),
    );
  });

  it('what is in both is in each', () => {
    fc.assert(
      fc.property(someSpans, someSpans, (some, others) => {
        const met = meet(union(some), union(others));
        const wanted = both(ticks(some), ticks(others));
        expect([ticks(met), lengthMs(met)]).toEqual([wanted, count(wanted)]);
      }),
    );
  });

  it('without holes it has none of them, also where one has no end', () => {
    fc.assert(
      fc.property(someSpans, fc.nat(MOST), (spans, fromMs) => {
        const holes = union(spans);
        const left = without({ fromMs, toMs: MOST }, holes);
        const hasNone = ticks(holes).replace(/./g, (tick) => (tick === '#' ? '.' : '#'));
        expect(ticks(left)).toBe(both(ticks([{ fromMs, toMs: MOST }]), hasNone));
      }),
    );
    const open = [{ fromMs: 4, toMs: Infinity }];
    expect(without({ fromMs: 1, toMs: 9 }, open)).toEqual([{ fromMs: 1, toMs: 4 }]);
  });
});
