/** The next stage of a gang that is started in steps, or its end: from what the ranks have told alone. */
import { describe, expect, it } from 'vitest';
import { rampTurn } from '#coordinator/core/gangs/ramp.ts';
import { createAttemptFold, type AttemptFold } from '#protocol/fold/attempt-fold.ts';
import { applyToRamp, rampMetrics, rampView, type RampFold } from '#protocol/fold/ramp-fold.ts';
import type { Message } from '#protocol/messages/envelope.ts';
import type { AttemptStageMeasured } from '#protocol/messages/attempt/ramp-events.ts';
import { stagesOf, type RampRules } from '#protocol/messages/attempt/ramp.ts';
import type { Metric } from '#protocol/messages/attempt/outcome.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';

const RULES: RampRules = { steps: [1, 2, 4], everyMs: 1_000 };
const UNTIL: RampRules = { ...RULES, until: { metric: 'm', gain: 0.05 } };

interface Told {
  /** By stage: the values of `m` that its ranks have told, by rank. */
  readonly values: readonly (readonly (number | 'early')[])[];
  readonly exited?: readonly number[];
  readonly direction?: Metric['direction'];
}

/** A gang of four whose stages so far have told these values. */
function gangOf({ values, exited = [], direction = 'higher' }: Told) {
  const counts = stagesOf(RULES, 4);
  const ranks = Array.from({ length: 4 }, (_, rank): AttemptFold => {
    const fold = createAttemptFold(1, `a${rank}`, { host: 'h', address: '', timeMs: 0 });
    if (exited.includes(rank)) fold.exited = goldenMessages['attempt.exited'];
    fold.stages = values.flatMap((told, at): AttemptStageMeasured[] => {
      const value = told[rank];
      if (value === undefined) return [];
      const metric = { name: 'm', value: Number(value), unit: 'x', direction } as const;
      const metrics = value === 'early' ? [] : [{ ...metric, across: 'sum' as const }];
      const isWhole = value !== 'early';
      return [{ elapsedMs: 1, stage: at + 1, isWhole, metrics, requests: null }];
    });
    return fold;
  });
  const ramp: RampFold = {
    stages: values.map((_, at) => ({
      ...{ n: 1, stage: at + 1, ranks: counts[at] ?? 4, startMs: at * 1_000, measureMs: 1_000 },
    })),
    ended: null,
  };
  return { hosts: 4, ranks, ...(values.length === 0 ? {} : { ramp }) };
}

const turn = (rules: RampRules, told: Told) => rampTurn(rules, gangOf(told));

describe('a ramp', () => {
  it('opens the next stage when every rank of the last has told its own, the last with all ranks', () => {
    expect(turn(RULES, { values: [] })).toEqual({ kind: 'open', stage: 1, ranks: 1 });
    expect(turn(RULES, { values: [[]] })).toBeNull();
    expect(turn(RULES, { values: [[10]] })).toEqual({ kind: 'open', stage: 2, ranks: 2 });
    expect(turn(RULES, { values: [[10], [10]] })).toBeNull();
    expect(turn(RULES, { values: [[10], [10, 10]] })).toEqual({ kind: 'open', stage: 3, ranks: 4 });
    expect(turn(RULES, { values: [[10], [10, 10], [1, 1, 1, 1]] })).toMatchObject({
      ...{ kind: 'end', stage: 3, why: 'steps' },
    });
    expect(stagesOf({ steps: [2, 8] }, 6)).toEqual([2, 6]);
  });

  it('ends with a rank whose run ended by itself, told or not', () => {
    expect(turn(RULES, { values: [[10], ['early', 10]] })).toMatchObject({
      ...{ kind: 'end', stage: 2, why: 'rank_ended' },
      reason: 'the run of rank 0 ended by itself in stage 2',
    });
    expect(turn(RULES, { values: [[10], [10]], exited: [1] })).toMatchObject({ why: 'rank_ended' });
  });

  it.each([
    // Of the sums over ranks: 100, then as told.
    [
      [60, 44],
      'higher',
      'gain',
      '104 x with 2 ranks, 4 % better than 100: a gain of less than 5 %',
    ],
    [[60, 45], 'higher', null, ''],
    [[40, 40], 'higher', 'gain', '80 x with 2 ranks, 20 % worse'],
    [[40, 40], 'lower', null, ''],
    [[60, 60], 'lower', 'gain', '20 % worse'],
  ] as const)('of 100, then %j where %s is better: %s', (second, direction, why, reason) => {
    const found = turn(UNTIL, { values: [[100], second], direction });
    if (why === null) expect(found).toEqual({ kind: 'open', stage: 3, ranks: 4 });
    else {
      expect(found).toMatchObject({ kind: 'end', stage: 2, why });
      expect(found?.kind === 'end' ? found.reason : '').toContain(reason);
    }
  });

  it('says nothing of gain in its first stage, and ends where the metric is not there', () => {
    expect(turn(UNTIL, { values: [[100]] })).toMatchObject({ kind: 'open', stage: 2 });
    const rules = { ...UNTIL, until: { metric: 'other', gain: 0 } };
    expect(turn(rules, { values: [[1], [1, 1]] })).toMatchObject({ kind: 'end', why: 'gain' });
  });

  it('goes forward only, and is the phase of a gang that reports none', () => {
    const attempt = createAttemptFold(1, 'a', { host: 'h', address: '', timeMs: 0 });
    const gang: AttemptFold = { ...attempt, gang: { hosts: 4, ranks: [], ended: [] } };
    const open = (stage: number, ranks: number): void => {
      const data = { n: 1, stage, ranks, startMs: 1, measureMs: 1 };
      applyToRamp(gang, { name: 'task.stage_opened', data } as Message);
    };
    const stages = (): unknown => gang.gang?.ramp?.stages.map(({ stage }) => stage);
    open(1, 1);
    open(1, 2);
    open(3, 4);
    expect(stages()).toEqual([1]);
    open(2, 2);
    expect([stages(), gang.phase]).toEqual([[1, 2], 'stage 2 (2 of 4 ranks)']);
    const data = { n: 1, stage: 2, why: 'gain' as const, reason: 'r' };
    applyToRamp(gang, { name: 'task.ramp_ended', data } as Message);
    open(3, 4);
    applyToRamp(gang, { name: 'task.ramp_ended', data: { ...data, reason: 'q' } } as Message);
    expect(stages()).toEqual([1, 2]);
    expect(gang.gang?.ramp?.ended?.reason).toBe('r');
  });

  it('is one row a stage; its result is that of the last one that was whole', () => {
    const gang = gangOf({ values: [[10], [11, 12], ['early', 1, 1, 1]] });
    if (gang.ramp) gang.ramp.ended = { stage: 3, why: 'rank_ended', reason: 'x' };
    expect(
      rampView(gang)?.stages.map(({ stage, ranks, whole, metrics }) => [
        ...[stage, ranks, whole],
        metrics[0]?.value,
      ]),
    ).toEqual([
      [1, 1, true, 10],
      [2, 2, true, 23],
      [3, 4, false, 3],
    ]);
    expect(rampMetrics(gang)[0]?.value).toBe(23);
    expect(rampTurn(RULES, gang)).toBeNull();
  });
});
