import { describe, expect, it } from 'vitest';
import { startActor } from '#protocol/runtime/actor.ts';
import { backoffMs } from '#protocol/runtime/backoff.ts';
import type { Clock } from '#protocol/runtime/clock.ts';

const clock: Clock = {
  now: () => ({ wallMs: 1, monotonicMs: 2 }),
  after: () => ({ cancel: () => undefined }),
};

describe('actor', () => {
  it('handles one message at a time, in order, those posted by effects last', () => {
    const seen: string[] = [];
    const actor = startActor<number, string, string>({
      initial: 0,
      update: (count, message) => {
        seen.push(`begin ${message}`);
        return [count + 1, message.length === 1 ? [`${message}!`] : []];
      },
      perform: (effect, post) => {
        post(effect);
        seen.push(`performed ${effect}`);
      },
      clock,
      onBug: (error) => {
        throw error;
      },
    });
    actor.post('a');
    actor.post('b');
    expect(seen).toEqual([
      'begin a',
      'performed a!',
      'begin a!',
      'begin b',
      'performed b!',
      'begin b!',
    ]);
    expect(actor.state()).toBe(4);
  });

  it('hands a bug to its owner and handles nothing more', () => {
    const bugs: unknown[] = [];
    const actor = startActor<number, string, never>({
      initial: 0,
      update: () => {
        throw new Error('bug');
      },
      perform: () => undefined,
      clock,
      onBug: (error) => bugs.push(error),
    });
    actor.post('a');
    actor.post('b');
    expect(bugs).toHaveLength(1);
  });
});

describe('backoff', () => {
  it('grows to its maximum and jitters below it', () => {
    const policy = { firstMs: 100, maxMs: 1000, factor: 2 };
    expect(backoffMs(policy, 0, 0)).toBe(50);
    expect(backoffMs(policy, 0, 0.999)).toBeLessThanOrEqual(100);
    expect(backoffMs(policy, 20, 0.999)).toBeLessThanOrEqual(1000);
    expect(backoffMs(policy, 20, 0)).toBe(500);
  });
});
