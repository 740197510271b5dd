/** Health: the policy over observations, the watch with its timer, and what a failing rule does. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  observe,
  watchedFrom,
  type HealthChange,
  type HealthObservation,
} from '#agent/health/health-policy.ts';
import { HealthWatch, type AskHealth } from '#agent/health/health-watch.ts';
import { PASSED, type CheckResult } from '#agent/checks/types.ts';
import type { CheckRule, HealthRule } from '#protocol/messages/attempt/health.ts';
import { ManualClock } from '#test/support/manual-clock.ts';
import { EXITED, Script, specOf } from '../agent/attempt-cases.ts';

const SILENT: HealthRule = { kind: 'no_progress', id: 'noProgress', forMs: 100, then: 'fail' };
const FLOOR: HealthRule = {
  kind: 'metric',
  id: 'metrics[0]',
  metric: 'tps',
  below: 10,
  forMs: 50,
  phases: ['measure'],
  then: 'warn',
};
const RULES: readonly HealthRule[] = [SILENT, FLOOR];
const ASKED: CheckRule = {
  kind: 'check',
  id: 'checks[0]',
  check: { kind: 'file', path: 'up' },
  timeoutMs: 1_000,
  failures: 3,
  message: null,
  then: 'fail',
};
const NO: CheckResult = { ok: false, reason: 'file: up does not exist' };
const checked = (result: CheckResult, rule = ASKED.id): HealthObservation => ({
  kind: 'checked',
  rule,
  result,
});

const tps = (value: number, phase: string | null = 'measure'): HealthObservation => ({
  kind: 'value',
  metric: 'tps',
  value,
  phase,
});

type Step = readonly [laterMs: number, observation: HealthObservation];

function play(steps: readonly Step[], rules = RULES): (HealthChange & { atMs: number })[] {
  let [state, nowMs] = [watchedFrom(rules, 0), 0];
  return steps.flatMap(([laterMs, observation]) => {
    nowMs += laterMs;
    const [next, changes] = observe(rules, state, { observation, nowMs });
    state = next;
    return changes.map((change) => ({ ...change, atMs: nowMs }));
  });
}

describe('the policy', () => {
  it('silence fails after its time and recovers with a word', () => {
    const changes = play([
      [99, { kind: 'tick' }],
      [1, { kind: 'tick' }],
      [50, { kind: 'tick' }],
      [1, { kind: 'activity' }],
      [99, { kind: 'tick' }],
    ]);
    expect(changes).toMatchObject([
      { rule: 'noProgress', state: 'failing', atMs: 100 },
      { rule: 'noProgress', state: 'recovered', atMs: 151 },
    ]);
  });

  it('a floor counts only its phase, and one good value begins anew', () => {
    const changes = play([
      [0, tps(5, 'warmup')],
      [60, tps(5)],
      [40, tps(5)],
      [5, tps(20)],
      [1, tps(5)],
      [49, tps(5)],
      [1, tps(5)],
      [1, tps(10)],
    ]).filter(({ rule }) => rule === FLOOR.id);
    expect(changes).toMatchObject([
      { state: 'failing', atMs: 156 },
      { state: 'recovered', atMs: 157 },
    ]);
  });

  it('a check fails with so many failures in a row, and recovers with one answer', () => {
    const answers = [NO, NO, PASSED, NO, NO, NO, NO, PASSED];
    const steps = answers.map((result): Step => [10, checked(result)]);
    expect(play([...steps, [1, checked(NO, 'checks[1]')]], [ASKED])).toEqual([
      {
        rule: 'checks[0]',
        state: 'failing',
        then: 'fail',
        reason: 'file: up does not exist (3 times in a row)',
        atMs: 60,
      },
      {
        rule: 'checks[0]',
        state: 'recovered',
        then: 'fail',
        reason: 'the file check passes again',
        atMs: 80,
      },
    ]);
    expect(
      play([[1, checked(NO)]], [{ ...ASKED, failures: 1, message: 'the server is gone' }]),
    ).toMatchObject([{ reason: 'the server is gone' }]);
  });

  it('failing is exactly the last N answers having been failures', () => {
    fc.assert(
      fc.property(
        fc.array(fc.boolean(), { maxLength: 30 }),
        fc.integer({ min: 1, max: 4 }),
        (oks, failures) => {
          const steps = oks.map((ok): Step => [1, checked(ok ? PASSED : NO)]);
          const changes = play(steps, [{ ...ASKED, failures }]);
          const isFailing = changes.at(-1)?.state === 'failing';
          const run = oks.length - 1 - oks.lastIndexOf(true);
          expect(isFailing).toBe(run >= failures);
          changes.forEach(({ state }, at) => {
            expect(state).toBe(at % 2 === 0 ? 'failing' : 'recovered');
          });
        },
      ),
    );
  });

  it('an answer of a check is no sign of life of the benchmark', () => {
    const changes = play(
      [
        [60, checked(PASSED)],
        [40, { kind: 'tick' }],
      ],
      [SILENT, ASKED],
    );
    expect(changes).toMatchObject([{ rule: 'noProgress', state: 'failing' }]);
  });

  it('changes alternate, and silence is failing exactly when it has lasted', () => {
    const observation = fc.constantFrom<HealthObservation>(
      { kind: 'tick' },
      { kind: 'activity' },
      tps(5),
      tps(15),
      tps(5, 'warmup'),
    );
    const steps = fc.array(fc.tuple(fc.nat(80), observation), { maxLength: 40 });
    fc.assert(
      fc.property(steps, (given) => {
        for (const { id } of RULES) {
          const states = play(given).filter(({ rule }) => rule === id);
          states.forEach(({ state }, at) => {
            expect(state).toBe(at % 2 === 0 ? 'failing' : 'recovered');
          });
        }
        let [nowMs, heardMs] = [0, 0];
        for (const [laterMs, seen] of given) {
          nowMs += laterMs;
          if (seen.kind !== 'tick') heardMs = nowMs;
        }
        const last = play(given).findLast(({ rule }) => rule === SILENT.id);
        expect(last?.state === 'failing').toBe(
          nowMs - heardMs >= 100 && given.at(-1)?.[1].kind === 'tick',
        );
      }),
    );
  });
});

describe('the watch', () => {
  const NEVER: AskHealth = () => Promise.resolve(PASSED);
  const onBug = (error: unknown): never => {
    throw error;
  };

  it('asks every so often, never twice at once, and ends what is on its way', async () => {
    const clock = new ManualClock();
    const changes: HealthChange[] = [];
    const asked: { signal: AbortSignal; answer: (result: CheckResult) => void }[] = [];
    const watch = new HealthWatch({
      spec: { everyMs: 100, rules: [{ ...ASKED, failures: 2 }] },
      clock,
      ask: (_check, { signal }) =>
        new Promise((answer) => {
          asked.push({ signal, answer });
        }),
      post: (message) => changes.push(...message.changes),
      onBug,
    });
    const answer = async (result: CheckResult): Promise<void> => {
      asked.at(-1)?.answer(result);
      await new Promise(setImmediate);
    };
    watch.begin();
    clock.advance(99);
    expect(asked).toHaveLength(0);
    clock.advance(1);
    expect(asked).toHaveLength(1);
    clock.advance(250);
    expect(asked).toHaveLength(1);
    await answer(NO);
    clock.advance(0);
    expect(asked).toHaveLength(2);
    clock.advance(30);
    await answer(NO);
    expect(changes).toMatchObject([{ rule: 'checks[0]', state: 'failing' }]);
    clock.advance(69);
    expect(asked).toHaveLength(2);
    clock.advance(1);
    expect(asked).toHaveLength(3);
    watch.end();
    expect(asked[2]?.signal.aborted).toBe(true);
    // The next step is watched by the time the answer comes: it is none of its business.
    watch.begin();
    await answer(PASSED);
    expect(changes).toHaveLength(1);
    expect(clock.waiting).toBe(1);
    watch.end();
  });

  it('has a timer only while a step runs and there are rules', () => {
    const clock = new ManualClock();
    const changes: HealthChange[] = [];
    const post = (message: { readonly changes: readonly HealthChange[] }): void => {
      changes.push(...message.changes);
    };
    const none = new HealthWatch({ spec: undefined, clock, post, ask: NEVER, onBug });
    none.begin();
    expect(clock.waiting).toBe(0);
    const watch = new HealthWatch({
      spec: { everyMs: 30_000, rules: [...RULES] },
      clock,
      post,
      ask: NEVER,
      onBug,
    });
    expect(clock.waiting).toBe(0);
    watch.begin();
    expect(clock.waiting).toBe(1);
    clock.advance(200);
    expect(changes).toMatchObject([{ rule: 'noProgress', state: 'failing' }]);
    watch.end();
    expect(clock.waiting).toBe(0);
  });
});

describe('the attempt', () => {
  const failing: HealthChange = { rule: 'r', state: 'failing', then: 'fail', reason: 'silent' };

  it('ends failed at stage run with class health, by the stop of its step', () => {
    const script = new Script(specOf(['run', 'teardown']));
    script.begin();
    const effects = script.say({ kind: 'health', changes: [failing] });
    expect(effects).toContainEqual({ kind: 'stop_step', index: 0, graceMs: 1000, now: false });
    script.end({ kind: 'signaled', signal: 'SIGTERM', core: false });
    script.end(EXITED(0));
    expect(script.state.verdict).toEqual({
      outcome: 'failed',
      stage: 'run',
      class: 'health',
      reason: 'health r: silent',
    });
    expect(script.started()).toEqual(['run', 'teardown']);
    expect(script.events()).toContain('attempt.health');
  });

  it('is warned by a rule that warns, and the verdict of a stop stands', () => {
    const warned = new Script(specOf(['run']));
    warned.begin();
    warned.say({ kind: 'health', changes: [{ ...failing, then: 'warn' }] });
    warned.end();
    expect(warned.state.verdict?.outcome).toBe('passed');
    const stopped = new Script(specOf(['run']));
    stopped.begin();
    stopped.stop();
    stopped.say({ kind: 'health', changes: [failing] });
    stopped.end({ kind: 'signaled', signal: 'SIGTERM', core: false });
    expect(stopped.state.verdict?.outcome).toBe('stopped');
  });

  it('an agent that comes back ends what its health had ended', () => {
    const script = new Script(specOf(['run']));
    script.begin();
    script.say({ kind: 'health', changes: [failing] });
    script.say({ kind: 'resume', bootId: 'b' });
    const effects = script.say({ kind: 'step_adopted', index: 0, alive: true, pid: 7 });
    expect(effects).toContainEqual({ kind: 'stop_step', index: 0, graceMs: 1000, now: false });
  });
});
