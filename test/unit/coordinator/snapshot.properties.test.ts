import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CORE_TIMING, createCore, type CoreState } from '#coordinator/core/core-state.ts';
import { update } from '#coordinator/core/core-reducer.ts';
import { forgetRun } from '#coordinator/core/ends/leave.ts';
import { begunFrom, packCore, unpackCore } from '#coordinator/snapshot/core-snapshot.ts';
import { inFlight } from '#coordinator/scheduler/scheduler-reducer.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import { Miniature } from './miniature.ts';

const RUNS = ['2026-02-13_14-30-45-aaaa', '2026-02-13_14-30-46-bbbb'] as const;
const NOW_MS = 77_000;

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('store' as const), choice: fc.nat(20) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('read' as const) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('agent' as const), choice: fc.nat(3) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('exit' as const),
      choice: fc.nat(9),
      outcome: fc.constantFrom('passed' as const, 'failed' as const, 'timed_out' as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'pause' as const,
        'resume' as const,
        'requeue' as const,
        'stop' as const,
      ),
      run: fc.constantFrom(...RUNS),
      index: fc.option(fc.nat(5), { nil: null }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('later' as const), ms: fc.nat(400) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leader' as const) }) },
);

const world = fc.record({
  tasks: fc.integer({ min: 1, max: 12 }),
  steps: fc.array(step, { maxLength: 200, size: 'max' }),
  isSettled: fc.boolean(),
  cut: fc.nat(1_000),
});
type World = typeof world extends fc.Arbitrary<infer T> ? T : never;

/** The events of some mesh: a run that cycles, and one with priorities, locks and retries. */
function eventsOf({ tasks, steps, isSettled }: World): readonly EventRecord[] {
  const mesh = new Miniature([{ slots: 2 }, { slots: 1, hostId: 'h2' }]);
  const item = Array.from({ length: tasks }, (_, at) => at);
  const needs = { slots: 1, cpus: 0, exclusive: false };
  const cycles = { untilBudget: { maxCycles: 3, reshuffle: true }, runBudgetMs: 800 };
  mesh.submit(RUNS[0], { axes: { item: item.slice(0, 4) }, needs, ...cycles });
  const locks = { db: 2 };
  mesh.submit(RUNS[1], {
    ...{ axes: { item }, repeats: 2, needs: { ...needs, locks: { db: 1 } }, locks },
    ...{ retries: { exit: 2, timeout: 1 }, priorityBy: { item: { 0: -1, 3: 2 } } },
  });
  while (mesh.storeOne(0));
  for (const one of steps) {
    if (one.kind === 'store') mesh.storeOne(one.choice);
    else if (one.kind === 'read') {
      mesh.readEvent();
      mesh.readCommand();
    } else if (one.kind === 'agent') mesh.agentReads(one.choice, false);
    else if (one.kind === 'exit') mesh.agentExits(one.choice, one.outcome, false);
    else if (one.kind === 'later') mesh.later(one.ms);
    else if (one.kind === 'leader') mesh.lead();
    else {
      const ids = [...(mesh.core.runs.get(one.run)?.tasks.keys() ?? [])];
      mesh[one.kind](one.run, one.index === null ? null : (ids[one.index % ids.length] ?? null));
    }
  }
  if (isSettled) mesh.settle();
  return mesh.events;
}

function fold(state: CoreState, events: readonly EventRecord[], monotonicMs: number): CoreState {
  return events.reduce(
    (before, record) => update(before, { kind: 'event', record }, { monotonicMs, wallMs: 0 })[0],
    state,
  );
}

/** As it is compared: what is packed of a run is the same in each of its tasks, and looked at once. */
function told(state: CoreState): unknown {
  const runs = Array.from(state.runs, ([id, run]) => {
    const tasks = Array.from(run.fold.tasks, ([task, { packed, ...fold }]) => [
      task,
      { ...fold, isOfRun: packed === run.fold.packed },
    ]);
    return [id, { ...run, fold: { ...run.fold, tasks } }];
  });
  return { ...state, runs };
}

const TERM = { timing: CORE_TIMING, epoch: 7, claimSequence: 1_000_000 };
const fresh = (): CoreState => createCore({ epoch: TERM.epoch, sequence: TERM.claimSequence });

describe('a snapshot', () => {
  it('at any event, with what comes after it, is the fold of all (I2)', () => {
    fc.assert(
      fc.property(world, (input) => {
        const events = eventsOf(input);
        const cut = input.cut % (events.length + 1);
        const before = fold(fresh(), events.slice(0, cut), 0);
        const restored = begunFrom(unpackCore(packCore(before)), TERM, NOW_MS);
        const resumed = fold(restored, events.slice(cut), NOW_MS);
        expect(told(resumed)).toStrictEqual(
          told(fold({ ...fresh(), nowMs: NOW_MS }, events, NOW_MS)),
        );
      }),
      { numRuns: 50 },
    );
  });

  it('of a run that was archived before it counts the time to its purge anew', () => {
    const mesh = new Miniature([{ slots: 2 }]);
    mesh.submit(RUNS[0], { axes: { item: [1, 2] } });
    mesh.settle();
    const last = mesh.events.at(-1);
    if (last?.message.name !== 'run.ended') throw new Error('the run has not ended');
    const { name: _name, data: _data, ...said } = last.message;
    const message = { ...said, name: 'run.archived' as const, data: { directory: '/results' } };
    const events = [...mesh.events, { ...last, sequence: last.sequence + 1, message }];
    for (let cut = 0; cut <= events.length; cut += 1) {
      const before = fold(fresh(), events.slice(0, cut), 0);
      const restored = begunFrom(unpackCore(packCore(before)), TERM, NOW_MS);
      const resumed = fold(restored, events.slice(cut), NOW_MS);
      expect(told(resumed)).toStrictEqual(
        told(fold({ ...fresh(), nowMs: NOW_MS }, events, NOW_MS)),
      );
      expect(resumed.runs.get(RUNS[0])?.purgeAtMs).toBe(NOW_MS + CORE_TIMING.purgeAfterMs);
    }
  });

  it('is the same again when what was restored is kept', () => {
    fc.assert(
      fc.property(world, (input) => {
        const state = fold(fresh(), eventsOf(input), 0);
        const restored = unpackCore(packCore(state));
        expect(told(restored)).toStrictEqual(told(state));
        expect(told(unpackCore(packCore(restored)))).toStrictEqual(told(state));
      }),
      { numRuns: 50 },
    );
  });

  it('of runs that are purged since holds nobody up', () => {
    fc.assert(
      fc.property(world, (input) => {
        const restored = unpackCore(packCore(fold(fresh(), eventsOf(input), 0)));
        for (const run of RUNS) forgetRun(restored, run);
        const { scheduler } = restored;
        expect([restored.runs.size, scheduler.runs.size, scheduler.classes.size]).toEqual([
          0, 0, 0,
        ]);
        expect([inFlight(scheduler), scheduler.locks.size]).toEqual([0, 0]);
      }),
      { numRuns: 50 },
    );
  });

  it('that ends too early is refused', () => {
    const bytes = packCore(
      fold(fresh(), eventsOf({ tasks: 3, steps: [], isSettled: true, cut: 0 }), 0),
    );
    for (let length = 0; length < bytes.length; length += 97)
      expect(() => unpackCore(bytes.subarray(0, length))).toThrow();
  });
});
