import { describe, expect, it } from 'vitest';
import { timeLeftOf, type TimeLeft } from '#protocol/fold/progress/time-left.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';
import { TimedLog } from '#test/support/timed-log.ts';

type About = Extract<TimeLeft, { kind: 'about' }>;

function aboutIn(log: TimedLog): About {
  const { left } = log.view();
  if (left?.kind !== 'about') throw new Error(`no estimate: ${JSON.stringify(left)}`);
  return left;
}

/**
 * Tasks that take `tookMs` each, in their order, on so many slots of a1: until `ended` have ended. Answers
 * the log and what is left in truth.
 */
function played(
  tookMs: readonly number[],
  about: {
    readonly slots: number;
    readonly ended: number;
    readonly suite?: Partial<SuiteSpec>;
    /** Between the end of a task and the start of the next on its slot. */
    readonly gapMs?: number;
  },
): { log: TimedLog; leftMs: number } {
  const { slots, ended, suite = {}, gapMs = 0 } = about;
  const log = new TimedLog();
  log.agent('a1', { slots, cpus: 64 });
  log.begun(tookMs.length / (suite.repeats ?? 1), suite);
  const events: { atMs: number; index: number; isEnd: boolean }[] = [];
  const free = new Array<number>(slots).fill(0);
  let lastMs = 0;
  for (const [index, took] of tookMs.entries()) {
    const slot = free.indexOf(Math.min(...free));
    const atMs = free[slot] ?? 0;
    events.push({ atMs, index, isEnd: false }, { atMs: atMs + took, index, isEnd: true });
    free[slot] = atMs + took + gapMs;
    lastMs = Math.max(lastMs, atMs + took);
  }
  events.sort((a, b) => a.atMs - b.atMs || Number(b.isEnd) - Number(a.isEnd));
  let count = 0;
  for (const { atMs, index, isEnd } of events) {
    // What begins at that very moment has begun.
    if (count === ended && (atMs > log.nowMs || isEnd)) break;
    log.nowMs = atMs;
    if (isEnd) {
      log.passed(index, tookMs[index] ?? 0);
      count += 1;
    } else log.begin(index);
  }
  return { log, leftMs: lastMs - log.nowMs };
}

const SECOND = 1_000;

describe('time left', () => {
  it('of equal tasks is exact where they fill their slots', () => {
    const { log, leftMs } = played(new Array<number>(41).fill(SECOND), { slots: 1, ended: 10 });
    expect(leftMs).toBe(31 * SECOND);
    expect(aboutIn(log)).toEqual({
      ...{ kind: 'about', ms: leftMs, lowMs: leftMs, highMs: leftMs },
      ...{ basis: 10, tasks: 31, known: 0, places: 1, paused: 0, isBudget: false },
    });
  });

  it('of few tasks on many slots is between an even share and the longest behind it', () => {
    const { log, leftMs } = played(new Array<number>(10).fill(SECOND), { slots: 3, ended: 3 });
    expect(leftMs).toBe(3 * SECOND);
    const { lowMs, highMs, ms } = aboutIn(log);
    expect(lowMs).toBeCloseTo((7 / 3) * SECOND);
    expect(highMs).toBeCloseTo((7 / 3 + 2 / 3) * SECOND);
    expect(ms).toBeCloseTo((8 / 3) * SECOND);
  });

  it('goes by the other repeats of a cell where there are any', () => {
    const cells = [1, 2, 3, 30].map((seconds) => seconds * SECOND);
    const suite = { repeats: 2 };
    const { log, leftMs } = played([...cells, ...cells], { slots: 1, ended: 4, suite });
    expect(leftMs).toBe(36 * SECOND);
    const left = aboutIn(log);
    expect(left).toMatchObject({ ms: leftMs, basis: 4, tasks: 4, known: 4 });
    // Listed from short to long, the mean of what has ended says little of what comes.
    const first = aboutIn(played(cells, { slots: 1, ended: 3 }).log);
    expect(first).toMatchObject({ tasks: 1, known: 0, ms: 2 * SECOND });
  });

  it('counts what starting a task costs, and slots that others have', () => {
    const tookMs = new Array<number>(30).fill(100);
    const { log, leftMs } = played(tookMs, { slots: 1, ended: 10, gapMs: 300 });
    const { ms, places } = aboutIn(log);
    expect(places).toBeGreaterThan(0.25);
    expect(places).toBeLessThan(0.3);
    expect(Math.abs(ms - leftMs) / leftMs).toBeLessThan(0.15);
  });

  it('what runs takes what is left of it, by its own progress if it says so', () => {
    const { log } = played(
      [10, 10, 10].map((seconds) => seconds * SECOND),
      { slots: 1, ended: 2 },
    );
    expect(aboutIn(log).ms).toBe(10 * SECOND);
    log.nowMs += 4 * SECOND;
    const at = { task: log.tasks[2] ?? '', n: 1 };
    const said = (progress: number): void => {
      log.attempt(at, 'attempt.progress', { elapsedMs: 4 * SECOND, progress });
    };
    said(0.01);
    expect(aboutIn(log).ms).toBe(6 * SECOND);
    said(0.1);
    expect(aboutIn(log).ms).toBe(36 * SECOND);
  });

  it('what runs longer than expected may take as long again', () => {
    const { log } = played(
      [1, 1, 60].map((seconds) => seconds * SECOND),
      { slots: 1, ended: 2 },
    );
    log.nowMs += 50 * SECOND;
    log.run('run.noted', { ...goldenMessages['run.noted'], task: null });
    expect(aboutIn(log)).toMatchObject({ ms: 0, highMs: 50 * SECOND });
  });

  it('counts on the agents that are there now', () => {
    const { log } = played(new Array<number>(20).fill(SECOND), { slots: 1, ended: 10 });
    const before = aboutIn(log);
    log.agent('a2', { slots: 1 });
    expect(aboutIn(log).places).toBe(2 * before.places);
    log.add(subjects.fleet('a2'), 'agent.unreachable', { silentMs: 1 });
    expect(aboutIn(log).places).toBe(before.places);
  });

  it('maxParallel is a limit, also one that was set since', () => {
    const { log } = played(new Array<number>(20).fill(SECOND), { slots: 4, ended: 8 });
    expect(aboutIn(log).places).toBe(4);
    log.run('run.changed', { maxParallel: 2, by: 'ann@box' });
    expect(aboutIn(log).places).toBe(2);
  });

  it('a budget of the run ends it before that', () => {
    const suite = { runBudgetMs: 15 * SECOND };
    const { log } = played(new Array<number>(41).fill(SECOND), { slots: 1, ended: 10, suite });
    const left = { ms: 5 * SECOND, lowMs: 5 * SECOND, highMs: 5 * SECOND, isBudget: true };
    expect(aboutIn(log)).toMatchObject(left);
  });

  it('tasks that are paused are left out, and said', () => {
    const { log } = played(new Array<number>(20).fill(SECOND), { slots: 1, ended: 10 });
    const task = log.tasks[19] ?? '';
    log.run('run.paused', { ...goldenMessages['run.paused'], task });
    expect(aboutIn(log)).toMatchObject({ tasks: 9, paused: 1, ms: 9 * SECOND });
  });

  it('without knowing the agents goes by the slots it has had', () => {
    const { log, leftMs } = played(new Array<number>(41).fill(SECOND), { slots: 2, ended: 11 });
    const left = timeLeftOf(log.fold(), null);
    expect(left).toMatchObject({ kind: 'about', places: 2 });
    expect(Math.abs((left as About).ms - leftMs)).toBeLessThan(SECOND);
  });

  it('its range holds about four times of five, whatever the tasks take', () => {
    // A small generator of its own, so that each run of this test is the same one.
    let state = 12_345;
    const random = (): number => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      return state / 2_147_483_648;
    };
    let held = 0;
    const rounds = 300;
    for (let round = 0; round < rounds; round += 1) {
      const count = 20 + Math.floor(random() * 60);
      const slots = 1 + Math.floor(random() * 6);
      const spread = random();
      const tookMs = Array.from({ length: count }, () =>
        Math.round(SECOND * Math.exp(spread * (random() + random() + random() - 1.5))),
      );
      const ended = slots + 3 + Math.floor(random() * (count - slots - 6));
      const { log, leftMs } = played(tookMs, { slots, ended });
      const { lowMs, highMs } = aboutIn(log);
      if (lowMs <= leftMs && leftMs <= highMs) held += 1;
    }
    // Wider would tell less than it says.
    expect(held / rounds).toBeGreaterThan(0.8);
    expect(held / rounds).toBeLessThan(0.95);
  });
});

describe('no time left is told', () => {
  const unknown = (log: TimedLog): string | null => {
    const { left } = log.view();
    return left?.kind === 'unknown' ? left.reason : null;
  };
  const half = (): TimedLog => played([1, 1, 1, 1], { slots: 1, ended: 2 }).log;
  const stop = { ...goldenMessages['run.paused'], task: null };

  it.each([
    [
      'before two tasks have ended',
      'one task has ended; two tell',
      () => {
        return played([SECOND, SECOND, SECOND], { slots: 1, ended: 1 }).log;
      },
    ],
    [
      'of a run that is paused',
      'it is paused',
      () => {
        const log = half();
        log.run('run.paused', stop);
        return log;
      },
    ],
    [
      'of a run that is being stopped',
      'it is being stopped',
      () => {
        const log = half();
        log.run('run.stopping', goldenMessages['run.stopping']);
        return log;
      },
    ],
    [
      'where all that is left is paused',
      'what is left of it is paused',
      () => {
        const log = half();
        [2, 3].forEach((at) => {
          const command = `p${at}`;
          log.run('run.paused', { ...stop, command, task: log.tasks[at] ?? '', stopSequence: at });
        });
        return log;
      },
    ],
    [
      'where nobody is there to run it',
      'no agent is there for it',
      () => {
        const log = half();
        log.exit(2, { elapsedMs: 1, outcome: 'failed', class: 'exit' });
        log.retry(2, 1);
        log.add(subjects.hostEvents('a1'), 'agent.stopping', { reason: 'SIGTERM' });
        return log;
      },
    ],
    [
      'where nothing took any time',
      'what has ended took no time',
      () => {
        const log = new TimedLog();
        log.agent('a1');
        log.begun(4);
        [0, 1].forEach((at) => {
          log.begin(at);
          log.passed(at, 0);
        });
        return log;
      },
    ],
  ])('%s', (_when, reason, logOf) => {
    expect(unknown(logOf())).toBe(reason);
  });
});
