/** What steps may hold of their logs: together never more than the host's bound. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hostSpoolBytes, shareOf, SpoolBudget } from '#agent/logs/spool-budget.ts';
import { silentLog } from '#protocol/runtime/log.ts';

const MIB = 1024 ** 2;
const never = (): number => {
  throw new Error('measured');
};

describe('a share', () => {
  test.each<[string, [number, number, number], number]>([
    ['all that is wanted', [100, 1_000, 3], 100],
    ['as much as is left to each idle slot', [500, 1_000, 3], 250],
    ['half, where no slot is idle', [900, 1_000, 0], 500],
    ['nothing of nothing', [900, 0, 0], 0],
    ['nothing of less', [900, -5, 0], 0],
  ])('%s', (_name, [wanted, free, idle], share) => {
    expect(shareOf(wanted, free, idle)).toBe(share);
  });

  test('by default each of any number of slots gets the default of a suite', () => {
    for (const slots of [1, 64, 65, 256, 4096]) {
      const limitBytes = hostSpoolBytes(slots);
      const budget = new SpoolBudget({ limitBytes, slots, log: silentLog, measure: never });
      const last = slots === 1 ? 1 : slots - 1;
      for (let at = 0; at < last; at += 1)
        expect(budget.take(`/s${at}`, 256 * MIB, false)).toBe(256 * MIB);
    }
  });
});

type Move = { readonly at: number } & (
  | { readonly kind: 'take'; readonly wanted: number; readonly isAlone: boolean }
  | { readonly kind: 'end'; readonly lies: number }
  | { readonly kind: 'release' }
);
const at = fc.nat(9);
const move: fc.Arbitrary<Move> = fc.oneof(
  fc.record({
    kind: fc.constant('take' as const),
    at,
    wanted: fc.integer({ min: 1, max: 3_000 }),
    isAlone: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('end' as const), at, lies: fc.nat(5_000) }),
  fc.record({ kind: fc.constant('release' as const), at }),
);

test('what is given out is never more than the bound, and never less than what may lie there', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 8_000 }),
      fc.array(move, { maxLength: 200 }),
      (slots, limitBytes, moves) => {
        /** What each folder may hold at most: its limit, then what lies in it. */
        const holds = new Map<string, number>();
        const ended = new Map<string, number>();
        const measure = (dir: string): number => ended.get(dir) ?? never();
        const budget = new SpoolBudget({ limitBytes, slots, log: silentLog, measure });
        for (const each of moves) {
          const dir = `/none/s${each.at}`;
          if (each.kind === 'take') {
            if (holds.has(dir)) continue;
            const given = budget.take(dir, each.wanted, each.isAlone);
            expect(given).toBeLessThanOrEqual(each.wanted);
            holds.set(dir, given);
          } else if (each.kind === 'end') {
            const most = holds.get(dir);
            if (most === undefined || ended.has(dir)) continue;
            ended.set(dir, Math.min(most, each.lies));
            holds.set(dir, Math.min(most, each.lies));
            budget.end(dir);
          } else {
            holds.delete(dir);
            ended.delete(dir);
            budget.release(dir);
          }
          const lies = [...holds.values()].reduce((sum, bytes) => sum + bytes, 0);
          expect(budget.heldBytes).toBeLessThanOrEqual(limitBytes);
          expect(budget.heldBytes).toBeGreaterThanOrEqual(lies);
        }
        for (const dir of holds.keys()) budget.release(dir);
        expect(budget.heldBytes).toBe(0);
      },
    ),
    { numRuns: 2_000 },
  );
});

describe('on disk', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'spool-budget-'));
  });
  afterEach(() => {
    rmSync(dir, { recursive: true, force: true });
  });

  function folder(name: string, bytes = 0): string {
    const path = join(dir, name);
    mkdirSync(path);
    if (bytes > 0) writeFileSync(join(path, 'log.0'), Buffer.alloc(bytes));
    return path;
  }

  test('steps that ended hold what lies in their folder, once somebody needs the room', () => {
    const budget = new SpoolBudget({ limitBytes: 1_000, slots: 1, log: silentLog });
    const ended = folder('ended', 100);
    expect(budget.take(ended, 500, false)).toBe(500);
    budget.end(ended);
    expect(budget.heldBytes).toBe(500);
    expect(budget.take(folder('next'), 450, false)).toBe(450);
    expect(budget.heldBytes).toBe(550);
  });

  test('the next process finds the limit of a step that got less, no more than the suite says', () => {
    const budget = new SpoolBudget({ limitBytes: 1_000, slots: 1, log: silentLog });
    const [whole, less] = [folder('whole'), folder('less')];
    budget.take(whole, 500, false);
    expect(readdirSync(whole)).toEqual([]);
    expect(budget.take(less, 500, false)).toBe(250);
    const next = new SpoolBudget({ limitBytes: 1_000, slots: 1, log: silentLog });
    expect([next.adopt(whole, 500), next.adopt(less, 500)]).toEqual([500, 250]);
    expect(next.heldBytes).toBe(750);
    writeFileSync(join(less, 'log-limit'), '999999\n');
    next.release(less);
    expect(next.adopt(less, 500)).toBe(500);
  });
});
