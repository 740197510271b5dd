/** A rank that begins anew on another host: the gang's one state does not go back, and both are kept apart. */
import { describe, expect, it } from 'vitest';
import { attemptsOf } from '#cli/logs/log-status.ts';
import { attemptOf } from '#cli/runs/find-attempt.ts';
import { styleFor } from '#cli/output/style.ts';
import { taskLines } from '#cli/output/task-text.ts';
import { taskValue } from '#cli/commands/show.ts';
import { contentsOf } from '#coordinator/results/contents.ts';
import { membersIn } from '#coordinator/results/tables.ts';
import { applyToRun, createRunFold, type RunFold } from '#protocol/fold/run-fold.ts';
import { attemptViews, type AttemptView } from '#protocol/fold/attempt-view.ts';
import { acceptedAttempts } from '#protocol/fold/task-attempts.ts';
import type { TaskFold } from '#protocol/fold/task-fold.ts';
import { runView } from '#protocol/fold/run-view.ts';
import { LOG_HEADERS, logRef } from '#protocol/messages/attempt/log.ts';
import type { MessageData, MessageName } from '#protocol/messages/catalog.ts';
import { attemptKey } from '#protocol/messages/ids.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';
import { RecordLog, RUN } from '#test/support/records.ts';

const PASSED = { outcome: 'passed' as const, stage: null, class: null, reason: null };
const EXITED = { ...goldenMessages['attempt.exited'], ...PASSED };
const PEER = { agent: 'c', host: 'hc', address: '10.0.0.3' };

class Gang {
  readonly log = new RecordLog();
  readonly fold: RunFold = createRunFold(RUN);
  readonly task: string;

  constructor(accepted: readonly string[] = ['a', 'b']) {
    applyToRun(this.fold, this.log.submitted());
    this.task = [...this.fold.tasks.keys()][0] ?? '';
    accepted.forEach((agent) => {
      this.accept(agent, agent === 'a' ? 0 : 1);
    });
  }

  accept(agent: string, rank: number): void {
    const place = { gang: { rank, hosts: 2 } };
    this.say(agent, 'attempt.accepted', { ...goldenMessages['attempt.accepted'], ...place });
  }

  say<N extends MessageName>(agent: string, name: N, data: MessageData<N>): void {
    applyToRun(this.fold, this.log.attempt({ task: this.task, n: 1, agent }, name, data));
  }

  lose(): void {
    const lost = { n: 1, rank: 1, agent: 'b', reason: 'lost: agent b', withinMs: 1_000 };
    applyToRun(this.fold, this.log.task(this.task, 'task.rank_lost', lost));
  }

  replace(): void {
    const data = { n: 1, rank: 1, epoch: 1, lost: 'b', peer: PEER };
    applyToRun(this.fold, this.log.task(this.task, 'task.rank_replaced', data));
  }

  run(agent: string): void {
    const step = { ...goldenMessages['attempt.step_started'], step: 'run' as const };
    const { accepted: _, ...started } = step as typeof step & { accepted?: unknown };
    this.say(agent, 'attempt.step_started', started);
    this.say(agent, 'attempt.phase', { elapsedMs: 50, phase: 'measure', index: 1 });
    this.say(agent, 'attempt.progress', { elapsedMs: 50, progress: 0.6 });
  }

  taskFold(): TaskFold {
    return this.fold.tasks.get(this.task) as TaskFold;
  }

  attempt(): AttemptView {
    const [attempt] = attemptViews(this.taskFold());
    if (attempt === undefined) throw new Error('no attempt');
    return attempt;
  }
}

describe('a gang of which a rank is replaced', () => {
  it('has one state, phase and progress, which do not go back with the rank that begins anew', () => {
    const gang = new Gang();
    gang.run('a');
    gang.run('b');
    const reached = { state: 'run', phase: 'measure', progress: 0.6 };
    expect(gang.attempt()).toMatchObject(reached);
    gang.lose();
    expect(gang.attempt()).toMatchObject({
      ...reached,
      waiting: 'another host for rank 1: agent b is lost',
    });
    gang.replace();
    gang.accept('c', 1);
    expect(gang.attempt()).toMatchObject({ ...reached, waiting: null, superseded: false });
    expect(gang.attempt().ranks?.map(({ agent, state }) => [agent, state])).toEqual([
      ['a', 'run'],
      ['c', 'accepted'],
    ]);
    gang.say('c', 'attempt.progress', { elapsedMs: 5, progress: 0.1 });
    expect(gang.attempt()).toMatchObject(reached);
    expect(runView(gang.fold)?.current[0]?.agents).toEqual(['a', 'c']);
  });

  it('says of a rank that nobody has why that is', () => {
    const gang = new Gang(['a']);
    const asked = (rank: number): unknown =>
      attemptOf(gang.fold, { run: RUN, task: gang.task, n: 1, rank });
    expect(() => asked(2)).toThrow('has no rank 2: its ranks are 0 to 1');
    expect(() => asked(1)).toThrow('has no rank 1 yet');
    gang.accept('b', 1);
    gang.lose();
    expect(() => asked(1)).toThrow(
      'no rank 1 now: agent b was lost, and another host is looked for',
    );
    gang.replace();
    expect(() => asked(1)).toThrow('agent b was lost, and agent c begins it anew');
    gang.accept('c', 1);
    expect(asked(1)).toMatchObject({ attempt: { agent: 'c' }, ref: { rank: 1, since: 1 } });
  });

  it('ends with those that have a rank then; what the other says is kept beside', () => {
    const gang = new Gang();
    gang.lose();
    gang.replace();
    gang.accept('c', 1);
    gang.say('b', 'attempt.exited', { ...EXITED, outcome: 'lost', class: 'lost', logBytes: 7 });
    expect(gang.attempt().state).toBe('accepted');
    gang.say('a', 'attempt.exited', { ...EXITED, logBytes: 2 });
    gang.say('c', 'attempt.exited', { ...EXITED, logBytes: 3 });
    expect(gang.attempt()).toMatchObject({
      ...{ state: 'exited', outcome: 'passed', logBytes: 5, partial: false },
      replaced: [
        { rank: 1, agent: 'b', by: 'c', attempt: { outcome: 'lost', partial: true, logBytes: 7 } },
      ],
    });
    const text = taskLines(RUN, taskValue(gang.fold, gang.task), styleFor(false)).join('\n');
    expect(text).toMatch(/rank 1 was lost with b at \S+ \S+Z: begun anew on c/);
    expect(text).toMatch(/rank 1 before on b \(.*superseded/);
  });

  it('is over where no other host was found: it waits for none any more, and is superseded', () => {
    const gang = new Gang();
    gang.run('a');
    gang.lose();
    const text = (): string =>
      taskLines(RUN, taskValue(gang.fold, gang.task), styleFor(false)).join('\n');
    expect(text()).toMatch(/rank 1 was lost with b at .*Z: another host is waited for/);
    gang.say('a', 'attempt.stopping', goldenMessages['attempt.stopping']);
    expect(gang.attempt().waiting).toBeNull();
    expect(text()).toMatch(/rank 1 was lost with b at .*Z: no other host/);
    gang.say('a', 'attempt.exited', { ...EXITED, outcome: 'stopped', class: 'gang' });
    const retrying = { n: 1, class: 'lost' as const, superseded: true, avoid: 'b', without: ['b'] };
    applyToRun(gang.fold, gang.log.task(gang.task, 'task.retrying', retrying as never));
    expect(gang.attempt()).toMatchObject({ waiting: null, superseded: true, outcome: null });
    expect(text()).toMatch(/attempt 1 on 1 host: .*, superseded/);
  });

  it('was told by the lost rank that it had ended: that is not its end', () => {
    const gang = new Gang();
    gang.say('b', 'attempt.exited', { ...EXITED, outcome: 'failed' });
    gang.lose();
    gang.say('a', 'attempt.exited', EXITED);
    expect(gang.attempt()).toMatchObject({ outcome: null });
  });

  it('does not take a rank of which nobody had heard for the new one', () => {
    const gang = new Gang(['a']);
    gang.lose();
    gang.accept('b', 1);
    expect(gang.attempt().ranks?.map(({ agent }) => agent)).toEqual(['a']);
    gang.replace();
    gang.accept('c', 1);
    expect(gang.attempt()).toMatchObject({
      ranks: [{ agent: 'a' }, { agent: 'c' }],
      replaced: [{ agent: 'b', by: 'c', attempt: { superseded: true } }],
    });
  });

  it('has logs and files of each under a name of its own', () => {
    const gang = new Gang(['b', 'a']);
    gang.lose();
    gang.replace();
    gang.accept('c', 1);
    const target = { run: RUN, task: gang.task, n: null };
    const names = attemptsOf(gang.fold, target).map(({ ref, fold }) => [
      attemptKey(ref).split('#')[1],
      fold.agent,
    ]);
    expect(names).toEqual([
      ['1-0', 'a'],
      ['1-1', 'b'],
      ['1-1e1', 'c'],
    ]);
    const members = membersIn(acceptedAttempts(gang.taskFold()));
    expect([...members].map(({ place, attempt }) => [place, attempt.agent])).toEqual([
      [{ rank: 0 }, 'a'],
      [{ rank: 1 }, 'b'],
      [{ rank: 1, since: 1 }, 'c'],
    ]);
    const ref = { run: RUN, task: gang.task, n: 1 };
    const of = (rank: string) => ({
      header: (name: string) => (name === LOG_HEADERS.rank ? rank : null),
    });
    expect(logRef(ref, of('1'))).toEqual({ ...ref, rank: 1 });
    expect(logRef(ref, of('1e1'))).toEqual({ ...ref, rank: 1, since: 1 });
    expect(logRef(ref, of('e1'))).toEqual(ref);
  });

  it('has the samples of a rank without an end under its name, too', async () => {
    const gang = new Gang();
    gang.lose();
    gang.replace();
    gang.accept('c', 1);
    gang.say('c', 'attempt.exited', EXITED);
    const { samples } = await contentsOf(gang.fold);
    expect(samples.find(({ agent }) => agent === 'b')).toMatchObject({ n: 1, rank: 1, samples: 0 });
  });
});
