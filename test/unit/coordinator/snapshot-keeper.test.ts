import { describe, expect, it } from 'vitest';
import {
  LEAST_EVENTS,
  SnapshotKeeper,
  isSnapshotDue,
} from '#coordinator/snapshot/snapshot-keeper.ts';
import type { Restored, Taken } from '#coordinator/snapshot/snapshot-port.ts';
import { createCore } from '#coordinator/core/core-state.ts';
import { silentLog } from '#protocol/runtime/log.ts';

describe('snapshots', () => {
  it('are due after half as many events as the last is made of, and never after few', () => {
    const due = (covered: number, since: number): boolean => isSnapshotDue({ covered, since });
    expect([due(0, LEAST_EVENTS - 1), due(0, LEAST_EVENTS)]).toEqual([false, true]);
    expect([due(200_000, 99_999), due(200_000, 100_000)]).toEqual([false, true]);
  });

  it('are made one at a time, tried again only when the next is due, and dropped with the last run', async () => {
    const asked: string[] = [];
    let settle: (taken: Taken | null) => void = () => undefined;
    const restored: Restored = {
      state: createCore({ epoch: 1, sequence: 1 }),
      sequence: 10,
      messages: 10,
    };
    const keeper = new SnapshotKeeper(
      {
        load: () => Promise.resolve(restored),
        take: () => {
          asked.push('take');
          return new Promise((resolve, reject) => {
            settle = (taken) => {
              if (taken === null) reject(new Error('full'));
              else resolve(taken);
            };
          });
        },
        drop: () => {
          asked.push('drop');
          return Promise.resolve();
        },
      },
      { log: silentLog, signal: new AbortController().signal },
    );
    const look = async (isIdle = false): Promise<void> => {
      keeper.look({ isIdle });
      await new Promise(setImmediate);
    };
    const hear = (events: number): void => {
      for (let event = 0; event < events; event += 1) keeper.onEvent();
    };
    expect(await keeper.load()).toBe(restored);
    await look();
    hear(LEAST_EVENTS);
    await look();
    await look();
    expect(asked).toEqual(['take']);
    settle(null);
    await new Promise(setImmediate);
    await look();
    expect(asked).toEqual(['take']);
    hear(LEAST_EVENTS);
    await look();
    settle({ sequence: 1, messages: 300_000, bytes: 1, tookMs: 1 });
    await new Promise(setImmediate);
    hear(LEAST_EVENTS);
    await look();
    expect(asked).toEqual(['take', 'take']);
    await look(true);
    await look(true);
    expect(asked).toEqual(['take', 'take', 'drop']);
  });
});
