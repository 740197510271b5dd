/** What recoveries have cost: how many, of which classes, and the time that went into them. */
import { describe, expect, it } from 'vitest';
import { goldenMessages } from '#test/support/golden-messages.ts';
import { TimedLog } from '#test/support/timed-log.ts';

describe('recoveries', () => {
  it('are the attempts that followed a failure, by class, with the time that was lost', () => {
    const log = new TimedLog();
    log.begun(3);
    log.begin(0);
    log.exit(0, { elapsedMs: 100, outcome: 'failed', class: 'exit' });
    log.retry(0, 1);
    log.begin(0, 'a2', 2);
    log.exit(0, { elapsedMs: 50, outcome: 'lost', class: 'lost' }, { agent: 'a2', n: 2 });
    log.retry(0, 2, 'lost');
    log.begin(0, 'a1', 3);
    log.exit(0, { elapsedMs: 400 }, { n: 3 });
    log.end(0, 'passed', 3);
    log.begin(1);
    log.exit(1, { elapsedMs: 7, outcome: 'failed', class: 'exit' });
    log.retry(1, 1);
    // No recovery followed this one.
    log.begin(2);
    log.exit(2, { elapsedMs: 1_000, outcome: 'failed', class: 'exit' });
    log.end(2, 'failed');
    expect(log.view().recoveries).toEqual({
      ...{ count: 3, classes: { exit: 2, lost: 1 }, tasks: 2, passed: 1 },
      ...{ lostMs: 157, keptMs: 0, adopted: 0 },
      deliberate: { count: 0, classes: {}, tasks: 0, passed: 0, lostMs: 0, keptMs: 0 },
    });
  });

  it('the time of a lost attempt is that until its task went on, whatever was heard of it last', () => {
    const log = new TimedLog();
    log.begun(2);
    log.nowMs = 1_000;
    log.begin(0);
    log.begin(1);
    log.nowMs = 18_000;
    const lost = { n: 1, class: 'lost', reason: null, superseded: true, avoid: 'a1' } as const;
    log.task(log.tasks[0] ?? '', 'task.retrying', lost);
    log.task(log.tasks[1] ?? '', 'task.retrying', lost);
    log.nowMs = 50_000;
    // What comes of it later is nobody's any more.
    log.exit(0, { elapsedMs: 49_000 });
    expect(log.view().recoveries).toMatchObject({ count: 2, lostMs: 34_000, keptMs: 0 });
    log.begin(1, 'a2', 2);
    const from = { n: 1, number: 2 };
    const resumed = { ...goldenMessages['attempt.resumed'], from };
    log.attempt({ task: log.tasks[1] ?? '', n: 2, agent: 'a2' }, 'attempt.resumed', resumed);
    expect(log.view().recoveries).toMatchObject({ count: 2, lostMs: 17_000, keptMs: 17_000 });
  });

  it('a pause is none, and what a checkpoint has kept is not lost', () => {
    const log = new TimedLog();
    log.begun(1);
    const at = { task: log.tasks[0] ?? '', n: 1 };
    log.begin(0);
    log.attempt(at, 'attempt.adopted', goldenMessages['attempt.adopted']);
    log.exit(0, { elapsedMs: 900, outcome: 'stopped', class: 'paused' });
    log.retry(0, 1, 'paused');
    log.begin(0, 'a1', 2);
    const from = { n: 1, number: 2 };
    const resumed = { ...goldenMessages['attempt.resumed'], from };
    log.attempt({ ...at, n: 2 }, 'attempt.resumed', resumed);
    const paused = {
      count: 1,
      classes: { paused: 1 },
      tasks: 1,
      passed: 0,
      lostMs: 0,
      keptMs: 900,
    };
    expect(log.view().recoveries).toMatchObject({ count: 0, adopted: 1, deliberate: paused });
  });
});
