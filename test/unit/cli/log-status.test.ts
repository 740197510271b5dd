/** `logs` tells pending, started with nothing written, unreachable and ended apart. */
import { beforeEach, describe, expect, it } from 'vitest';
import {
  attemptsOf,
  hasEnded,
  incompleteText,
  outcomeText,
  statusText,
  unfinishedOf,
  type LogTarget,
} from '#cli/logs/log-status.ts';
import { applyToRun, createRunFold, type RunFold } from '#protocol/fold/run-fold.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';
import { RecordLog, RUN } from '#test/support/records.ts';

describe('log status', () => {
  let log: RecordLog;
  let task: string;
  beforeEach(() => {
    log = new RecordLog();
    log.submitted();
    task = [...folded().tasks.keys()][0] ?? '';
  });
  const folded = (): RunFold => {
    const fold = createRunFold(RUN);
    for (const record of log.records) applyToRun(fold, record);
    return fold;
  };
  const target = (): LogTarget => ({ run: RUN, task, n: null });
  const start = (): void => {
    log.attempt({ task, n: 1 }, 'attempt.accepted', goldenMessages['attempt.accepted']);
    log.attempt({ task, n: 1 }, 'attempt.step_started', goldenMessages['attempt.step_started']);
  };

  it('pending', () => {
    expect(statusText(folded(), target(), 0)).toBe(
      `task ${RUN}/${task} is pending: nothing of it has started`,
    );
    expect(outcomeText(folded(), target())).toBeNull();
  });

  it('accepted is still pending', () => {
    log.attempt({ task, n: 1 }, 'attempt.accepted', goldenMessages['attempt.accepted']);
    expect(statusText(folded(), target(), 0)).toMatch(
      /is pending: .*, it waits for its turn on a1$/,
    );
  });

  it('started, 0 bytes; then nothing to say', () => {
    start();
    expect(statusText(folded(), target(), 0)).toBe(
      `${RUN}/${task}#1 started on a1, 0 bytes so far`,
    );
    expect(statusText(folded(), target(), 10)).toBeNull();
    expect(hasEnded(folded(), target())).toBe(false);
  });

  it('ended: without a start, or without a byte', () => {
    log.attempt({ task, n: 1 }, 'attempt.accepted', goldenMessages['attempt.accepted']);
    const ended = { outcome: 'stopped', reason: null, n: 1, stage: null, class: null } as const;
    log.task(task, 'task.ended', { ...goldenMessages['task.ended'], ...ended });
    expect(statusText(folded(), target(), 0)).toBe(
      `nothing of task ${RUN}/${task} was ever started`,
    );
  });

  it('a file that is not in a run’s directory is named', () => {
    const ref = { run: RUN, task, n: 1 };
    expect(incompleteText({ ref, at: 0, of: 9, isAway: false, file: '/r/1.log' })).toBe(
      `the log of ${RUN}/${task}#1 is incomplete: bytes 0 to 0 of 9 were read: /r/1.log is missing or cut short`,
    );
  });

  it('what ended before its log was read to the end is not finished', () => {
    const at = (offset: number) => unfinishedOf(folded(), target(), () => offset);
    start();
    expect(at(0)).toEqual([]);
    log.attempt({ task, n: 1 }, 'attempt.exited', goldenMessages['attempt.exited']);
    const ref = { run: RUN, task, n: 1 };
    expect(at(50)).toEqual([{ ref, at: 50, of: 120, isAway: false }]);
    expect(at(120)).toEqual([]);
    log.add(subjects.fleet('a1'), 'agent.unreachable', { silentMs: 9_000 });
    const [one] = at(50);
    expect(one?.isAway).toBe(true);
    expect(one === undefined ? '' : incompleteText(one)).toBe(
      `the log of ${RUN}/${task}#1 is incomplete: bytes 0 to 50 of 120 were read: its agent is unreachable`,
    );
  });

  it('unreachable, whatever came before', () => {
    start();
    log.add(subjects.fleet('a1'), 'agent.unreachable', { silentMs: 9_000 });
    expect(statusText(folded(), target(), 10)).toMatch(/agent a1 is unreachable/);
  });

  it('ended: with its outcome and, if stopped, by whom', () => {
    start();
    const stop = { command: 's1', by: 'ann@desk', reason: 'enough' };
    log.attempt({ task, n: 1 }, 'attempt.exited', {
      ...goldenMessages['attempt.exited'],
      outcome: 'stopped',
      stop,
    });
    log.task(task, 'task.ended', {
      outcome: 'stopped',
      n: 1,
      stage: null,
      class: null,
      reason: null,
    });
    expect(hasEnded(folded(), target())).toBe(true);
    expect(outcomeText(folded(), target())).toBe(
      `task ${RUN}/${task} stopped, stopped by ann@desk: enough`,
    );
    expect(statusText(folded(), target(), 0)).toBe('nothing was written');
    expect(attemptsOf(folded(), target())).toHaveLength(1);
  });

  it('a run that was stopped names who stopped it', () => {
    log.run('run.stopping', { command: 's1', stopSequence: 3, by: 'ann@desk', reason: null });
    log.run('run.ended', { outcome: 'stopped', counts: {}, reason: null });
    expect(outcomeText(folded(), { run: RUN, task: null, n: null })).toBe(
      `run ${RUN} stopped, stopped by ann@desk`,
    );
  });
});
