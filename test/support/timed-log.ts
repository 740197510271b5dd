/** A log of events with times of the test's choosing: a run and its agents, for folds of durations. */
import { createPresence, applyToPresence } from '#protocol/fold/progress/presence-fold.ts';
import { progressView, type ProgressView } from '#protocol/fold/progress/progress-view.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import { applyToRun, createRunFold, type RunFold } from '#protocol/fold/run-fold.ts';
import type { MessageData, MessageName } from '#protocol/messages/catalog.ts';
import type { TaskOutcome } from '#protocol/messages/attempt/outcome.ts';
import type { Registration } from '#protocol/messages/agent/host.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { expandTasks } from '#protocol/suite/expand.ts';
import { goldenMessages, goldenSuite } from './golden-messages.ts';
import { RecordLog, RUN } from './records.ts';

export const START_MS = 1_000_000;

export class TimedLog extends RecordLog {
  /** Since START_MS: of what is added next. */
  nowMs = 0;
  /** Ids of the run's tasks. */
  tasks: readonly string[] = [];

  override add<N extends MessageName>(subject: string, name: N, data: MessageData<N>): EventRecord {
    const record = { ...super.add(subject, name, data), timeMs: START_MS + this.nowMs };
    this.records[this.records.length - 1] = record;
    return record;
  }

  /** Of `cells` cells, not exclusive. */
  begun(cells: number, suite: Partial<SuiteSpec> = {}): void {
    const axes = { size: Array.from({ length: cells }, (_, at) => at) };
    const spec = {
      ...{ ...goldenSuite, include: [], exclude: [], repeats: 1, axes },
      ...{ needs: { slots: 1, cpus: 0, exclusive: false }, ...suite },
    };
    this.tasks = expandTasks(spec).map(({ id }) => id);
    this.submitted(spec);
    this.run('run.started', {});
  }

  agent(id: string, has: Partial<Registration> = {}): void {
    const { registration } = goldenMessages['agent.started'];
    const data = { registration: { ...registration, agent: id, hostId: `of-${id}`, ...has } };
    this.add(subjects.hostEvents(id), 'agent.started', { ...data, adopted: 0 });
  }

  /** A task by its place, on an agent; `n` from 1. */
  begin(index: number, agent = 'a1', n = 1): void {
    const at = { task: this.tasks[index] ?? '', n, agent };
    const { elapsedMs: _elapsed, ...accepted } = goldenMessages['attempt.accepted'];
    const started = { ...goldenMessages['attempt.step_started'], elapsedMs: 0, accepted };
    this.attempt(at, 'attempt.step_started', started);
  }

  exit(
    index: number,
    exited: Partial<MessageData<'attempt.exited'>> & { readonly elapsedMs: number },
    { agent = 'a1', n = 1 } = {},
  ): void {
    const at = { task: this.tasks[index] ?? '', n, agent };
    const passed = { outcome: 'passed', stage: null, class: null, reason: null } as const;
    this.attempt(at, 'attempt.exited', {
      ...goldenMessages['attempt.exited'],
      ...passed,
      ...exited,
    });
  }

  retry(index: number, n: number, why: MessageData<'task.retrying'>['class'] = 'exit'): void {
    this.task(this.tasks[index] ?? '', 'task.retrying', { n, class: why, reason: null });
  }

  end(index: number, outcome: TaskOutcome = 'passed', n: number | null = 1): void {
    const data = { outcome, n, stage: null, class: null, reason: null };
    this.task(this.tasks[index] ?? '', 'task.ended', data);
  }

  /** It took so long until now, and passed. */
  passed(index: number, elapsedMs: number, agent = 'a1'): void {
    this.exit(index, { elapsedMs }, { agent });
    this.end(index);
  }

  fold(): RunFold {
    const fold = createRunFold(RUN);
    for (const record of this.records) applyToRun(fold, record);
    return fold;
  }

  view(): ProgressView {
    const presence = createPresence();
    for (const record of this.records) applyToPresence(presence, record);
    const view = progressView(this.fold(), presence);
    if (view === null) throw new Error('there is no run');
    return view;
  }
}
