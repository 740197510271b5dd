import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { updateAttempt } from '#agent/attempt/attempt-reducer.ts';
import { newAttempt, type AttemptMessage } from '#agent/attempt/attempt-state.ts';
import { STEPS, type StepName } from '#protocol/messages/attempt/attempt-spec.ts';
import { goldenReport } from '#test/support/golden-messages.ts';
import { EXITED, outcomeOf, Script, specOf, stepOf } from './attempt-cases.ts';

const ALL = [...STEPS];

describe('steps', () => {
  test('run in order, and the attempt passes', () => {
    const script = new Script(specOf(ALL));
    script.begin();
    for (const _ of ALL) script.end();
    expect(script.started()).toEqual(ALL);
    expect(script.state).toMatchObject({
      life: { kind: 'exited' },
      verdict: { outcome: 'passed' },
    });
    expect(script.events()).toEqual([...ALL.map(() => 'attempt.step_started'), 'attempt.exited']);
  });

  test.each<[StepName, StepName[]]>([
    ['preflight', ['preflight']],
    ['setup', ['preflight', 'setup', 'teardown']],
    ['load', ['preflight', 'setup', 'service', 'load', 'teardown']],
    ['run', ['preflight', 'setup', 'service', 'load', 'run', 'teardown']],
    ['collect', ALL],
    ['teardown', ALL],
  ])('a failure in %s starts %j', (failing, started) => {
    const script = new Script(specOf(ALL));
    script.begin();
    while (script.state.life.kind === 'stepping') {
      const at = script.state.spec.steps[script.state.life.index]?.step;
      script.end(EXITED(at === failing ? 3 : 0));
    }
    expect(script.started()).toEqual(started);
    const outcome = failing === 'teardown' ? 'passed' : 'failed';
    expect(script.state.verdict?.outcome).toBe(outcome);
    expect(script.state.teardownFailure === null).toBe(failing !== 'teardown');
  });

  test.each([
    [0, true, { outcome: 'failed', stage: 'run', class: 'disk' }],
    [0, false, { outcome: 'passed', stage: null, class: null }],
    [3, true, { outcome: 'failed', stage: 'run', class: 'exit' }],
  ])('exit status %i, the disk refusing output: %s', (code, isRefused, verdict) => {
    const script = new Script(specOf(['run']));
    script.begin();
    script.end(EXITED(code), { logBytes: 9 });
    const said = script.say({ kind: 'finished', logGaps: [{ from: 3, to: 9 }], isRefused });
    const events = said.flatMap((effect) => (effect.kind === 'record' ? effect.events : []));
    expect(events.at(-1)).toMatchObject({ name: 'attempt.exited', data: verdict });
  });

  test('time in the host’s queue is no time of the attempt, nor of its budget', () => {
    const script = new Script(specOf(['run'], { budgetMs: 1000 }));
    const begun = script.say({ kind: 'begin', slots: [0] }, 5000);
    expect(begun).toContainEqual(expect.objectContaining({ kind: 'start_step', budgetMs: 1000 }));
    expect(script.state.elapsedMs).toBe(0);
  });

  test('a step is in the journal before it is started', () => {
    const script = new Script(specOf(['run']));
    expect(script.begin().map(({ kind }) => kind)).toEqual(['record', 'start_step']);
  });
});

describe('verdicts', () => {
  const signaled = { kind: 'signaled', signal: 'SIGSEGV', core: false } as const;
  const noDisk = {
    kind: 'exec_failed',
    errno: 'ENOSPC',
    reason: 'supervision',
    message: 'full',
  } as const;
  const noFile = {
    kind: 'exec_failed',
    errno: 'ENOENT',
    reason: 'not-found',
    message: 'x: not found',
  } as const;
  test.each([
    [
      'exit',
      outcomeOf(EXITED(3)),
      { outcome: 'failed', class: 'exit', reason: 'run-0: exit status 3: why' },
    ],
    [
      'signal',
      outcomeOf(signaled),
      { outcome: 'failed', class: 'signal', reason: 'run-0: killed by SIGSEGV: why' },
    ],
    [
      'deadline',
      outcomeOf(signaled, { deadline: true }),
      { outcome: 'timed_out', class: 'timeout' },
    ],
    [
      'deadline met by exit 0',
      outcomeOf(EXITED(0), { deadline: true }),
      { outcome: 'timed_out', class: 'timeout' },
    ],
    [
      'lost',
      outcomeOf({ kind: 'lost', reason: 'gone' }),
      { outcome: 'lost', class: 'lost', reason: 'gone' },
    ],
    [
      'exec',
      outcomeOf(noFile),
      { outcome: 'failed', class: 'exec', reason: 'run-0: x: not found: why' },
    ],
    ['disk', outcomeOf(noDisk), { outcome: 'failed', class: 'disk' }],
  ])('%s', (_name, outcome, verdict) => {
    const script = new Script(specOf(['run']));
    script.begin();
    script.say({ kind: 'step_ended', index: 0, outcome, lastLine: 'why' });
    expect(script.state.verdict).toMatchObject({ stage: 'run', ...verdict });
  });

  test('a preflight that skips', () => {
    const spec = specOf(['run']);
    const steps = [stepOf('preflight', { onFail: 'skip', message: 'no sysbench' }), ...spec.steps];
    const script = new Script({ ...spec, steps });
    script.begin();
    script.end(noFile);
    expect(script.state.verdict).toEqual({
      outcome: 'skipped',
      stage: 'preflight',
      class: 'preflight',
      reason: 'no sysbench',
    });
    expect(script.started()).toEqual(['preflight']);
  });

  test('a required metric that is missing, unless it was reported', () => {
    const from = { kind: 'json_last_line', path: 'x' } as const;
    const metrics = [{ name: 'x', unit: 's', direction: 'lower', required: true, from } as const];
    const problems = [{ metric: 'x', required: true, reason: 'nothing there' }];
    const bad = new Script(specOf(['run'], { metrics }));
    bad.begin();
    expect(bad.end().at(-1)).toEqual({ kind: 'extract' });
    bad.say({ kind: 'extracted', metrics: [], problems });
    expect(bad.state.verdict).toEqual({
      outcome: 'failed',
      stage: 'collect',
      class: 'result',
      reason: 'metric x: nothing there',
    });
    const good = new Script(specOf(['run'], { metrics }));
    good.begin();
    const x = { name: 'x', value: 1, unit: 's', direction: 'lower' } as const;
    good.say({ kind: 'reported', reported: { metrics: [x], summary: goldenReport } });
    good.end();
    good.say({ kind: 'extracted', metrics: [], problems });
    expect(good.state.verdict?.outcome).toBe('passed');
    const exited = good.effects
      .flatMap((effect) => (effect.kind === 'record' ? effect.events : []))
      .find(({ name }) => name === 'attempt.exited');
    expect(exited?.data).toMatchObject({ metrics: [x], report: goldenReport });
  });
});

describe('budgets', () => {
  const budgets = (script: Script): (number | null)[] =>
    script.effects.flatMap((effect) => (effect.kind === 'start_step' ? [effect.budgetMs] : []));

  test('a step gets the smaller of its own limit and what is left; queueing does not count', () => {
    const spec = specOf(['setup', 'run', 'teardown'], { budgetMs: 1000 });
    const steps = spec.steps.map((step) =>
      step.step === 'run' ? { ...step, timeoutMs: 300 } : step,
    );
    const script = new Script({ ...spec, steps });
    script.say({ kind: 'report', facts: [] }, 50_000);
    script.begin();
    script.end(EXITED(0), {}, 400);
    script.end(EXITED(0), {}, 200);
    expect(budgets(script)).toEqual([1000, 300, 10_000]);
  });

  test('a budget that is used up between steps is a time-out, and the teardown still runs', () => {
    const script = new Script(specOf(['setup', 'run', 'teardown'], { budgetMs: 100 }));
    script.begin();
    script.end(EXITED(0), {}, 200);
    expect(script.started()).toEqual(['setup', 'teardown']);
    expect(script.state.verdict).toMatchObject({ outcome: 'timed_out', stage: 'run' });
  });
});

describe('stops', () => {
  test('before the start: ends at once, without a process', () => {
    const script = new Script(specOf(['run']));
    script.stop();
    expect(script.events()).toEqual(['attempt.accepted', 'attempt.exited']);
    expect(script.effects.at(-1)).toMatchObject({
      kind: 'end',
      end: { commands: ['s1'], stopped: { processes: 0, proven: true } },
    });
    expect(script.begin()).toEqual([]);
  });

  test('while it runs: the step is stopped, the rest but teardown skipped, the grace bounds teardown', () => {
    const script = new Script(specOf(['setup', 'run', 'collect', 'teardown']));
    script.begin();
    script.end();
    expect(script.stop()).toContainEqual({
      kind: 'stop_step',
      index: 1,
      graceMs: 1000,
      now: false,
    });
    const gone = { ...outcomeOf(EXITED(0)).gone, processes: 4, signal: 'SIGTERM' };
    script.end({ kind: 'signaled', signal: 'SIGTERM', core: false }, { gone });
    expect(script.started()).toEqual(['setup', 'run', 'teardown']);
    expect(script.effects.findLast(({ kind }) => kind === 'start_step')).toMatchObject({
      budgetMs: 1000,
    });
    script.end();
    expect(script.state.verdict).toMatchObject({ outcome: 'stopped', reason: 'stopped by me' });
    expect(script.effects.at(-1)).toMatchObject({
      end: { stopped: { processes: 4, signal: 'SIGTERM' } },
    });
  });

  test('now: no teardown; a second stop escalates the first', () => {
    const script = new Script(specOf(['run', 'teardown']));
    script.begin();
    script.stop('s1');
    expect(script.stop('s2', true)).toContainEqual({
      kind: 'stop_step',
      index: 0,
      graceMs: 0,
      now: true,
    });
    script.end({ kind: 'signaled', signal: 'SIGKILL', core: false });
    expect(script.started()).toEqual(['run']);
    expect(script.effects.at(-1)).toMatchObject({ end: { commands: ['s1', 's2'] } });
  });

  test('what has not ended a moment after a stop says that it ends, once of each stop', () => {
    const script = new Script(specOf(['run']));
    script.begin();
    script.say({ kind: 'step_started', index: 0, pid: 7 });
    const stop = { command: 's1', by: 'me', reason: null, graceMs: null, now: false };
    expect(script.stop('s1')).toContainEqual({ kind: 'say_stopping_soon', stop });
    const word = { kind: 'say_stopping', stop } as const;
    script.say(word);
    script.say(word);
    expect(script.events().slice(1)).toEqual(['attempt.stopping']);
    expect(script.stop('s1').map(({ kind }) => kind)).toEqual(['stop_step']);
    script.end();
    script.say(word);
    expect(script.events().slice(1)).toEqual(['attempt.stopping', 'attempt.exited']);
  });

  test('a stop that comes again, before anything was said of it, is still to be told', () => {
    const script = new Script(specOf(['run']));
    script.begin();
    script.stop('s1');
    const again = script.stop('s1').map(({ kind }) => kind);
    expect(again).toEqual(['say_stopping_soon', 'stop_step']);
  });

  test('of an attempt that failed already does not change its outcome', () => {
    const script = new Script(specOf(['run', 'teardown']));
    script.begin();
    script.end(EXITED(1));
    script.stop();
    script.end();
    expect(script.state.verdict?.outcome).toBe('failed');
  });
});

describe('for any messages in any order', () => {
  const index = fc.integer({ min: 0, max: 3 });
  const outcome = fc.constantFrom(
    outcomeOf(EXITED(0), { logBytes: 5 }),
    outcomeOf(EXITED(1)),
    outcomeOf({ kind: 'lost', reason: 'x' }),
    outcomeOf(EXITED(0), { deadline: true }),
  );
  const line = fc.oneof(
    fc.record({
      kind: fc.constant('phase' as const),
      phase: fc.constantFrom('prepare', 'warmup', 'measure'),
      index: fc.integer({ min: 0, max: 2 }),
    }),
    fc.record({
      kind: fc.constant('message' as const),
      index: fc.integer({ min: 0, max: 3 }),
      text: fc.constant('m'),
    }),
    fc.record({
      kind: fc.constant('progress' as const),
      progress: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  );
  const stop = fc.record({
    command: fc.constantFrom('s1', 's2'),
    by: fc.constant('x'),
    reason: fc.constant(null),
    graceMs: fc.constantFrom(null, 5),
    now: fc.boolean(),
  });
  const message: fc.Arbitrary<AttemptMessage> = fc.oneof(
    fc.constant<AttemptMessage>({ kind: 'begin', slots: [0] }),
    fc.record({ kind: fc.constant('step_started' as const), index, pid: fc.constant(7) }),
    fc.record({
      kind: fc.constant('step_ended' as const),
      index,
      outcome,
      lastLine: fc.constant(null),
    }),
    fc.record({ kind: fc.constant('step_not_started' as const), index }),
    fc.record({ kind: fc.constant('report' as const), facts: fc.array(line, { maxLength: 3 }) }),
    fc.record({ kind: fc.constant('stop' as const), stop }),
    fc.constant<AttemptMessage>({ kind: 'cut_off', reason: 'away' }),
    fc.constant<AttemptMessage>({ kind: 'extracted', metrics: [], problems: [] }),
    fc.constant<AttemptMessage>({ kind: 'finished', logGaps: [] }),
    fc.record({ kind: fc.constant('resume' as const), bootId: fc.constantFrom('b', 'c') }),
  );

  test('terminal is terminal, everything only goes forward, the first verdict stands', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(message, fc.integer({ min: 0, max: 300 })), {
          maxLength: 40,
          size: 'max',
        }),
        (messages) => {
          const spec = specOf(['setup', 'run', 'teardown'], { budgetMs: 2000, files: ['*'] });
          let state = newAttempt({ spec, command: 'c', bootId: 'b', proof: 'subreaper' });
          let nowMs = 0;
          let seq = 0;
          let [elapsed, phase, progress, exits] = [0, -1, 0, 0];
          const first: AttemptMessage = { kind: 'accept', host: 'h', address: 'a' };
          for (const [each, laterMs] of [[first, 0] as const, ...messages]) {
            nowMs += laterMs;
            const before = state;
            const [next, effects] = updateAttempt(state, each, { wallMs: 0, monotonicMs: nowMs });
            if (before.life.kind === 'exited') expect([next, effects]).toEqual([before, []]);
            if (before.verdict !== null) expect(next.verdict).toEqual(before.verdict);
            for (const effect of effects) {
              if (effect.kind === 'end') expect(next.life.kind).toBe('exited');
              if (effect.kind !== 'record') continue;
              for (const event of effect.events) {
                seq += 1;
                expect(event.seq).toBe(seq);
                const data = event.data as { elapsedMs: number };
                expect(data.elapsedMs).toBeGreaterThanOrEqual(elapsed);
                elapsed = data.elapsedMs;
                if (event.name === 'attempt.phase') {
                  expect(event.data.index).toBeGreaterThan(phase);
                  phase = event.data.index;
                }
                if (event.name === 'attempt.progress') {
                  expect(event.data.progress).toBeGreaterThan(progress);
                  progress = event.data.progress;
                }
                if (event.name === 'attempt.exited') exits += 1;
              }
            }
            state = next;
          }
          expect(exits).toBe(state.life.kind === 'exited' ? 1 : 0);
        },
      ),
      { numRuns: 200 },
    );
  });
});
