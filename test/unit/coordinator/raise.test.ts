/** A failed task is tried again with more: what it then needs is stored, placed and started, whoever leads. */
import { expect, it } from 'vitest';
import type { PublishEffect } from '#coordinator/core/core-state.ts';
import { explain } from '#coordinator/core/explain/explain.ts';
import { packCore, unpackCore } from '#coordinator/snapshot/core-snapshot.ts';
import { usageOf } from '#coordinator/scheduler/scheduler-state.ts';
import {
  addRun,
  enqueue,
  place,
  raiseTask,
  vacate,
} from '#coordinator/scheduler/scheduler-reducer.ts';
import { createScheduler } from '#coordinator/scheduler/scheduler-state.ts';
import { orderRun, addTasks, withdraw } from '#coordinator/scheduler/scheduler-reducer.ts';
import { waitingBefore } from '#coordinator/scheduler/run-queue.ts';
import { taskView } from '#protocol/fold/task-view.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { Miniature } from './miniature.ts';

const RUN = '2026-02-13_14-30-45-aaaa';
const NEEDS = { slots: 1, cpus: 0, exclusive: false };
const RAISE: Partial<SuiteSpec> = {
  needs: NEEDS,
  retries: { exit: 3 },
  retryRaises: { exit: { slots: { times: 2 } } },
};

function meshOf(agents: readonly { slots: number }[], suite: Partial<SuiteSpec>): Miniature {
  const mesh = new Miniature(agents);
  mesh.submit(RUN, { ...RAISE, ...suite });
  flow(mesh);
  return mesh;
}

/** What is stored is read, by agents too; none of what runs ends. */
function flow(mesh: Miniature): void {
  const reads = (): boolean => mesh.agents.some((_, at) => mesh.agentReads(at, false));
  while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand() || reads());
}

const starts = (mesh: Miniature): [number, number][] =>
  mesh.commands.flatMap((record) => {
    if (record?.message.name !== 'command.start') return [];
    const { n, needs } = record.message.data.spec;
    return [[n, needs.slots]];
  });
const said = (mesh: Miniature, name: PublishEffect['name']): unknown[] =>
  mesh.events.filter(({ message }) => message.name === name).map(({ message }) => message.data);

it('needs twice as much with each attempt, up to what a host could give; then it ends as unplaceable', () => {
  const mesh = meshOf([{ slots: 1 }, { slots: 3 }], { axes: { item: [1] } });
  const at = (): number => mesh.agents.findIndex(({ live }) => live.size > 0);
  for (let round = 0; round < 3; round += 1) {
    mesh.agentExits(at(), 'failed', false);
    flow(mesh);
  }
  // Four slots nobody has: three somebody could give.
  expect(starts(mesh)).toEqual([
    [1, 1],
    [2, 2],
    [3, 3],
  ]);
  expect(said(mesh, 'task.retrying')).toMatchObject([
    { n: 1, needs: { slots: 2 } },
    { n: 2, needs: { slots: 3 } },
  ]);
  expect(said(mesh, 'task.ended')).toMatchObject([
    {
      n: 3,
      outcome: 'failed',
      class: 'exit',
      reason: `exit; not tried again, it would be unplaceable: 1 task needs 6 slots; the nearest agent, a1, has 3`,
    },
  ]);
  expect(usageOf(mesh.core.scheduler, 'a1').slots).toBe(0);
  expect(mesh.problems).toEqual([]);
});

it('stays at its limit, and is tried again all the same', () => {
  const retryRaises = { exit: { slots: { plus: 1, upTo: 2 } } };
  const mesh = meshOf([{ slots: 3 }], { axes: { item: [1] }, retryRaises });
  for (let round = 0; round < 3; round += 1) {
    mesh.agentExits(0, 'failed', false);
    flow(mesh);
  }
  expect(starts(mesh).map(([, slots]) => slots)).toEqual([1, 2, 2, 2]);
});

it('is known to the next leader, by the events and by a snapshot, and shown', () => {
  const mesh = meshOf([{ slots: 2 }], { axes: { item: [1, 2, 3] } });
  mesh.agentExits(0, 'failed', false);
  flow(mesh);
  mesh.lead();
  const run = mesh.core.runs.get(RUN);
  const task = run?.listed[0];
  if (run === undefined || task === undefined) throw new Error('no task');
  expect([task.n, task.needs?.slots]).toEqual([2, 2]);
  const restored = unpackCore(packCore(mesh.core)).runs.get(RUN)?.listed[0];
  expect(restored).toEqual(task);
  const fold = run.fold.tasks.get(task.id);
  expect(fold === undefined ? null : taskView(run.fold, fold).needs).toEqual(task.needs);
  expect(explain(mesh.core, { run: RUN, task: task.id })).toMatchObject({
    raised: '2 slots (1 slot before)',
  });
  mesh.settle();
  expect(mesh.core.runs.get(RUN)?.counts).toEqual({ passed: 3 });
  expect(starts(mesh)).toContainEqual([2, 2]);
  expect(mesh.problems).toEqual([]);
});

it('stands in a lane of its own, in its run’s order and cycles, and is counted by what it takes there', () => {
  const state = createScheduler();
  const agent = {
    ...{ id: 'a', hostId: 'a', slots: 3, cpus: 8, memoryMiB: 9, gpus: [], labels: {} },
    ...{ counts: { all: 0, usable: 0, most: 0, free: 0 } as never, names: ['a'], accepts: null },
  };
  const needs = { classes: [NEEDS], of: null };
  addRun(state, { run: 'r', order: 1, tasks: 4, maxParallel: null, priority: 0, needs });
  for (const index of [0, 1]) withdraw(state, 'r', index);
  raiseTask(state, 'r', { index: 1, needs: { ...NEEDS, slots: 3 } });
  raiseTask(state, 'r', { index: 0, needs: { ...NEEDS, slots: 3 } });
  orderRun(state, 'r', Uint32Array.of(3, 2, 1, 0));
  addTasks(state, 'r', Uint32Array.of(3, 2, 1, 0));
  for (const index of [0, 1]) enqueue(state, 'r', index);
  const queue = state.runs.get('r')?.queue;
  if (queue === undefined) throw new Error('no run');
  expect([0, 1, 2, 3, 7].map((index) => waitingBefore(queue, index))).toEqual([3, 2, 1, 0, 4]);
  const placed = place(state, [agent]);
  const served = placed.map(({ index }) => index);
  expect(served.slice(0, 2)).toEqual([3, 2]);
  expect(served.filter((index) => index < 2)).toEqual([1]);
  expect(usageOf(state, 'a').slots).toBe(placed.length + 2);
  for (const { index } of placed) vacate(state, 'r', { index, agent: 'a', heldMs: null });
  expect(usageOf(state, 'a').slots).toBe(0);
  expect(place(state, [agent])[0]?.index).toBe(0);
  raiseTask(state, 'r', { index: 5, needs: { ...NEEDS, slots: 3 } });
  expect(queue.lanes).toHaveLength(2);
});

it('of a task of a cycling run asks for no more cycles than the others do', () => {
  const mesh = meshOf([{ slots: 2 }], {
    axes: { item: Array.from({ length: 400 }, (_, at) => at) },
    runBudgetMs: 1e9,
    untilBudget: { maxCycles: null },
  });
  for (let round = 0; round < 3; round += 1) {
    mesh.agentExits(0, 'failed', false);
    flow(mesh);
  }
  for (let round = 0; round < 12; round += 1) {
    mesh.agentExits(0, 'passed', false);
    flow(mesh);
  }
  // They are all with the agent: none of their kind waits.
  expect(starts(mesh).filter(([n]) => n === 2)).toHaveLength(3);
  expect(said(mesh, 'run.cycle_started')).toEqual([]);
});
