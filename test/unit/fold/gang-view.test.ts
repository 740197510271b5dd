/** What is shown of a task on several hosts: its ranks, who is waited for at a barrier, who is not heard. */
import { describe, expect, it } from 'vitest';
import { taskValue } from '#cli/commands/show.ts';
import { styleFor } from '#cli/output/style.ts';
import { taskLines } from '#cli/output/task-text.ts';
import { currentLines } from '#cli/output/run-text.ts';
import { applyToRun, createRunFold, type RunFold } from '#protocol/fold/run-fold.ts';
import { attemptViews } from '#protocol/fold/attempt-view.ts';
import { runView } from '#protocol/fold/run-view.ts';
import type { TaskFold } from '#protocol/fold/task-fold.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';
import { RecordLog, RUN } from '#test/support/records.ts';

const AGENTS = ['a', 'b', 'c'];

class Gang {
  readonly log = new RecordLog();
  readonly fold: RunFold = createRunFold(RUN);
  readonly task: string;

  constructor() {
    applyToRun(this.fold, this.log.submitted());
    this.task = [...this.fold.tasks.keys()][0] ?? '';
    AGENTS.forEach((agent, rank) => {
      const accepted = { ...goldenMessages['attempt.accepted'], gang: { rank, hosts: 3 } };
      this.say(rank, 'attempt.accepted', accepted);
      expect(agent).toBe(AGENTS[rank]);
    });
  }

  say(rank: number, ...said: [Parameters<RecordLog['attempt']>[1], unknown]): void {
    const at = { task: this.task, n: 1, agent: AGENTS[rank] ?? '' };
    applyToRun(this.fold, this.log.attempt(at, said[0], said[1] as never));
  }

  ready(rank: number): void {
    this.say(rank, 'attempt.ready', { elapsedMs: 5, barrier: 'run' });
  }

  lines(): string[] {
    return taskLines(RUN, taskValue(this.fold, this.task), styleFor(false));
  }
}

describe('a task on three hosts', () => {
  it('says which ranks are waited for at a barrier, until they begin', () => {
    const gang = new Gang();
    const waits = (): unknown => runView(gang.fold)?.current[0]?.waiting;
    expect(waits()).toBeNull();
    gang.ready(1);
    expect(waits()).toBe('ranks 0 and 2 of 3, to begin run');
    gang.ready(0);
    expect(waits()).toBe('rank 2 of 3, to begin run');
    const lines = gang.lines().map((line) => line.trimStart());
    expect(lines).toContain('waits: rank 2 of 3, to begin run');
    expect(lines.filter((line) => line === 'waits: the other ranks, to begin run')).toHaveLength(2);
    expect(lines.filter((line) => /^rank \d on [abc] \(/.test(line))).toHaveLength(3);
    gang.ready(2);
    expect(waits()).toBe('their common start, to begin run');
    const started = { ...goldenMessages['attempt.step_started'], step: 'run' as const };
    for (const rank of [0, 1, 2]) gang.say(rank, 'attempt.step_started', started);
    expect(waits()).toBeNull();
  });

  it('stands in tables with the number of its other hosts', () => {
    const { fold } = new Gang();
    const view = runView(fold);
    if (view === null) throw new Error('no view');
    expect(currentLines(view, { style: styleFor(false), width: null }).join('\n')).toContain(
      'a +2',
    );
    expect(view.current[0]?.agents).toEqual(AGENTS);
  });

  it('is out of reach where any of its agents is', () => {
    const gang = new Gang();
    const of = (): boolean | undefined => runView(gang.fold)?.current[0]?.unreachable;
    expect(of()).toBe(false);
    const silent = gang.log.add(subjects.fleet('c'), 'agent.unreachable', { silentMs: 9 });
    applyToRun(gang.fold, silent);
    expect(of()).toBe(true);
    gang.say(2, 'attempt.exited', goldenMessages['attempt.exited']);
    expect(of()).toBe(false);
  });

  it('names the ranks that its task went on without, whenever these are heard of', () => {
    const gang = new Gang();
    gang.say(0, 'attempt.exited', { ...goldenMessages['attempt.exited'], outcome: 'stopped' });
    const data = {
      n: 1,
      class: 'lost' as const,
      reason: null,
      avoid: 'b',
      superseded: true as const,
    };
    const subject = subjects.task(RUN, gang.task);
    const retrying = gang.log.add(subject, 'task.retrying', { ...data, without: ['b', 'c'] });
    applyToRun(gang.fold, retrying);
    const left = (): string[] => gang.lines().filter((line) => line.includes(', superseded'));
    expect(left().map((line) => /(attempt|rank) \d/.exec(line)?.[0])).toEqual([
      'attempt 1',
      'rank 1',
      'rank 2',
    ]);
    gang.say(1, 'attempt.exited', { ...goldenMessages['attempt.exited'], outcome: 'lost' });
    gang.say(2, 'attempt.exited', { ...goldenMessages['attempt.exited'], outcome: 'passed' });
    const [attempt] = attemptViews(gang.fold.tasks.get(gang.task) as TaskFold);
    expect(attempt).toMatchObject({ superseded: true, partial: true, state: 'exited' });
    expect(attempt?.ranks?.map(({ superseded }) => superseded)).toEqual([false, true, true]);
    expect(gang.fold.tasks.get(gang.task)).toMatchObject({ n: 2, state: 'pending' });
  });

  it('knows of a rank that nobody had heard of when its task went on', () => {
    const log = new RecordLog();
    const fold = createRunFold(RUN);
    applyToRun(fold, log.submitted());
    const [task = ''] = fold.tasks.keys();
    const at = { task, n: 1, agent: 'a' };
    const place = (rank: number) => ({
      ...goldenMessages['attempt.accepted'],
      gang: { rank, hosts: 2 },
    });
    applyToRun(fold, log.attempt(at, 'attempt.accepted', place(0)));
    applyToRun(fold, log.attempt(at, 'attempt.exited', goldenMessages['attempt.exited']));
    const end = { outcome: 'lost' as const, n: 1, stage: null, class: null, reason: null };
    applyToRun(fold, log.add(subjects.task(RUN, task), 'task.ended', { ...end, without: ['b'] }));
    applyToRun(fold, log.attempt({ ...at, agent: 'b' }, 'attempt.accepted', place(1)));
    const [attempt] = attemptViews(fold.tasks.get(task) as TaskFold);
    expect(attempt?.ranks?.map(({ superseded }) => superseded)).toEqual([false, true]);
  });
});
