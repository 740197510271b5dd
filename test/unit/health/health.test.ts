/** Health: the policy over observations, the watch with its timer, and what a failing rule does. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  observe,
  watchedFrom,
  type HealthChange,
  type HealthObservation,
} from '#agent/health/health-policy.ts';
import { HealthWatch } from '#agent/health/health-watch.ts';
import type { HealthRule } from '#protocol/messages/health.ts';
import { ManualClock } from '#test/support/manual-clock.ts';
import { EXITED, Script, specOf } from '../agent/attempt-cases.ts';
import { problemsOf, suiteOf } from '../suite/suite-of.ts';

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
const RULES = [SILENT, FLOOR];

const tps = (value: number, phase: string | null = 'measure'): HealthObservation => ({
  kind: 'value',
  metric: 'tps',
  value,
  phase,
});

type Step = readonly [laterMs: number, observation: HealthObservation];

function play(steps: readonly Step[]): (HealthChange & { atMs: number })[] {
  let [state, nowMs] = [watchedFrom(RULES, 0), 0];
  return steps.flatMap(([laterMs, observation]) => {
    nowMs += laterMs;
    const [next, changes] = observe(RULES, state, { observation, nowMs });
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
  it('has a timer only while a step runs and there are rules', () => {
    const clock = new ManualClock();
    const changes: HealthChange[] = [];
    const post = (message: { readonly changes: readonly HealthChange[] }): void => {
      changes.push(...message.changes);
    };
    const none = new HealthWatch({ spec: undefined, clock, post });
    none.begin();
    expect(clock.waiting).toBe(0);
    const watch = new HealthWatch({ spec: { everyMs: 30_000, rules: RULES }, clock, post });
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

describe('in a suite', () => {
  it('is spelled out', () => {
    const suite = suiteOf(`run: [x]
health:
  noProgress: 10m
  metrics: [{ metric: tps, below: 5, for: 1m, then: warn }]
`);
    expect(suite.health).toEqual({
      everyMs: 30_000,
      rules: [
        { kind: 'no_progress', id: 'noProgress', forMs: 600_000, then: 'fail' },
        {
          kind: 'metric',
          id: 'metrics[0]',
          metric: 'tps',
          below: 5,
          forMs: 60_000,
          phases: null,
          then: 'warn',
        },
      ],
    });
  });

  it('needs a rule, and phases that are declared', () => {
    expect(problemsOf('run: [x]\nhealth: { every: 5s }\n')).toHaveLength(1);
    const floor = '{ metric: t, below: 1, for: 1s, phases: [mesure] }';
    const text = `run: [x]\nphases: [measure]\nhealth: { metrics: [${floor}] }\nreport: { phases: [warm] }\n`;
    expect(problemsOf(text)).toHaveLength(2);
  });
});
