import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  applyToPresence,
  createPresence,
  type PresenceFold,
} from '#protocol/fold/progress/presence-fold.ts';
import { progressView } from '#protocol/fold/progress/progress-view.ts';
import { applyToRun, createRunFold, type RunFold } from '#protocol/fold/run-fold.ts';
import type { AttemptTelemetry } from '#protocol/messages/agent/telemetry.ts';
import type { FailureClass, TaskOutcome } from '#protocol/messages/attempt/outcome.ts';
import { TASK_OUTCOMES } from '#protocol/messages/attempt/outcome.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';
import { RUN } from '#test/support/records.ts';
import { TimedLog } from '#test/support/timed-log.ts';

const MINUTE = 60_000;

describe('counts', () => {
  it('of tasks by state and outcome, in percent, and of cells apart from their repeats', () => {
    const log = new TimedLog();
    log.agent('a1');
    log.begun(4, { repeats: 2 });
    log.begin(0);
    log.begin(1);
    log.nowMs = 1_000;
    log.passed(0, 1_000);
    log.begin(4);
    log.exit(1, { elapsedMs: 1_000, outcome: 'failed' });
    log.end(1, 'failed');
    log.end(2, 'stopped', null);
    expect(log.view()).toMatchObject({
      tasks: 8,
      states: { pending: 4, assigned: 0, running: 1, ended: 3 },
      outcomes: { failed: 1, passed: 1, stopped: 1 },
      ...{ endedPercent: 37.5, passedPercent: 12.5 },
      // The one that was stopped has shown nothing of its cell.
      cells: { total: 4, covered: 2, passed: 1, whole: 0 },
    });
    log.passed(4, 1_000);
    expect(log.view().cells).toEqual({ total: 4, covered: 2, passed: 1, whole: 1 });
  });

  it('are told before anything has begun', () => {
    const log = new TimedLog();
    log.submitted();
    const { endedPercent, passedOfEndedPercent, rate, left, utilisation } = log.view();
    expect([endedPercent, passedOfEndedPercent, rate]).toEqual([0, null, null]);
    expect(left).toEqual({ kind: 'unknown', reason: 'none of its tasks has begun' });
    expect(utilisation).toMatchObject({ ratio: null, busySlotMs: 0 });
  });
});

describe('rate', () => {
  const paused = { ...goldenMessages['run.paused'], task: null, command: 'p1', stopSequence: 7 };

  it('is of working time: what is paused does not count', () => {
    const log = new TimedLog();
    log.begun(4);
    log.begin(0);
    log.begin(1);
    log.nowMs = MINUTE;
    log.passed(0, MINUTE);
    log.nowMs = 2 * MINUTE;
    log.run('run.paused', paused);
    log.nowMs = 22 * MINUTE;
    log.run('run.resumed', { task: null, throughSequence: 7, by: 'ann' });
    log.nowMs = 24 * MINUTE;
    log.passed(1, MINUTE);
    expect(log.view()).toMatchObject({
      elapsedMs: 24 * MINUTE,
      workedMs: 4 * MINUTE,
      rate: { perHour: 30, ended: 2, overMs: 4 * MINUTE },
      recent: null,
    });
  });

  it('of the last ten minutes stands beside it once the run is older', () => {
    const log = new TimedLog();
    log.begun(60);
    for (let at = 0; at < 40; at += 1) {
      log.begin(at);
      // Ten slow ones, then quick ones.
      log.nowMs += at < 10 ? 2 * MINUTE : MINUTE / 3;
      log.passed(at, 20_000);
    }
    const { rate, recent } = log.view();
    expect(rate).toMatchObject({ ended: 40, overMs: 30 * MINUTE, perHour: 80 });
    expect(recent).toMatchObject({ ended: 30, overMs: 10 * MINUTE, perHour: 180 });
  });

  it('what was stopped, or never began, is no end of a task', () => {
    const log = new TimedLog();
    log.begun(5);
    log.begin(0);
    log.begin(1);
    log.nowMs = MINUTE;
    log.passed(0, MINUTE);
    log.exit(1, { elapsedMs: MINUTE, outcome: 'stopped' });
    for (const at of [1, 2]) log.end(at, 'stopped', null);
    log.end(3, 'timed_out', null);
    expect(log.view().rate).toMatchObject({ ended: 1 });
  });
});

describe('utilisation', () => {
  it('is busy slot-time over that of the agents it could use, with and without its tail', () => {
    const log = new TimedLog();
    log.agent('a1', { slots: 2 });
    log.agent('small', { cpus: 1 });
    log.begun(3, { needs: { slots: 1, cpus: 2, exclusive: false } });
    log.begin(0);
    log.nowMs = 1_000;
    log.passed(0, 1_000);
    log.begin(1);
    log.nowMs = 3_000;
    log.passed(1, 2_000);
    // Two CPUs, so one at a time; the other agent never could.
    expect(log.view().utilisation).toEqual({
      ...{ ratio: 1, whileWaiting: 1, busySlotMs: 3_000, usableSlotMs: 3_000 },
      ...{ agents: 1, slots: 1 },
    });
    log.nowMs = 4_000;
    log.begin(2);
    log.nowMs = 8_000;
    log.run('run.stopping', goldenMessages['run.stopping']);
    // It runs still: busy until the last event. Waiting ended when it began.
    expect(log.view().utilisation).toMatchObject({ ratio: 7 / 8, whileWaiting: 3 / 4 });
  });

  it('an agent that the suite is not for does not count', () => {
    const log = new TimedLog();
    log.agent('gpu-1', { slots: 1, labels: { rack: 'r7' } });
    log.agent('gpu-2', { slots: 1, labels: { rack: 'r8' } });
    log.agent('cpu-1', { slots: 1, hostname: 'cpu-1', labels: { rack: 'r7' } });
    const only = { host: ['gpu-*'], labels: { rack: { in: ['r7'] } } };
    log.begun(1, { needs: { slots: 1, cpus: 0, exclusive: false, ...only } });
    log.begin(0, 'gpu-1');
    log.nowMs = 1_000;
    log.passed(0, 1_000, 'gpu-1');
    expect(log.view().utilisation).toMatchObject({ agents: 1, slots: 1, ratio: 1 });
  });

  it('an agent counts while it may be given work, and while the run holds it', () => {
    const log = new TimedLog();
    log.begun(4);
    log.agent('a1', { slots: 1 });
    log.begin(0);
    log.nowMs = 1_000;
    log.agent('a2', { slots: 1 });
    log.agent('a3', { slots: 1 });
    log.nowMs = 2_000;
    log.add(subjects.fleet('a3'), 'agent.cordoned', goldenMessages['agent.cordoned']);
    log.add(subjects.fleet('a2'), 'agent.unreachable', { silentMs: 1 });
    log.nowMs = 3_000;
    log.add(subjects.fleet('a2'), 'agent.returned', { incarnation: 1 });
    log.nowMs = 4_000;
    log.add(subjects.fleet('a1'), 'agent.cordoned', goldenMessages['agent.cordoned']);
    log.add(subjects.hostEvents('a2'), 'agent.draining', { reason: 'r' });
    log.nowMs = 10_000;
    log.passed(0, 10_000);
    // a1 by what it held, a2 and a3 for the three seconds in which they had nothing to do.
    expect(log.view().utilisation).toMatchObject({ busySlotMs: 10_000, usableSlotMs: 13_000 });
  });

  it('an exclusive task holds all slots of its host, one that is not heard only what was heard', () => {
    const log = new TimedLog();
    log.agent('a1', { slots: 8, hostId: 'h' });
    log.agent('a2', { slots: 8, hostId: 'h' });
    log.begun(2, { needs: { slots: 1, cpus: 0, exclusive: true } });
    log.begin(0);
    log.nowMs = 4_000;
    log.attempt({ task: log.tasks[0] ?? '', n: 1 }, 'attempt.phase', {
      elapsedMs: 4_000,
      phase: 'p',
      index: 0,
    });
    for (const agent of ['a1', 'a2'])
      log.add(subjects.fleet(agent), 'agent.unreachable', { silentMs: 1 });
    expect(log.view().utilisation).toMatchObject({ ratio: 1, slots: 8, busySlotMs: 32_000 });
    log.nowMs = 5_000;
    log.agent('b', { slots: 8 });
    log.nowMs = 9_000;
    log.run('run.noted', { ...goldenMessages['run.noted'], task: null });
    expect(log.view().utilisation).toMatchObject({ ratio: 0.5, busySlotMs: 32_000 });
  });

  it('of hosts is the mean of what was measured, by how long', () => {
    const log = new TimedLog();
    log.begun(3);
    const series = (mean: number, count: number): AttemptTelemetry['series'][string] => {
      return { unit: 'ratio', count, min: 0, mean, max: 1, p95: 1 };
    };
    const telemetry = { everyMs: 1_000, samples: 1, fromMs: 0, toMs: 1, gaps: [], dropped: 0 };
    const rest = { ...telemetry, problems: [], perturbed: null };
    const measured = [
      [10_000, { 'host.cpu.busy': series(0.5, 10), 'gpu.0.utilisation': series(80, 10) }],
      [30_000, { 'host.cpu.busy': series(0.9, 30), 'gpu.0.memory.utilisation': series(1, 9) }],
      [400, { cpu: series(3, 1) }],
    ] as const;
    measured.forEach(([coveredMs, of], at) => {
      log.begin(at);
      log.exit(at, { elapsedMs: 1, telemetry: { ...rest, coveredMs, series: of } });
    });
    const { cpu, gpu, measuredMs } = log.view().hosts;
    expect([cpu, gpu, measuredMs]).toEqual([expect.closeTo(0.8), 0.8, 40_000]);
  });

  it('of a task on several hosts is that of all its ranks', () => {
    const log = new TimedLog();
    const agents = ['a1', 'a2'];
    for (const agent of agents) log.agent(agent, { slots: 2 });
    log.begun(1, { needs: { slots: 1, cpus: 0, exclusive: false, hosts: 2 } });
    const { accepted: _, ...started } = { accepted: 0, ...goldenMessages['attempt.step_started'] };
    agents.forEach((agent, rank) => {
      const at = { task: log.tasks[0] ?? '', n: 1, agent };
      const gang = { rank, hosts: 2 };
      log.attempt(at, 'attempt.accepted', { ...goldenMessages['attempt.accepted'], gang });
      log.attempt(at, 'attempt.step_started', { ...started, elapsedMs: 0 });
    });
    log.nowMs = 4_000;
    const busy = { unit: 'ratio', count: 4, min: 0, mean: 0.5, max: 1, p95: 1 };
    const telemetry = {
      ...{ everyMs: 1_000, samples: 4, fromMs: 0, toMs: 4_000, gaps: [], dropped: 0 },
      ...{ problems: [], perturbed: null, coveredMs: 4_000, series: { 'host.cpu.busy': busy } },
    };
    for (const agent of agents) log.exit(0, { elapsedMs: 4_000, telemetry }, { agent });
    log.end(0);
    expect(log.view()).toMatchObject({
      utilisation: { busySlotMs: 8_000, usableSlotMs: 16_000, ratio: 0.5 },
      hosts: { cpu: 0.5, measuredMs: 8_000 },
    });
  });
});

/** Whatever may be said of a run, at times that go on. */
const anyLog = fc
  .array(
    fc.record({
      what: fc.constantFrom(
        ...['begin', 'exit', 'exit', 'retry', 'end', 'pause', 'resume', 'bulk', 'stop'],
        ...['agent', 'unreachable', 'returned', 'draining', 'stopping', 'progress', 'run_ended'],
      ),
      index: fc.nat({ max: 5 }),
      n: fc.integer({ min: 1, max: 2 }),
      agent: fc.constantFrom('a1', 'a2'),
      ms: fc.nat({ max: 5_000 }),
      outcome: fc.constantFrom(...TASK_OUTCOMES),
      why: fc.constantFrom<FailureClass>('exit', 'lost', 'paused', 'drained'),
    }),
    { maxLength: 60 },
  )
  .chain((steps) => fc.boolean().map((exclusive) => ({ steps, exclusive })))
  .map(({ steps, exclusive }) => {
    const log = new TimedLog();
    log.agent('a1');
    log.begun(3, { repeats: 2, needs: { slots: 1, cpus: 1, exclusive }, runBudgetMs: 90_000 });
    for (const { what, index, n, agent, ms, outcome, why } of steps) {
      log.nowMs += ms;
      const at = { task: log.tasks[index] ?? '', n, agent };
      const stop = {
        ...goldenMessages['run.paused'],
        command: `p${index}`,
        stopSequence: index + 1,
      };
      if (what === 'begin') log.begin(index, agent, n);
      else if (what === 'exit')
        log.exit(index, { elapsedMs: ms, outcome: outcomeOfAttempt(outcome) }, { agent, n });
      else if (what === 'retry') log.retry(index, n, why);
      else if (what === 'end') log.end(index, outcome, n);
      else if (what === 'pause') log.run('run.paused', { ...stop, task: n === 1 ? null : at.task });
      else if (what === 'resume')
        log.run('run.resumed', { task: null, throughSequence: index + 1, by: 'ann' });
      else if (what === 'bulk')
        log.run('run.tasks_ended', { outcome, reason: null, tasks: [at.task] });
      else if (what === 'stop' && ms > 4_500)
        log.run('run.stopping', goldenMessages['run.stopping']);
      else if (what === 'agent') log.agent(agent, { slots: index + 1 });
      else if (what === 'unreachable')
        log.add(subjects.fleet(agent), 'agent.unreachable', { silentMs: 1 });
      else if (what === 'returned')
        log.add(subjects.fleet(agent), 'agent.returned', { incarnation: 1 });
      else if (what === 'draining')
        log.add(subjects.hostEvents(agent), 'agent.draining', { reason: 'r' });
      else if (what === 'stopping')
        log.add(subjects.hostEvents(agent), 'agent.stopping', { reason: 'r' });
      else if (what === 'progress')
        log.attempt(at, 'attempt.progress', { elapsedMs: ms, progress: ms / 5_000 });
      else if (what === 'run_ended' && ms > 4_500)
        log.run('run.ended', goldenMessages['run.ended']);
    }
    return log;
  });

function outcomeOfAttempt(outcome: TaskOutcome): Exclude<TaskOutcome, 'quarantined'> {
  return outcome === 'quarantined' ? 'lost' : outcome;
}

interface Folds {
  readonly run: RunFold;
  readonly presence: PresenceFold;
}

function apply({ run, presence }: Folds, records: TimedLog['records']): void {
  for (const record of records) {
    applyToRun(run, record);
    applyToPresence(presence, record);
  }
}

const folds = (): Folds => ({ run: createRunFold(RUN), presence: createPresence() });
const bytesOf = ({ run, presence }: Folds): string => JSON.stringify(progressView(run, presence));

describe('whatever the log', () => {
  it('no share is more than the whole, and counts add up', () => {
    fc.assert(
      fc.property(anyLog, (log) => {
        const view = log.view();
        const { states, outcomes, tasks, cells, utilisation, rate, recent, recoveries } = view;
        const sum = (of: Readonly<Record<string, number>>): number =>
          Object.values(of).reduce((total, count) => total + count, 0);
        expect([sum(states), sum(outcomes)]).toEqual([tasks, states.ended]);
        const percents = [view.endedPercent, view.passedPercent, view.passedOfEndedPercent ?? 0];
        const ratios = [utilisation?.ratio ?? 0, utilisation?.whileWaiting ?? 0];
        for (const share of [...percents, ...ratios.map((ratio) => ratio * 100)]) {
          expect(share).toBeGreaterThanOrEqual(0);
          expect(share).toBeLessThanOrEqual(100);
        }
        expect(view.passedPercent).toBeLessThanOrEqual(view.endedPercent);
        expect(cells.whole).toBeLessThanOrEqual(cells.passed);
        expect(Math.max(cells.covered, cells.passed)).toBeLessThanOrEqual(cells.total);
        expect(view.workedMs).toBeLessThanOrEqual(view.elapsedMs);
        for (const one of [rate, recent]) {
          expect(one?.ended ?? 0).toBeLessThanOrEqual(states.ended);
          expect(one?.overMs ?? 0).toBeLessThanOrEqual(view.workedMs);
        }
        for (const tally of [recoveries, recoveries.deliberate]) {
          expect(sum(tally.classes)).toBe(tally.count);
          expect(tally.passed).toBeLessThanOrEqual(tally.tasks);
          expect(tally.lostMs).toBeGreaterThanOrEqual(0);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('the time left is within its range, or has a reason; none is left of what has ended', () => {
    fc.assert(
      fc.property(anyLog, (log) => {
        const { left, state } = log.view();
        expect(left === null).toBe(state === 'ended');
        if (left?.kind === 'unknown') expect(left.reason).not.toBe('');
        if (left?.kind !== 'about') return;
        expect(left.lowMs).toBeGreaterThanOrEqual(0);
        expect(left.ms).toBeGreaterThanOrEqual(left.lowMs);
        expect(left.highMs).toBeGreaterThanOrEqual(left.ms);
        expect(left.highMs).toBeLessThan(Infinity);
        expect(left.known).toBeLessThanOrEqual(left.tasks);
      }),
      { numRuns: 300 },
    );
  });

  it('the same log gives the same bytes, at once or in pieces, and however often it was looked at', () => {
    fc.assert(
      fc.property(anyLog, fc.nat(), (log, at) => {
        const { records } = log;
        const [whole, pieces] = [folds(), folds()];
        apply(whole, records);
        const cut = at % (records.length + 1);
        apply(pieces, records.slice(0, cut));
        bytesOf(pieces);
        // As after a reconnection: some of it comes twice.
        apply(pieces, records.slice(Math.max(0, cut - 3)));
        expect(bytesOf(pieces)).toBe(bytesOf(whole));
      }),
    );
  });
});
