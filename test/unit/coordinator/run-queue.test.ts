import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createRunQueue,
  putBack,
  setSequence,
  takeFirst,
  takeOut,
  waitingBefore,
} from '#coordinator/scheduler/run-queue.ts';
import { fullRankSet, leastRank, ranksBelow, removeRank } from '#coordinator/scheduler/rank-set.ts';

const queueOf = (tasks: number) =>
  createRunQueue({ run: 'r', order: 1, tasks, maxParallel: null, priority: 0, added: null });

const step = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ kind: 'first' as const }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('back' as const), at: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('out' as const), at: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('order' as const), seed: fc.nat() }) },
);

/** A permutation, of which only its being one matters. */
const shuffled = (count: number, seed: number): Uint32Array => {
  const key = (index: number): number => (index * 7_919 + seed * 104_729) % 10_007;
  return Uint32Array.from({ length: count }, (_, at) => at).sort((a, b) => key(a) - key(b));
};

describe('the queue of a run', () => {
  it('serves who waits by rank, each once; who comes back has its rank again', () => {
    const input = fc.record({
      tasks: fc.integer({ min: 1, max: 1_100 }),
      steps: fc.array(step, { maxLength: 120, size: 'max' }),
    });
    const property = fc.property(input, ({ tasks, steps }) => {
      const queue = queueOf(tasks);
      let order = [...Array(tasks).keys()];
      const waiting = new Set(order);
      for (const one of steps) {
        if (one.kind === 'first') {
          const first = order.find((index) => waiting.has(index)) ?? null;
          expect(takeFirst(queue)).toBe(first);
          if (first !== null) waiting.delete(first);
        } else if (one.kind === 'out') {
          expect(takeOut(queue, one.at % tasks)).toBe(waiting.delete(one.at % tasks));
        } else if (one.kind === 'back') {
          putBack(queue, one.at % tasks);
          waiting.add(one.at % tasks);
        } else {
          const sequence = shuffled(tasks, one.seed);
          order = [...sequence];
          setSequence(queue, sequence);
        }
        expect(queue.waiting.count).toBe(waiting.size);
      }
      const index = order[Math.floor(tasks / 2)] ?? 0;
      const before = order.slice(0, order.indexOf(index)).filter((other) => waiting.has(other));
      expect(waitingBefore(queue, index)).toBe(before.length);
      const rest: (number | null)[] = [];
      for (let left = waiting.size; left > 0; left -= 1) rest.push(takeFirst(queue));
      expect(rest).toEqual(order.filter((other) => waiting.has(other)));
      expect(takeFirst(queue)).toBeNull();
    });
    fc.assert(property, { numRuns: 150 });
  });

  it.each([0, 1, 31, 32, 33, 1_023, 1_024, 1_025, 32_768, 32_769, 1_000_000])(
    'of %i ranks finds the least one and counts those below',
    (size) => {
      const set = fullRankSet(size);
      expect(ranksBelow(set, size)).toBe(size);
      for (const rank of [0, 1, 31, 32, 1_023, 1_024].filter((one) => one < size))
        removeRank(set, rank);
      for (let rank = 2; rank < Math.min(size, 1_100); rank += 1) {
        if ([31, 32, 1_023, 1_024].includes(rank)) continue;
        expect(leastRank(set)).toBe(rank);
        removeRank(set, rank);
      }
      expect(leastRank(set)).toBe(size > 1_100 ? 1_100 : null);
    },
  );
});
