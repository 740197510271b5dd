/** Which tasks are paused: by the place of the pauses, whatever the order in which they are read. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addPause, addResume, createPauses, pauseOf, type Pauses } from '#protocol/fold/pauses.ts';

type Step =
  | { readonly pause: number; readonly task: string | null }
  | { readonly resume: number; readonly task: string | null };

function folded(steps: readonly Step[]): Pauses {
  const pauses = createPauses();
  for (const step of steps) {
    const { task } = step;
    if ('pause' in step) {
      const { pause: stopSequence } = step;
      const by = `by${stopSequence}`;
      const command = `${by}-${task ?? ''}`;
      addPause(pauses, { command, stopSequence, by, reason: null, task }, 0);
    } else addResume(pauses, { task, throughSequence: step.resume, by: 'r' }, 0);
  }
  return pauses;
}

const heldBy = (steps: readonly Step[], task: string | null): string | null =>
  pauseOf(folded(steps), task)?.by ?? null;

describe('a task', () => {
  it.each<[string, Step[], string | null, string | null, string | null]>([
    ['nothing', [], null, null, null],
    ['its run', [{ pause: 5, task: null }], 'by5', 'by5', 'by5'],
    ['itself', [{ pause: 5, task: 'a' }], null, 'by5', null],
    [
      'resumed alone in a paused run',
      [
        { pause: 5, task: null },
        { resume: 5, task: 'a' },
      ],
      'by5',
      null,
      'by5',
    ],
    [
      'paused again since',
      [
        { pause: 5, task: null },
        { resume: 5, task: 'a' },
        { pause: 9, task: 'a' },
      ],
      'by5',
      'by9',
      'by5',
    ],
    [
      'resumed with its run',
      [
        { pause: 5, task: 'a' },
        { pause: 6, task: 'b' },
        { resume: 6, task: null },
      ],
      null,
      null,
      null,
    ],
  ])('held by %s', (...[, steps, ...held]) => {
    expect([heldBy(steps, null), heldBy(steps, 'a'), heldBy(steps, 'b')]).toEqual(held);
  });

  it('is held, or not, whatever came first', () => {
    const task = fc.constantFrom(null, 'a', 'b');
    const step: fc.Arbitrary<Step> = fc.oneof(
      fc.record({ pause: fc.integer({ min: 1, max: 9 }), task }),
      fc.record({ resume: fc.integer({ min: 1, max: 9 }), task }),
    );
    const both = fc
      .array(step, { maxLength: 8 })
      .chain((steps) =>
        fc.tuple(fc.constant(steps), fc.shuffledSubarray(steps, { minLength: steps.length })),
      );
    fc.assert(
      fc.property(both, ([steps, shuffled]) => {
        for (const of of [null, 'a', 'b']) expect(heldBy(shuffled, of)).toBe(heldBy(steps, of));
      }),
    );
  });
});
