import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EventRecord } from '#protocol/fold/record.ts';
import { applyToRun, createRunFold, type RunFold } from '#protocol/fold/run-fold.ts';
import { runView } from '#protocol/fold/run-view.ts';
import { taskViews } from '#protocol/fold/task-view.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { expandTasks } from '#protocol/suite/expand.ts';
import { goldenMessages, goldenSuite } from '#test/support/golden-messages.ts';
import { RecordLog, RUN } from '#test/support/records.ts';

const tasks = expandTasks(goldenSuite).map((task) => task.id);
const first = tasks[0] ?? '';

function fold(records: readonly EventRecord[]): RunFold {
  const state = createRunFold(RUN);
  for (const record of records) applyToRun(state, record);
  return state;
}

const view = (state: RunFold): string => JSON.stringify([runView(state), taskViews(state)]);

describe('a run', () => {
  it('expands to its tasks, all pending', () => {
    const log = new RecordLog();
    log.submitted();
    const state = fold(log.records);
    expect(runView(state)).toMatchObject({
      state: 'submitted',
      tasks: tasks.length,
      states: { pending: tasks.length },
    });
  });

  it('follows a task through an attempt to its end', () => {
    const log = new RecordLog();
    log.submitted();
    log.run('run.started', {});
    log.wholeAttempt({ task: first, n: 1 });
    log.task(first, 'task.ended', {
      outcome: 'failed',
      n: 1,
      stage: 'run',
      class: 'exit',
      reason: 'exit status 3',
    });
    const [task] = taskViews(fold(log.records));
    expect(task).toMatchObject({
      state: 'ended',
      outcome: 'failed',
      stage: 'run',
      class: 'exit',
      message: 'exit status 3',
      attempts: 1,
      agent: 'local-1'.replace('local-1', 'a1'),
      elapsedMs: goldenMessages['attempt.exited'].elapsedMs,
    });
  });

  it('ends once: a second end, and anything of an attempt afterwards, change nothing (I4)', () => {
    const log = new RecordLog();
    log.submitted();
    log.task(first, 'task.ended', {
      outcome: 'passed',
      n: 1,
      stage: null,
      class: null,
      reason: null,
    });
    const before = taskViews(fold(log.records))[0];
    log.task(first, 'task.ended', {
      outcome: 'failed',
      n: 1,
      stage: 'run',
      class: 'exit',
      reason: 'x',
    });
    log.task(first, 'task.retrying', { n: 1, class: 'exit', reason: 'x' });
    expect(taskViews(fold(log.records))[0]).toEqual(before);
  });

  it('an attempt that is not the current one never changes the task', () => {
    const log = new RecordLog();
    log.submitted();
    log.attempt({ task: first, n: 1 }, 'attempt.accepted', goldenMessages['attempt.accepted']);
    log.task(first, 'task.retrying', { n: 1, class: 'lost', reason: null });
    log.attempt(
      { task: first, n: 1 },
      'attempt.step_started',
      goldenMessages['attempt.step_started'],
    );
    expect(taskViews(fold(log.records))[0]).toMatchObject({
      state: 'pending',
      n: 2,
      started: null,
    });
  });

  it('an attempt that says with its first step who accepted it is as one that said it before', () => {
    const [apart, together] = [new RecordLog(), new RecordLog()];
    const { elapsedMs: _elapsed, ...accepted } = goldenMessages['attempt.accepted'];
    const started = goldenMessages['attempt.step_started'];
    for (const log of [apart, together]) log.submitted();
    apart.attempt({ task: first, n: 1 }, 'attempt.accepted', goldenMessages['attempt.accepted']);
    apart.attempt({ task: first, n: 1 }, 'attempt.step_started', started);
    together.attempt({ task: first, n: 1 }, 'attempt.step_started', { ...started, accepted });
    const [one, other] = [apart, together].map((log) => taskViews(fold(log.records))[0]);
    expect(other).toMatchObject({ state: 'running', address: accepted.address, attempts: 1 });
    expect({ ...other, started: null }).toEqual({ ...one, started: null });
  });

  it('what another agent says of an attempt is ignored (I1)', () => {
    const log = new RecordLog();
    log.submitted();
    log.attempt({ task: first, n: 1 }, 'attempt.accepted', goldenMessages['attempt.accepted']);
    log.attempt(
      { task: first, n: 1, agent: 'thief' },
      'attempt.step_started',
      goldenMessages['attempt.step_started'],
    );
    expect(taskViews(fold(log.records))[0]).toMatchObject({ state: 'assigned', agent: 'a1' });
  });

  it('stopping never shows as running again', () => {
    const log = new RecordLog();
    log.submitted();
    log.run('run.stopping', goldenMessages['run.stopping']);
    log.run('run.started', {});
    expect(runView(fold(log.records))?.state).toBe('stopping');
  });

  it('shows running tasks of a silent agent as unreachable until it returns', () => {
    const log = new RecordLog();
    log.submitted();
    log.attempt({ task: first, n: 1 }, 'attempt.accepted', goldenMessages['attempt.accepted']);
    log.add(subjects.fleet('a1'), 'agent.unreachable', { silentMs: 1 });
    expect(taskViews(fold(log.records))[0]?.unreachable).toBe(true);
    log.add(subjects.fleet('a1'), 'agent.returned', { incarnation: 1 });
    expect(taskViews(fold(log.records))[0]?.unreachable).toBe(false);
  });

  it('the view ends with the run: archiving and later observations do not change it', () => {
    const log = new RecordLog();
    log.submitted();
    log.run('run.ended', goldenMessages['run.ended']);
    const before = fold(log.records);
    log.add(subjects.fleet('a1'), 'agent.unreachable', { silentMs: 1 });
    log.run('run.archived', { directory: '/r' });
    const after = fold(log.records);
    expect(view(after)).toBe(view(before));
    expect(after.sequence).toBe(before.sequence);
    expect(after.archived).toBe('/r');
  });
});

/** Any events of the run, in any order, with repeats: what a hostile network could make of a log. */
const anyLog = fc
  .array(
    fc.record({
      what: fc.constantFrom(
        'accepted',
        'step',
        'phase',
        'progress',
        'exited',
        'retrying',
        'ended',
        'stopping',
        'started',
        'bulk',
        'run_ended',
      ),
      task: fc.nat({ max: 3 }),
      n: fc.integer({ min: 1, max: 3 }),
      x: fc.nat({ max: 3 }),
    }),
    { maxLength: 60 },
  )
  .map((steps) => {
    const log = new RecordLog();
    log.submitted();
    for (const { what, task, n, x } of steps) {
      const at = { task: tasks[task] ?? '', n };
      const elapsedMs = x * 100;
      if (what === 'accepted')
        log.attempt(at, 'attempt.accepted', { ...goldenMessages['attempt.accepted'], elapsedMs });
      else if (what === 'step')
        log.attempt(at, 'attempt.step_started', {
          elapsedMs,
          step: (['setup', 'load', 'run', 'teardown'] as const)[x] ?? 'run',
          id: 's',
          pid: 1,
        });
      else if (what === 'phase')
        log.attempt(at, 'attempt.phase', { elapsedMs, phase: `p${x}`, index: x });
      else if (what === 'progress')
        log.attempt(at, 'attempt.progress', { elapsedMs, progress: x / 4 });
      else if (what === 'exited')
        log.attempt(at, 'attempt.exited', { ...goldenMessages['attempt.exited'], elapsedMs });
      else if (what === 'retrying')
        log.task(at.task, 'task.retrying', { n, class: 'exit', reason: null });
      else if (what === 'ended')
        log.task(at.task, 'task.ended', {
          outcome: x > 1 ? 'passed' : 'failed',
          n,
          stage: null,
          class: null,
          reason: null,
        });
      else if (what === 'stopping') log.run('run.stopping', goldenMessages['run.stopping']);
      else if (what === 'started') log.run('run.started', {});
      else if (what === 'bulk')
        log.run('run.tasks_ended', { outcome: 'stopped', reason: 'r', tasks: [at.task] });
      else if (x === 3) log.run('run.ended', goldenMessages['run.ended']);
    }
    return log.records;
  });

const STATES = ['pending', 'assigned', 'running', 'ended'];
const RUN_STATES = ['submitted', 'running', 'stopping', 'ended'];

describe('forward only (I3)', () => {
  it('no state, phase, progress or timer goes back, whatever comes in whatever order', () => {
    fc.assert(
      fc.property(anyLog, (records) => {
        const state = createRunFold(RUN);
        let run = { rank: 0, elapsed: 0 };
        const seen = new Map<
          string,
          { n: number; rank: number; elapsed: number; progress: number; outcome: string | null }
        >();
        for (const record of records) {
          applyToRun(state, record);
          const now = runView(state);
          const next = { rank: RUN_STATES.indexOf(now?.state ?? ''), elapsed: now?.elapsedMs ?? 0 };
          expect(next.rank).toBeGreaterThanOrEqual(run.rank);
          expect(next.elapsed).toBeGreaterThanOrEqual(run.elapsed);
          run = next;
          for (const task of taskViews(state)) {
            const at = {
              n: state.tasks.get(task.id)?.n ?? 0,
              rank: STATES.indexOf(task.state),
              elapsed: task.elapsedMs,
              progress: task.progress ?? 0,
              outcome: task.outcome,
            };
            const before = seen.get(task.id);
            if (before !== undefined) {
              expect(at.n).toBeGreaterThanOrEqual(before.n);
              if (at.n === before.n) expect(at.rank).toBeGreaterThanOrEqual(before.rank);
              if (at.n === before.n && at.rank === before.rank)
                expect(at.progress).toBeGreaterThanOrEqual(before.progress);
              expect(at.elapsed).toBeGreaterThanOrEqual(before.elapsed);
              if (before.outcome !== null) expect(at.outcome).toBe(before.outcome);
            }
            seen.set(task.id, at);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('counts by state are what the tasks say', () => {
    fc.assert(
      fc.property(anyLog, (records) => {
        const state = fold(records);
        const counted = { pending: 0, assigned: 0, running: 0, ended: 0 };
        for (const task of state.tasks.values()) counted[task.state] += 1;
        expect(state.states).toEqual(counted);
      }),
    );
  });
});

describe('one truth (I2)', () => {
  it('the same log gives the same view, byte for byte, also when records come twice', () => {
    fc.assert(
      fc.property(anyLog, (records) => {
        const twice = records.flatMap((record) => [record, record]);
        expect(view(fold(twice))).toBe(view(fold(records)));
      }),
    );
  });
});
