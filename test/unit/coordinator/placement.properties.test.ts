/** What is placed where, for any fleet, any needs and any order of events. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addRun, enqueue, place, seat, vacate } from '#coordinator/scheduler/scheduler-reducer.ts';
import {
  createScheduler,
  type AgentCapacity,
  type SchedulerState,
} from '#coordinator/scheduler/scheduler-state.ts';
import type { Needs } from '#protocol/messages/attempt/needs.ts';
import { fitsEver, PlacementModel, type ModelRun } from './placement-model.ts';

const small = (max: number) => fc.integer({ min: 0, max });
const agent = fc.record({
  slots: fc.integer({ min: 1, max: 4 }),
  gpus: small(3),
  memoryMiB: fc.integer({ min: 1, max: 4 }),
  host: small(2),
});

const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined, freq: 3 });
const needs: fc.Arbitrary<Needs> = fc
  .record({
    slots: fc.integer({ min: 1, max: 3 }),
    cpus: small(2),
    exclusive: fc.boolean().map((yes) => yes),
    gpus: maybe(small(3).map((count) => ({ count }))),
    memoryMiB: maybe(small(3)),
    locks: maybe(fc.record({ db: fc.integer({ min: 1, max: 3 }) })),
    apart: maybe(
      fc.oneof(
        fc.constantFrom('x', 'y').map((key) => ({ key })),
        fc.constant({ labels: { team: 'red' } }),
      ),
    ),
  })
  .map(
    (all) => Object.fromEntries(Object.entries(all).filter(([, v]) => v !== undefined)) as Needs,
  );

const run = fc.record({
  needs: fc.array(needs, { minLength: 1, maxLength: 3 }),
  of: fc.array(small(2), { minLength: 1, maxLength: 8 }),
  added: fc.array(fc.constantFrom(0, 0, 0, 1), { minLength: 8, maxLength: 8 }),
  priority: small(1),
  isRed: fc.boolean(),
  db: maybe(fc.integer({ min: 1, max: 4 })),
});

const scenario = fc.record({
  agents: fc.array(agent, { minLength: 1, maxLength: 3 }),
  runs: fc.array(run, { minLength: 1, maxLength: 3 }),
  ends: fc.array(fc.record({ at: fc.nat(), again: fc.boolean() }), { maxLength: 25 }),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never;

function capacity({ slots, gpus, memoryMiB, host }: Scenario['agents'][number], at: number) {
  const counts = { usable: gpus, all: gpus, most: gpus };
  const id = `a${at}`;
  const agentOf: AgentCapacity = {
    ...{ id, hostId: `h${host}`, slots, cpus: slots, memoryMiB, gpus: [], counts },
    ...{ names: [id], labels: {}, accepts: null },
  };
  return agentOf;
}

function modelRun(of: Scenario['runs'][number], at: number): ModelRun {
  const classes = of.of.map((one) => one % of.needs.length);
  // Tasks of a run stand in its order of priority, as the order of a run always has them.
  const added = of.added.slice(0, classes.length).sort((a, b) => b - a);
  return {
    ...{ run: `r${at}`, order: at, priority: of.priority, needs: of.needs, of: classes, added },
    labels: of.isRed ? { team: 'red' } : {},
    locks: of.db === undefined ? {} : { db: of.db },
  };
}

function begin({ agents, runs }: Scenario): {
  state: SchedulerState;
  model: PlacementModel;
  fleet: AgentCapacity[];
} {
  const fleet = agents.map(capacity);
  const state = createScheduler();
  const model = new PlacementModel(fleet);
  for (const one of fleet) seat(state, one);
  runs.map(modelRun).forEach((one) => {
    const { run: id, order, priority, labels, locks } = one;
    const { of: numbers } = one;
    const classes = { classes: one.needs, of: Uint32Array.from(numbers) };
    addRun(state, {
      ...{ run: id, order, priority, labels, locks, maxParallel: null },
      ...{ tasks: numbers.length, added: Float64Array.from(one.added), needs: classes },
    });
    model.add(one);
  });
  return { state, model, fleet };
}

/** One of what is in flight ends, in both; null where nothing is. */
function end(
  { state, model }: ReturnType<typeof begin>,
  { at, again }: { readonly at: number; readonly again: boolean },
): void {
  const [ended] = model.held.splice(at % Math.max(1, model.held.length), 1);
  if (ended === undefined) return;
  const { run: id, index, agent: from } = ended;
  vacate(state, id, { index, agent: from, heldMs: null });
  if (!again) return;
  enqueue(state, id, index);
  model.enqueue(id, index);
}

describe('placements', () => {
  it('are those of a scheduler that looks at every task, and never more than there is', () => {
    const property = fc.property(scenario, (one) => {
      const both = begin(one);
      for (const step of [null, ...one.ends]) {
        if (step !== null) end(both, step);
        expect(place(both.state, both.fleet)).toEqual(both.model.place());
        expect(both.model.problems()).toEqual([]);
      }
    });
    fc.assert(property, { numRuns: 150 });
  });

  it('come to every task that some agent could run, when others end', () => {
    const property = fc.property(scenario, (one) => {
      const both = begin(one);
      const { model, fleet, state } = both;
      do {
        end(both, { at: 0, again: false });
        place(state, fleet);
        model.place();
      } while (model.held.length > 0);
      const stuck = [...model.waiting.values()].filter(
        ({ needs: wanted }) =>
          fleet.some((each) => fitsEver(each, { needs: wanted })) &&
          (wanted.locks?.['db'] ?? 0) <= Math.min(...one.runs.map(({ db }) => db ?? Infinity)),
      );
      expect(stuck).toEqual([]);
      for (const [, usage] of state.usage) {
        expect(usage).toMatchObject({ slots: 0, cpus: 0, memoryMiB: 0, gpus: 0, attempts: 0 });
        expect([...usage.has, ...usage.avoids]).toEqual([]);
      }
      for (const { held } of state.locks.values()) expect(held).toBe(0);
    });
    fc.assert(property, { numRuns: 150 });
  });

  it('come to who waits as soon as all that was handed out before it has ended', () => {
    const property = fc.property(
      agent,
      needs,
      fc.array(needs, { minLength: 1, maxLength: 4 }),
      (of, big, others) => {
        const one = capacity(of, 0);
        const state = createScheduler();
        seat(state, one);
        // With a lock of its own it is not queued ahead: it waits for a place.
        const { apart: _apart, ...rest } = big;
        const free = { ...rest, locks: { own: 1 } };
        if (!fitsEver(one, { needs: free })) return;
        const many = {
          classes: others,
          of: Uint32Array.from({ length: 40 }, (_, at) => at % others.length),
        };
        addRun(state, {
          run: 'small',
          order: 2,
          tasks: 40,
          maxParallel: null,
          priority: 0,
          needs: many,
        });
        let held = place(state, [one]);
        addRun(state, {
          run: 'big',
          order: 1,
          tasks: 1,
          maxParallel: null,
          priority: 0,
          needs: { classes: [free], of: null },
        });
        const before = held.length;
        for (let ends = 0; ends <= before && !held.some(({ run: id }) => id === 'big'); ends += 1) {
          held = [...held, ...place(state, [one])];
          const [first, ...rest] = held;
          if (first === undefined || held.some(({ run: id }) => id === 'big')) break;
          held = rest;
          vacate(state, first.run, { index: first.index, agent: first.agent, heldMs: null });
          enqueue(state, first.run, first.index);
        }
        expect(held.some(({ run: id }) => id === 'big')).toBe(true);
      },
    );
    fc.assert(property, { numRuns: 2000 });
  });
});
