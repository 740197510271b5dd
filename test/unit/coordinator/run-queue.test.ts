import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  appendTasks,
  createRunQueue,
  headRank,
  putBack,
  setSequence,
  takeFirst,
  takeOut,
  waitingBefore,
  waitingIn,
  type RunQueue,
} from '#coordinator/scheduler/run-queue.ts';
import { fullRankSet, leastRank, ranksBelow, removeRank } from '#coordinator/scheduler/rank-set.ts';

const NEEDS = { slots: 1, cpus: 0, exclusive: false };

/** With so many kinds of needs, by turns. */
const queueOf = (tasks: number, kinds: number) => {
  const classes = Array.from({ length: kinds }, (_, at) => ({ ...NEEDS, cpus: at }));
  const of = kinds === 1 ? null : Uint32Array.from({ length: tasks }, (_, at) => at % kinds);
  const needs = { classes, of };
  return createRunQueue({
    ...{ run: 'r', order: 1, tasks, maxParallel: null, priority: 0, added: null, needs },
  });
};

/** As one lane was served: the first of all lanes. */
const firstOf = (queue: RunQueue): number | null => {
  const [lane] = queue.lanes.toSorted((a, b) => headRank(a) - headRank(b));
  return lane === undefined ? null : takeFirst(lane);
};

const step = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ kind: 'first' as const }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('back' as const), at: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('out' as const), at: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('order' as const), seed: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cycle' as const), seed: fc.nat() }) },
);

/** A permutation, of which only its being one matters. */
const shuffled = (count: number, seed: number): Uint32Array => {
  const key = (index: number): number => (index * 7_919 + seed * 104_729) % 10_007;
  return Uint32Array.from({ length: count }, (_, at) => at).sort((a, b) => key(a) - key(b));
};

describe('the queue of a run', () => {
  it('serves who waits by rank, each once; who comes back has its rank again; cycles come last', () => {
    const input = fc.record({
      tasks: fc.integer({ min: 1, max: 1_100 }),
      kinds: fc.integer({ min: 1, max: 4 }),
      steps: fc.array(step, { maxLength: 120, size: 'max' }),
    });
    const property = fc.property(input, ({ tasks: cells, kinds, steps }) => {
      const queue = queueOf(cells, kinds);
      let tasks = cells;
      let order = [...Array(tasks).keys()];
      const waiting = new Set(order);
      for (const one of steps) {
        if (one.kind === 'first') {
          const first = order.find((index) => waiting.has(index)) ?? null;
          expect(firstOf(queue)).toBe(first);
          if (first !== null) waiting.delete(first);
        } else if (one.kind === 'out') {
          expect(takeOut(queue, one.at % tasks)).toBe(waiting.delete(one.at % tasks));
        } else if (one.kind === 'back') {
          putBack(queue, one.at % tasks);
          waiting.add(one.at % tasks);
        } else if (one.kind === 'cycle') {
          if (tasks > 1_500) continue;
          const sequence = shuffled(cells, one.seed);
          appendTasks(queue, sequence);
          const fresh = [...sequence].map((at) => tasks + at);
          order = [...order, ...fresh];
          for (const each of fresh) waiting.add(each);
          tasks += cells;
        } else {
          const sequence = shuffled(tasks, one.seed);
          order = [...sequence];
          setSequence(queue, sequence);
        }
        expect(waitingIn(queue)).toBe(waiting.size);
      }
      const index = order[Math.floor(tasks / 2)] ?? 0;
      const before = order.slice(0, order.indexOf(index)).filter((other) => waiting.has(other));
      expect(waitingBefore(queue, index)).toBe(before.length);
      const rest: (number | null)[] = [];
      for (let left = waiting.size; left > 0; left -= 1) rest.push(firstOf(queue));
      expect(rest).toEqual(order.filter((other) => waiting.has(other)));
      expect(firstOf(queue)).toBeNull();
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
