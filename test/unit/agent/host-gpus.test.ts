/** GPUs in the host's actor: looks before they are given, fences, and no GPU with two owners. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blankGpu } from '#agent/discovery/gpu-facts.ts';
import { updateHost } from '#agent/host/host-reducer.ts';
import {
  newHost,
  type HostEffect,
  type HostMessage,
  type HostState,
} from '#agent/host/host-state.ts';
import type { Gpu } from '#protocol/messages/agent/hardware.ts';
import { ended, key, short, start } from './host-cases.ts';

const gpu = (index: number, change: Partial<Gpu> = {}): Gpu => ({
  ...blankGpu('nvidia', `GPU-${index}`),
  index,
  ...change,
});
const FENCE = { kind: 'used', reason: 'in use by x', since: 'then' } as const;
const seen = (gpus: readonly Gpu[], isLook = true, isKnown = true): HostMessage => ({
  kind: 'gpus',
  gpus,
  isKnown,
  isLook,
});
const needing = (count: number) => ({ needs: { gpus: { count } } });

/** Messages, each at a time in ms. */
function at(timed: readonly (readonly [number, HostMessage])[], initial?: HostState) {
  let state = initial ?? {
    ...newHost(4, 4),
    gpus: { gpus: [gpu(0), gpu(1)], isKnown: true, lookedMs: null, asked: null },
  };
  const effects: HostEffect[] = [];
  for (const [monotonicMs, message] of timed) {
    const [next, said] = updateHost(state, message, { wallMs: 0, monotonicMs });
    state = next;
    effects.push(...said);
  }
  return { state, effects, short: short(effects).filter((each) => !each.startsWith('accept')) };
}

describe('looks', () => {
  test('nobody looks for what needs no GPU', () => {
    expect(
      at([
        [0, start('a', 1)],
        [9e9, start('b', 2)],
      ]).short,
    ).toEqual(['begin a', 'begin b']);
  });

  test('one before a GPU is given, asked for once; none while it is fresh', () => {
    const first = at([
      [0, start('a', 1, needing(1))],
      [1, start('b', 2)],
    ]);
    expect(first.short).toEqual(['look']);
    const then = at(
      [
        [2, seen([gpu(0), gpu(1)])],
        [5_001, start('c', 3, needing(1))],
      ],
      first.state,
    );
    expect(then.short).toEqual(['begin a', 'begin b', 'begin c']);
    expect(
      then.effects.flatMap((e) => (e.kind === 'begin' ? [e.gpus.map(({ id }) => id)] : [])),
    ).toEqual([['GPU-0'], [], ['GPU-1']]);
    const late = at(
      [
        [6_000, ended('a')],
        [6_000, start('d', 4, needing(1))],
      ],
      then.state,
    );
    expect(late.short).toEqual(['look']);
  });

  test('what turns out not to be there is refused, once that is known', () => {
    const initial = {
      ...newHost(2, 2),
      gpus: { gpus: [], isKnown: false, lookedMs: null, asked: null },
    };
    const { state, short: said } = at([[0, start('a', 1, needing(1))]], initial);
    expect(said).toEqual(['behind_fence a', 'look']);
    expect(at([[1, seen([])]], state).short).toEqual(['refuse a']);
    expect(at([[0, start('a', 1, needing(3))]]).short).toEqual(['refuse a']);
  });
});

describe('behind the fence of a GPU', () => {
  const fencedOne = [gpu(0, { fence: FENCE })];
  test('it says why, holds up nobody, is looked at again where nothing runs, and begins', () => {
    const waiting = at([
      [0, seen(fencedOne)],
      [1, start('a', 1, needing(1))],
    ]);
    expect(waiting.short).toEqual(['behind_fence a', 'look_later']);
    expect(waiting.effects).toContainEqual({
      kind: 'behind_fence',
      key: key('a'),
      reason: 'it needs 1 GPU; GPU 0 is fenced: in use by x',
    });
    const busy = at(
      [
        [2, start('b', 2)],
        [5_001, { kind: 'recheck' }],
      ],
      waiting.state,
    );
    expect(busy.short).toEqual(['begin b', 'look']);
    // Something runs: its peace is kept until the next look of discovery's own.
    const again = at([[5_002, seen(fencedOne)]], busy.state);
    expect(again.short).toEqual([]);
    expect(at([[5_003, seen([gpu(0)])]], again.state).short).toEqual(['begin a']);
  });

  test('what survivors hold is not given away until they are gone', () => {
    const { state } = at([
      [0, seen([gpu(0)])],
      [1, start('a', 1, needing(1))],
      [2, ended('a', [77])],
    ]);
    const next = at([[3, start('b', 2, needing(1))]], state);
    expect(next.short).toEqual(['behind_fence b', 'look_later']);
    expect(at([[4, { kind: 'freed', key: key('a') }]], next.state).short).toEqual(['begin b']);
  });
});

test('whatever comes in whatever order: no GPU has two owners, and none is given while fenced', () => {
  const tasks = ['a', 'b', 'c', 'd', 'e', 'f'];
  const step = fc.oneof(
    fc.record({
      kind: fc.constant('start' as const),
      task: fc.constantFrom(...tasks),
      count: fc.integer({ min: 0, max: 3 }),
    }),
    fc.record({
      kind: fc.constant('gpus' as const),
      fenced: fc.subarray([0, 1, 2]),
      isLook: fc.boolean(),
    }),
    fc.record({
      kind: fc.constantFrom('ended' as const, 'fenced' as const, 'freed' as const),
      task: fc.constantFrom(...tasks),
    }),
    fc.record({ kind: fc.constant('recheck' as const) }),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 6_000 }), step), { maxLength: 50 }),
      (steps) => {
        let state: HostState = newHost(4, 4);
        let [monotonicMs, sequence] = [0, 0];
        for (const [passed, each] of steps) {
          monotonicMs += passed;
          sequence += 1;
          const gpus = (fenced: readonly number[]): Gpu[] =>
            [0, 1, 2].map((index) => gpu(index, fenced.includes(index) ? { fence: FENCE } : {}));
          const message: HostMessage =
            each.kind === 'start'
              ? start(each.task, sequence, needing(each.count))
              : each.kind === 'gpus'
                ? seen(gpus(each.fenced), each.isLook)
                : each.kind === 'recheck'
                  ? each
                  : each.kind === 'freed'
                    ? { kind: 'freed', key: key(each.task) }
                    : ended(each.task, each.kind === 'fenced' ? [7] : []);
          const [next, effects] = updateHost(state, message, { wallMs: 0, monotonicMs });
          state = next;
          const held = [...state.live.values()].flatMap((live) => live.gpus);
          expect(new Set(held).size).toBe(held.length);
          for (const effect of effects) {
            if (effect.kind !== 'begin') continue;
            const needs = state.live.get(effect.key)?.needs;
            expect(effect.gpus).toHaveLength(needs?.gpus?.count ?? 0);
            for (const { id } of effect.gpus) {
              expect(state.gpus.gpus.find((known) => known.id === id)?.fence).toBeUndefined();
              expect(monotonicMs - (state.gpus.lookedMs ?? -Infinity)).toBeLessThan(5_000);
            }
          }
        }
      },
    ),
  );
});
