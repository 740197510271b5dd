/** Runs that measure their cells until their budget ends. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cycleAfter } from '#coordinator/core/starts/cycles.ts';
import { sequenceAt } from '#coordinator/scheduler/run-queue.ts';
import { applyToRun, createRunFold, type RunFold } from '#protocol/fold/run-fold.ts';
import { timeLeftOf } from '#protocol/fold/progress/time-left.ts';
import { runView } from '#protocol/fold/run-view.ts';
import { taskViews } from '#protocol/fold/task-view.ts';
import { expandTasks } from '#protocol/suite/expand.ts';
import type { AttemptExited } from '#protocol/messages/attempt/attempt.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { goldenSuite } from '#test/support/golden-messages.ts';
import { Miniature } from './miniature.ts';

const RUN = '2026-02-13_14-30-45-aaaa';
const SUITE: Partial<SuiteSpec> = {
  axes: { item: [1, 2, 3] },
  needs: { slots: 1, cpus: 0, exclusive: false },
  runBudgetMs: 60_000,
  untilBudget: { maxCycles: null },
};

function submitted(suite: Partial<SuiteSpec> = SUITE, slots = 2): Miniature {
  const mesh = new Miniature([{ slots }]);
  mesh.submit(RUN, suite);
  flow(mesh);
  return mesh;
}

/** Everything but the ends of attempts. */
function flow(mesh: Miniature): void {
  while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand() || mesh.sayPassed());
  while (mesh.agentReads(0, false));
  while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand() || mesh.sayPassed());
}

/** The oldest attempt on the agent ends. */
function end(mesh: Miniature, outcome: AttemptExited['outcome'] = 'passed'): void {
  mesh.agentExits(0, outcome, false);
  flow(mesh);
}

function foldOf(mesh: Miniature): RunFold {
  const fold = createRunFold(RUN);
  for (const record of mesh.events) applyToRun(fold, record);
  return fold;
}

function budgetEnds(mesh: Miniature): void {
  mesh.later(61_000);
  mesh.settle();
}

const inHand = (mesh: Miniature): number => mesh.agents[0]?.live.size ?? 0;
/** Of all, or of those of one kind of needs. */
const waiting = (mesh: Miniature, lane: number | null = null): number =>
  (mesh.core.scheduler.runs.get(RUN)?.lanes ?? [])
    .filter((_, at) => lane === null || at === lane)
    .reduce((sum, { lane: { waiting: own } }) => sum + own.count, 0);

describe('cycles until the budget ends', () => {
  it('begins the next before slots run dry, and never waits for stragglers', () => {
    const mesh = submitted();
    for (let round = 0; round < 40; round += 1) {
      expect(mesh.agents[0]?.live.size).toBeGreaterThanOrEqual(4);
      expect(waiting(mesh)).toBeGreaterThan(0);
      end(mesh);
    }
    expect(mesh.core.runs.get(RUN)?.fold.cycles?.begun).toBeGreaterThan(10);
    expect(mesh.problems).toEqual([]);
  });

  it('has the tasks of the suite with as many repeats', () => {
    const mesh = submitted();
    for (let round = 0; round < 10; round += 1) end(mesh);
    const fold = foldOf(mesh);
    const left = 60_000 - (fold.lastMs - (fold.startedMs ?? 0));
    expect(timeLeftOf(fold, null)).toMatchObject({ kind: 'about', ms: left, isBudget: true });
    const repeats = fold.cycles?.begun ?? 0;
    const same = expandTasks({ ...goldenSuite, include: [], exclude: [], ...SUITE, repeats });
    expect([...fold.tasks.keys()]).toEqual(same.map(({ id }) => id));
    expect(taskViews(fold).map(({ index }) => index)).toEqual(same.map(({ index }) => index));
    expect(mesh.core.runs.get(RUN)?.listed.map(({ plan }) => plan)).toEqual(same);
  });

  it('serves each cycle in another order, the same one under every leader', () => {
    const order = (mesh: Miniature): number[][] => {
      const queue = mesh.core.scheduler.runs.get(RUN)?.queue;
      const sequence = (queue && sequenceAt(queue, queue.size)) ?? [];
      const begun = mesh.core.runs.get(RUN)?.fold.cycles?.begun ?? 0;
      return Array.from({ length: begun }, (_, at) => [...sequence.slice(at * 8, at * 8 + 8)]);
    };
    const mesh = submitted({ ...SUITE, axes: { item: [1, 2, 3, 4, 5, 6, 7, 8] } }, 8);
    const before = order(mesh);
    expect(before.length).toBeGreaterThan(2);
    expect(before[0]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    const relative = before.map((cycle, at) => cycle.map((index) => index - at * 8));
    expect(new Set(relative.map(String)).size).toBe(relative.length);
    for (const cycle of relative) expect(cycle.toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    mesh.lead();
    flow(mesh);
    expect(order(mesh).slice(0, before.length)).toEqual(before);
  });

  it('passes when its budget ends: what never began is none of its tasks, what was cut off is stopped', () => {
    const mesh = submitted();
    for (let round = 0; round < 7; round += 1) end(mesh);
    const handedOut = inHand(mesh);
    budgetEnds(mesh);
    const view = runView(foldOf(mesh));
    expect(view).toMatchObject({ state: 'ended', outcome: 'passed' });
    expect(view?.reason).toBe("the run's budget of 60 s was used up");
    expect(view?.outcomes).toEqual({ passed: 7, stopped: handedOut });
    expect(view?.tasks).toBe(7 + handedOut);
    expect(view?.cycles?.withdrawn).toBeGreaterThan(0);
    expect(view?.states).toEqual({ pending: 0, assigned: 0, running: 0, ended: 7 + handedOut });
    expect(mesh.archived).toEqual([RUN]);
  });

  it('is stopped where a cell was never measured, and says so', () => {
    const mesh = submitted();
    end(mesh);
    budgetEnds(mesh);
    expect(runView(foldOf(mesh))).toMatchObject({
      outcome: 'stopped',
      reason: "the run's budget of 60 s was used up before 2 of 3 cells were measured",
    });
  });

  it('has failed where something failed, and is stopped by an operator', () => {
    const failed = submitted();
    end(failed, 'failed');
    for (let round = 0; round < 7; round += 1) end(failed);
    budgetEnds(failed);
    const view = runView(foldOf(failed));
    expect(view).toMatchObject({ outcome: 'failed', outcomes: { failed: 1, passed: 7 } });
    expect(view?.flaky).toMatchObject({ cells: 1, listed: [{ failed: 1 }] });
    const stopped = submitted();
    for (let round = 0; round < 7; round += 1) end(stopped);
    const handedOut = inHand(stopped);
    stopped.stop(RUN, null);
    stopped.settle();
    const other = runView(foldOf(stopped));
    expect(other).toMatchObject({
      outcome: 'stopped',
      outcomes: { passed: 7, stopped: handedOut },
    });
    expect(other?.tasks).toBe(7 + handedOut);
  });

  it('lets what runs finish where the suite says so, and hands nothing out', () => {
    const mesh = submitted({ ...SUITE, atBudget: 'finish' });
    for (let round = 0; round < 7; round += 1) end(mesh);
    const handedOut = inHand(mesh);
    mesh.later(61_000);
    flow(mesh);
    expect(inHand(mesh)).toBe(handedOut);
    end(mesh);
    expect(inHand(mesh)).toBe(handedOut - 1);
    mesh.settle();
    const outcomes = { passed: 7 + handedOut };
    expect(runView(foldOf(mesh))).toMatchObject({ outcome: 'passed', outcomes });
    expect(mesh.commands.some((record) => record?.message.name === 'command.stop')).toBe(false);
  });

  it('ends with its last cycle where there is one', () => {
    const mesh = submitted({ ...SUITE, untilBudget: { maxCycles: 3 } });
    mesh.settle();
    expect(runView(foldOf(mesh))).toMatchObject({
      outcome: 'passed',
      reason: null,
      outcomes: { passed: 9 },
      cycles: { begun: 3, withdrawn: 0 },
    });
  });

  it('goes on with the next when all of one was stopped task by task while it was paused', () => {
    const mesh = new Miniature([{ slots: 2 }]);
    mesh.pause(RUN, null); // read before the run is: nothing of it begins
    mesh.readCommand();
    mesh.submit(RUN, { ...SUITE, axes: { item: [1] } });
    flow(mesh);
    expect(foldOf(mesh).cycles?.begun).toBe(1);
    mesh.stop(RUN, mesh.core.runs.get(RUN)?.listed[0]?.id ?? '');
    flow(mesh);
    expect(foldOf(mesh).states).toMatchObject({ ended: 1 });
    const token = mesh.resume(RUN, null);
    flow(mesh);
    expect(mesh.replies.get(token)).toMatchObject({ kind: 'ok' });
    expect(inHand(mesh)).toBeGreaterThan(0);
  });

  it('waits while it is paused, and goes on', () => {
    const mesh = submitted();
    mesh.pause(RUN, null);
    flow(mesh);
    const begun = foldOf(mesh).cycles?.begun;
    for (let round = 0; round < 3; round += 1) flow(mesh);
    expect(foldOf(mesh).cycles?.begun).toBe(begun);
    expect(mesh.agents[0]?.live.size).toBe(0);
    mesh.resume(RUN, null);
    flow(mesh);
    for (let round = 0; round < 9; round += 1) end(mesh);
    expect(foldOf(mesh).outcomes.passed).toBe(9);
    budgetEnds(mesh);
    expect(runView(foldOf(mesh))).toMatchObject({ outcome: 'passed' });
  });

  it('an ordinary run that may finish: what waited is timed_out, and the run stopped', () => {
    const { untilBudget: _none, ...plain } = SUITE;
    const mesh = submitted({ ...plain, axes: { item: [1, 2, 3, 4, 5, 6] }, atBudget: 'finish' });
    mesh.later(61_000);
    mesh.settle();
    expect(runView(foldOf(mesh))).toMatchObject({
      outcome: 'stopped',
      reason: "the run's budget of 60 s was used up",
      outcomes: { passed: 4, timed_out: 2 },
    });
  });

  it('with any interleaving and leaders that die: every task ends once, and the run at its budget', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: 9 }), { minLength: 30, maxLength: 150 }),
        fc.constantFrom('stop' as const, 'finish' as const),
        fc.option(fc.integer({ min: 1, max: 6 }), { nil: null }),
        fc.constantFrom(SUITE, OF_SIZES),
        (choices, atBudget, maxCycles, suite) => {
          const mesh = new Miniature([{ slots: 1 }, { slots: 2 }]);
          mesh.submit(RUN, { ...suite, atBudget, untilBudget: { maxCycles } });
          for (const choice of choices) {
            if (choice < 3) mesh.storeOne(choice);
            else if (choice < 5) mesh.readEvent();
            else if (choice === 5) mesh.readCommand();
            else if (choice === 6) mesh.agentReads(choice, false);
            else if (choice === 7) mesh.agentExits(choice, 'passed', false);
            else if (choice === 8) mesh.later(1_500);
            else if (mesh.events.length % 7 === 0) mesh.lead();
          }
          for (let round = 0; round < 3; round += 1) flow(mesh);
          budgetEnds(mesh);
          mesh.lead();
          mesh.submit(RUN, { ...suite, atBudget, untilBudget: { maxCycles } });
          flow(mesh);
          for (let round = 0; round < 5; round += 1) budgetEnds(mesh);
          const fold = foldOf(mesh);
          expect(fold.state).toBe('ended');
          expect(fold.states).toEqual({
            pending: 0,
            assigned: 0,
            running: 0,
            ended: fold.tasks.size,
          });
          expect(mesh.problems).toEqual([]);
        },
      ),
      { numRuns: 150 },
    );
  });
});

/** Cells of which each has needs of its own. */
const OF_SIZES: Partial<SuiteSpec> = {
  ...SUITE,
  axes: { size: [1, 2] },
  needsTemplate: { slots: '{{size}}', exclusive: false },
};

const passedOf = (mesh: Miniature, axes: object): number =>
  taskViews(foldOf(mesh)).filter(
    (task) => task.outcome === 'passed' && JSON.stringify(task.axes) === JSON.stringify(axes),
  ).length;

describe('cycles of cells with different needs', () => {
  it('each joins those of its needs, and all are covered in turn', () => {
    const mesh = submitted(OF_SIZES);
    for (let round = 0; round < 40; round += 1) end(mesh);
    const [one, two] = [passedOf(mesh, { size: 1 }), passedOf(mesh, { size: 2 })];
    expect(one + two).toBe(40);
    expect(Math.abs(one - two)).toBeLessThanOrEqual(3);
    expect(waiting(mesh, 0)).toBeLessThan(10);
    expect(waiting(mesh, 1)).toBeLessThan(10);
    expect(mesh.problems).toEqual([]);
    const before = passedOf(mesh, { size: 2 });
    mesh.lead();
    for (let round = 0; round < 10; round += 1) end(mesh);
    expect(passedOf(mesh, { size: 2 })).toBeGreaterThan(before + 3);
  });

  it('go on past cells that no agent can run', () => {
    const mesh = submitted({ ...OF_SIZES, axes: { size: [1, 2, 5] } });
    for (let round = 0; round < 20; round += 1) end(mesh);
    expect(passedOf(mesh, { size: 1 }) + passedOf(mesh, { size: 2 })).toBe(20);
    budgetEnds(mesh);
    expect(runView(foldOf(mesh))?.reason).toBe(
      "the run's budget of 60 s was used up before 1 of 3 cells were measured",
    );
  });

  it('go on on one host while the other is long at its cells', () => {
    const mesh = new Miniature([{ slots: 1 }, { slots: 1 }]);
    const needsTemplate = { slots: 1, exclusive: false, host: ['{{host}}'] };
    mesh.submit(RUN, { ...OF_SIZES, axes: { host: ['a0', 'a1'] }, needsTemplate });
    flow(mesh);
    for (let round = 0; round < 20; round += 1) {
      expect(mesh.agents[0]?.live.size).toBeGreaterThan(0);
      end(mesh);
    }
    expect(passedOf(mesh, { host: 'a0' })).toBe(20);
  });

  it('do not begin while cells of lower priority wait for the same hosts', () => {
    const mesh = submitted({ ...OF_SIZES, priorityBy: { size: { 1: 5 } } });
    for (let round = 0; round < 60; round += 1) end(mesh);
    expect(passedOf(mesh, { size: 1 })).toBeGreaterThan(20);
    expect(passedOf(mesh, { size: 2 })).toBeGreaterThan(20);
  });
});

describe('how many cycles begin at once', () => {
  it('as many as fill the agents, and no more', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 1_000 }),
        fc.integer({ min: 1, max: 700 }),
        fc.nat({ max: 900 }),
        fc.nat({ max: 2_000 }),
        (begun, cells, waiting, wanted) => {
          const cycle = cycleAfter({ begun, cells, waiting, wanted });
          const after = waiting + (cycle - begun) * cells;
          expect(after).toBeGreaterThanOrEqual(Math.max(1, wanted));
          if (cycle > begun) expect(after - cells).toBeLessThan(Math.max(1, wanted));
        },
      ),
    );
  });
});
