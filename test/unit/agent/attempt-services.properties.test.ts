/** Steps, checks and services together: whatever ends, fails, is stopped or restarted, and when. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AttemptSpec, StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { StepEnd } from '#agent/process/types.ts';
import { EXITED, specOf, stepOf } from './attempt-cases.ts';
import { AttemptWorld, type Act } from './attempt-world.ts';

const count = (max: number): fc.Arbitrary<number> => fc.integer({ min: 0, max });
const READY = { kind: 'port', host: '127.0.0.1', port: 1 } as const;

const spec: fc.Arbitrary<AttemptSpec> = fc
  .record({
    checks: count(2),
    setup: count(1),
    services: count(2),
    load: count(1),
    run: fc.integer({ min: 1, max: 2 }),
    collect: count(1),
    teardown: count(2),
    onFail: fc.constantFrom('fail' as const, 'skip' as const),
    measures: fc.boolean(),
    budgetMs: fc.constantFrom(null, 40),
  })
  .map((given) => {
    const many = (n: number, of: (id: number) => StepSpec): StepSpec[] =>
      Array.from({ length: n }, (_, i) => of(i));
    const plain = (step: StepSpec['step'], n: number): StepSpec[] =>
      many(n, (i) => stepOf(step, { id: `${step}-${i}` }));
    const { onFail, measures, budgetMs } = given;
    const check = { kind: 'file', path: '/x' } as const;
    return specOf(['run'], {
      steps: [
        ...many(given.checks, (i) => stepOf('preflight', { id: `preflight-${i}`, check, onFail })),
        ...plain('setup', given.setup),
        ...many(given.services, (i) =>
          stepOf('service', { id: `service-${i}`, service: { ready: READY, readyMs: 100 } }),
        ),
        ...plain('load', given.load),
        ...plain('run', given.run),
        ...plain('collect', given.collect),
        ...plain('teardown', given.teardown),
      ],
      budgetMs,
      fileRules: measures ? [{ path: 'a', maxBytes: null, required: true }] : [],
      files: measures ? ['a'] : [],
    });
  });

const end: fc.Arbitrary<StepEnd> = fc.constantFrom<StepEnd>(
  EXITED(0),
  EXITED(0),
  EXITED(3),
  { kind: 'signaled', signal: 'SIGTERM', core: false },
  { kind: 'lost', reason: 'its record is gone' },
);
const pick = fc.nat(3);
const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      pick,
      end,
      deadline: fc.constantFrom(false, false, true),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constantFrom('hear' as const, 'ready' as const), pick }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('unready' as const), pick }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('stop' as const),
      now: fc.constantFrom(false, false, true),
      isPause: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('answer' as const, 'health' as const) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('restart' as const),
      found: fc.constantFrom('alive' as const, 'ended' as const, 'not_started' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      ms: fc.integer({ max: 60, min: 1 }),
    }),
  },
);

/** What leaves something to be cleaned up. */
const DIRTY = new Set(['setup', 'service', 'load', 'run', 'collect']);

describe('whatever happens, in whatever order', () => {
  test('one end, after everything else: no service outlives its attempt, a stop reaches all that runs', () => {
    fc.assert(
      fc.property(spec, fc.array(act, { maxLength: 40, size: 'max' }), (given, acts) => {
        const world = new AttemptWorld(given);
        for (const one of acts) world.act(one);
        world.settle();
        expect(world.problems).toEqual([]);
        expect(world.exits).toBe(1);
        expect(world.state.services ?? []).toEqual([]);
      }),
      { numRuns: 1_000 },
    );
  });

  test('every teardown runs once anything has begun, unless somebody kills at once', () => {
    fc.assert(
      fc.property(spec, fc.array(act, { maxLength: 40, size: 'max' }), (given, acts) => {
        const world = new AttemptWorld(given);
        for (const one of acts) world.act(one);
        world.settle();
        const started = [...world.started].map((index) => given.steps[index]?.step ?? '');
        const isDirty = started.some((step) => DIRTY.has(step));
        const teardowns = given.steps.filter(({ step }) => step === 'teardown').length;
        const ran = started.filter((step) => step === 'teardown').length;
        if (!isDirty) expect(ran).toBe(0);
        else if (!world.wasKilledNow) expect(ran).toBe(teardowns);
      }),
      { numRuns: 1_000 },
    );
  });

  test('passed means that every check passed, and every step but the teardown ended with 0', () => {
    fc.assert(
      fc.property(spec, fc.array(act, { maxLength: 40, size: 'max' }), (given, acts) => {
        const world = new AttemptWorld(given);
        for (const one of acts) world.act(one);
        world.settle();
        const { verdict, steps } = world.state;
        if (verdict?.outcome !== 'passed') return;
        const isMeasured = ({ step }: { readonly step: string }): boolean => step !== 'teardown';
        expect(steps.filter(isMeasured)).toHaveLength(given.steps.filter(isMeasured).length);
        for (const { step, code, deadline } of steps.filter(isMeasured)) {
          if (step === 'service') continue;
          expect([code, deadline]).toEqual([0, false]);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
