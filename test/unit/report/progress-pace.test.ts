import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ProgressPace } from '#agent/report/progress-pace.ts';

test('not at every line, not for too little, and at the end all of it', () => {
  const pace = new ProgressPace();
  pace.say(0.1);
  expect(pace.take(50, false)).toBeNull();
  expect(pace.take(200, false)).toBe(0.1);
  pace.say(0.3);
  pace.say(0.25);
  expect(pace.take(350, false)).toBeNull();
  expect(pace.take(400, false)).toBe(0.3);
  expect(pace.take(1_000, false)).toBeNull();
  pace.say(0.301);
  expect(pace.take(2_000, false)).toBeNull();
  expect(pace.take(2_000, true)).toBe(0.301);
  expect(pace.take(2_000, true)).toBeNull();
  pace.say(1);
  expect(pace.take(2_001, false)).toBe(1);
});

test('whatever is said and whenever it is asked: only forward, and at the end the furthest', () => {
  const progress = fc.double({ min: 0, max: 1, noNaN: true });
  const turn = fc.record({ progress, afterMs: fc.nat(500) });
  fc.assert(
    fc.property(fc.array(turn), (turns) => {
      const pace = new ProgressPace();
      let [elapsedMs, told, furthest] = [0, 0, 0];
      const ask = (isEnd: boolean): void => {
        const next = pace.take(elapsedMs, isEnd);
        if (next === null) return;
        expect(next).toBeGreaterThan(told);
        told = next;
      };
      for (const { progress: said, afterMs } of turns) {
        furthest = Math.max(furthest, said);
        pace.say(said);
        elapsedMs += afterMs;
        ask(false);
      }
      ask(true);
      expect(told).toBe(furthest);
    }),
  );
});
