import { describe, expect, it } from 'vitest';
import { decide } from '#coordinator/runs/retry-policy.ts';
import {
  beginAttempt,
  endAttempt,
  endTask,
  retryTask,
  runOutcome,
} from '#coordinator/runs/run-reducer.ts';
import { createRun, type RunEntry } from '#coordinator/runs/run-state.ts';
import { goldenMessages, goldenSuite } from '#test/support/golden-messages.ts';
import { exited } from './exited.ts';

const failed = { outcome: 'failed', stage: 'run', class: 'signal', reason: 'killed' } as const;

describe('what follows an attempt', () => {
  it.each([
    ['a failure within its retries', { end: failed, used: {} }, 'retry'],
    ['a failure with none left', { end: failed, used: { signal: 1 } }, 'end'],
    ['a failure of another class', { end: { ...failed, class: 'exit' as const }, used: {} }, 'end'],
    ['retries of another class used up', { end: failed, used: { exit: 5 } }, 'retry'],
    ['a failure under a stop', { end: failed, used: {}, stopped: true }, 'end'],
    ['a deliberate stop', { end: { ...failed, outcome: 'stopped' as const }, used: {} }, 'end'],
    ['a pass', { end: { ...failed, outcome: 'passed' as const, class: null }, used: {} }, 'end'],
    [
      'a time-out',
      { end: { ...failed, outcome: 'timed_out' as const, class: null }, used: {} },
      'retry',
    ],
    ['a loss', { end: { ...failed, outcome: 'lost' as const, class: null }, used: {} }, 'end'],
  ])(
    '%s',
    (
      _name,
      {
        stopped = false,
        ...input
      }: { stopped?: boolean } & Pick<Parameters<typeof decide>[0], 'end' | 'used'>,
      kind,
    ) => {
      const retries = { signal: 1, timeout: 1 };
      expect(decide({ n: 1, retries, stopped, wasPaused: false, ...input }).kind).toBe(kind);
    },
  );
});

describe('what a draining agent gives back', () => {
  const end = { outcome: 'skipped', stage: 'provision', class: 'drained', reason: 'why' } as const;
  const input = { n: 3, retries: {}, used: { drained: 2 }, wasPaused: false };

  it.each(['skipped', 'stopped'] as const)(
    '%s: goes on elsewhere, and is never counted',
    (outcome) => {
      const given = { ...input, end: { ...end, outcome }, stopped: false };
      expect(decide(given)).toEqual({
        kind: 'retry',
        data: { n: 3, class: 'drained', reason: 'why' },
      });
    },
  );

  it('unless it was stopped meanwhile', () => {
    expect(decide({ ...input, end, stopped: true })).toMatchObject({
      kind: 'end',
      data: { outcome: 'stopped', n: 3, class: null },
    });
  });
});

describe('what was paused', () => {
  const end = {
    outcome: 'stopped',
    stage: null,
    class: 'paused',
    reason: 'paused by u@h',
  } as const;
  const input = { n: 2, end, retries: {}, used: {}, stopped: false, wasPaused: true };
  const again = { kind: 'retry', data: { n: 2, class: 'paused', reason: 'paused by u@h' } };

  it('is tried again, however often', () => {
    expect(decide(input)).toEqual(again);
    expect(decide({ ...input, used: { paused: 5_000 } })).toEqual(again);
  });

  it('is tried again before the pause itself was read, a few times with growing waits', () => {
    const waits: number[] = [];
    for (let used = 0; used < 1_000; used += 1) {
      const decision = decide({ ...input, wasPaused: false, used: { paused: used } });
      if (decision.kind === 'end') break;
      expect(decision).toMatchObject(again);
      waits.push(decision.data.delayMs ?? 0);
    }
    expect(waits.length).toBeLessThan(20);
    expect(waits[0]).toBeLessThan(50);
    const wholeMs = waits.reduce((sum, waitMs) => sum + waitMs, 0);
    expect(wholeMs).toBeGreaterThan(20_000);
    expect(wholeMs).toBeLessThan(60_000);
  });

  it('is tried again where an agent knows no pauses', () => {
    expect(decide({ ...input, end: { ...end, class: null } })).toEqual(again);
    const stopped = { ...input, end: { ...end, class: null }, wasPaused: false };
    expect(decide(stopped)).toMatchObject({ kind: 'end', data: { outcome: 'stopped' } });
  });

  it('ends where it was stopped meanwhile, or where nobody ever hears of the pause', () => {
    const ended = { kind: 'end', data: { outcome: 'stopped', n: 2, class: null } };
    expect(decide({ ...input, stopped: true })).toMatchObject(ended);
    expect(decide({ ...input, wasPaused: false, used: { paused: 1_000 } })).toMatchObject(ended);
  });

  it('failed by itself under the pause: as ever', () => {
    const failure = { ...failed, class: 'exit' as const };
    expect(decide({ ...input, end: failure })).toMatchObject({ kind: 'end' });
    expect(decide({ ...input, end: failure, retries: { exit: 1 } })).toMatchObject({
      kind: 'retry',
      data: { class: 'exit' },
    });
  });
});

describe('a run', () => {
  const open = (tasks = 2): RunEntry => {
    const suite = {
      ...goldenSuite,
      axes: { item: [1, 2, 3].slice(0, tasks) },
      include: [],
      exclude: [],
      repeats: 1,
    };
    return createRun('2026-02-13_14-30-45-k3f9', { ...goldenMessages['run.submitted'], suite }, 7);
  };
  const first = (run: RunEntry): string => run.listed[0]?.id ?? '';
  const begin = { n: 1, agent: 'a1', afterStop: 0, sequence: 5 };

  it('opens an attempt once, whichever news of it comes first', () => {
    const run = open();
    const task = first(run);
    expect(beginAttempt(run, { ...begin, task, sequence: null })).not.toBeNull();
    expect(beginAttempt(run, { ...begin, task, sequence: 9, afterStop: 3 })).toBeNull();
    expect(run.open.get(`${task}#1`)).toMatchObject({ sequence: 9, afterStop: 3 });
  });

  it('takes one end of an attempt, from the agent that has it', () => {
    const run = open();
    const task = first(run);
    beginAttempt(run, { ...begin, task });
    const at = { task, n: 1, agent: 'a1' };
    expect(endAttempt(run, { ...at, agent: 'a2' }, exited('passed'))).toEqual({
      vacated: false,
      decides: null,
    });
    expect(endAttempt(run, at, exited('passed'))).toMatchObject({
      vacated: true,
      decides: { id: task },
    });
    expect(endAttempt(run, at, exited('failed'))).toEqual({ vacated: false, decides: null });
    expect(run.undecided.get(task)?.outcome).toBe('passed');
    expect(beginAttempt(run, { ...begin, task })).toBeNull();
  });

  it('keeps an attempt whose end is not proven: it holds no slot, a stop asks for it', () => {
    const run = open();
    const task = first(run);
    beginAttempt(run, { ...begin, task });
    const unproven = { ...exited('failed'), proven: false };
    expect(endAttempt(run, { task, n: 1, agent: 'a1' }, unproven).vacated).toBe(true);
    expect(endAttempt(run, { task, n: 1, agent: 'a1' }, unproven)).toEqual({
      vacated: false,
      decides: null,
    });
    expect(run.open.get(`${task}#1`)?.exited).toBe(true);
  });

  it('ignores what an attempt says that is not the current one', () => {
    const run = open();
    const task = first(run);
    beginAttempt(run, { ...begin, task });
    endAttempt(run, { task, n: 1, agent: 'a1' }, exited('failed'));
    expect(retryTask(run, task, { n: 1, class: 'exit', reason: null })).toMatchObject({
      n: 2,
      phase: 'pending',
    });
    expect(retryTask(run, task, { n: 1, class: 'exit', reason: null })).toBeNull();
    expect(run.tasks.get(task)?.used).toEqual({ exit: 1 });
    expect(endAttempt(run, { task, n: 1, agent: 'a1' }, exited('passed')).decides).toBeNull();
    expect(run.tasks.get(task)).toMatchObject({ n: 2, phase: 'pending' });
  });

  it('ends a task once, and counts it once', () => {
    const run = open();
    const task = first(run);
    expect(endTask(run, task, 'failed')).not.toBeNull();
    expect(endTask(run, task, 'passed')).toBeNull();
    expect(run).toMatchObject({ endedTasks: 1, counts: { failed: 1 } });
  });

  it.each([
    [{ passed: 2 }, 0, 'passed'],
    [{ passed: 1, skipped: 1 }, 0, 'passed'],
    [{ passed: 1, timed_out: 1 }, 0, 'failed'],
    [{ passed: 1, lost: 1 }, 0, 'failed'],
    [{ failed: 1, stopped: 1 }, 4, 'stopped'],
    // One of its tasks was stopped by itself.
    [{ passed: 1, stopped: 1 }, 0, 'stopped'],
    [{ failed: 1, stopped: 1 }, 0, 'failed'],
  ])('with %o and stop %i is %s', (counts, stopSequence, outcome) => {
    const run = open();
    Object.assign(run.counts, counts);
    run.stopSequence = stopSequence;
    expect(runOutcome(run)).toBe(outcome);
  });
});
