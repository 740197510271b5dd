/** The order of a run that goes by the run before it: read, kept over leaders, given up. */
import { describe, expect, it } from 'vitest';
import { explain } from '#coordinator/core/explain/explain.ts';
import { taskViews } from '#protocol/fold/task-view.ts';
import type { TaskHistory } from '#protocol/suite/task-order.ts';
import { Miniature } from './miniature.ts';

const BASIS = '2026-02-13_14-30-45-aaaa';
const RUN = '2026-02-13_14-30-46-bbbb';
const ITEMS = [1, 2, 3, 4, 5, 6];
const SUITE = {
  axes: { item: ITEMS },
  needs: { slots: 1, cpus: 0, exclusive: false },
  order: { by: 'longest-first' as const },
};

/** What is stored is read; the agents do nothing yet. */
function flow(mesh: Miniature): void {
  while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand());
}

function meshOf(basis: string | null = BASIS): Miniature {
  const mesh = new Miniature([{ slots: 1 }]);
  mesh.submit(RUN, SUITE, { basis });
  flow(mesh);
  return mesh;
}

/** The run before, in which the third task took longest, then the fifth. */
function remember(mesh: Miniature, run = RUN): void {
  const took = [1, 2, 90, 3, 50, 4];
  const history = new Map<string, TaskHistory>();
  mesh.core.runs.get(run)?.listed.forEach(({ id }, index) => {
    history.set(id, { elapsedMs: took[index] ?? 0, hasFailed: false });
  });
  mesh.histories.set(BASIS, history);
}

const started = (mesh: Miniature): number[] =>
  mesh.commands.flatMap((record) => {
    if (record?.message.name !== 'command.start') return [];
    const { task } = record.message.data.spec;
    return [mesh.core.runs.get(RUN)?.tasks.get(task)?.index ?? -1];
  });

const reasonOf = (mesh: Miniature, index: number) => {
  const task = mesh.core.runs.get(RUN)?.listed[index]?.id ?? '';
  const explained = explain(mesh.core, { run: RUN, task });
  return 'reason' in explained ? explained : null;
};

describe('priorities of tasks', () => {
  it('go before the order and before other runs, and to the queue of the agent', () => {
    const mesh = new Miniature([{ slots: 1 }]);
    const { axes, needs } = SUITE;
    mesh.submit(BASIS, { axes: { item: [1, 2] }, needs, priority: 2 });
    mesh.submit(RUN, { axes, needs, priority: 1, priorityBy: { item: { 5: 9, 6: 1, 1: -1 } } });
    mesh.settle();
    const priorities = mesh.commands.flatMap((record) =>
      record?.message.name === 'command.start' ? [record.message.data.priority] : [],
    );
    expect(priorities).toEqual([2, 2, 10, 2, 1, 1, 1, 0]);
    expect(started(mesh).slice(2)).toEqual([4, 5, 1, 2, 3, 0]);
    const { fold } = mesh.core.runs.get(RUN) ?? {};
    const views = fold === undefined ? [] : taskViews(fold);
    expect(views.map(({ priority }) => priority)).toEqual([0, 1, 1, 1, 10, 2]);
  });
});

describe('an order that goes by the run before', () => {
  it('is in the event of the submit; nothing is served before that run was read', () => {
    const mesh = meshOf();
    const [submitted] = mesh.events.filter(({ message }) => message.name === 'run.submitted');
    expect(submitted?.message.data).toMatchObject({ basis: BASIS });
    expect(started(mesh)).toEqual([]);
    expect(reasonOf(mesh, 0)?.reason).toEqual({ kind: 'ordering', basis: BASIS });
    remember(mesh);
    mesh.settle();
    expect(started(mesh)).toEqual([2, 4, 5, 3, 1, 0]);
    expect(mesh.logged).toEqual([]);
  });

  it('is found again by the next leader, for what still waits', () => {
    const mesh = meshOf();
    remember(mesh);
    mesh.readHistory();
    flow(mesh);
    expect(started(mesh)).toEqual([2, 4]);
    mesh.lead();
    expect(mesh.reading).toHaveLength(1);
    mesh.settle();
    expect(started(mesh)).toEqual([2, 4, 5, 3, 1, 0]);
    mesh.lead();
    expect(mesh.reading).toEqual([]); // the run has ended
  });

  it('is as listed where that run is gone, and is said once', () => {
    const mesh = meshOf();
    mesh.readHistory();
    flow(mesh);
    expect(started(mesh)).toEqual([0, 1]);
    mesh.core.dirty = 'all';
    const order = { by: 'longest-first', basis: BASIS, gone: true };
    const { scheduler } = mesh.core;
    scheduler.usage.clear();
    expect(reasonOf(mesh, 4)?.agents[0]?.reason).toEqual({
      kind: 'listed_before',
      count: 2,
      order,
    });
    mesh.settle();
    expect(mesh.logged).toEqual([
      'the run that its order goes by cannot be read: its tasks are served as listed',
    ]);
  });

  it('waits for nothing where there was no run before', () => {
    const mesh = meshOf(null);
    expect(started(mesh)).toEqual([0, 1]);
    expect(mesh.reading).toEqual([]);
  });

  it('is no reason to serve what was stopped or paused meanwhile', () => {
    const mesh = meshOf();
    remember(mesh);
    mesh.pause(RUN, null);
    flow(mesh);
    mesh.readHistory();
    flow(mesh);
    expect(started(mesh)).toEqual([]);
    mesh.resume(RUN, null);
    mesh.settle();
    expect(started(mesh)).toEqual([2, 4, 5, 3, 1, 0]);
  });
});

describe('an order, and what operators do', () => {
  it('a requeued task takes its place in it again', () => {
    const mesh = new Miniature([{ slots: 1 }]);
    mesh.submit(RUN, { ...SUITE, maxParallel: 1 }, { basis: BASIS });
    flow(mesh);
    remember(mesh);
    mesh.readHistory();
    flow(mesh);
    mesh.agentReads(0, false); // the submit's start
    expect(started(mesh)).toEqual([2]);
    mesh.requeue(RUN, mesh.core.runs.get(RUN)?.listed[2]?.id ?? '');
    mesh.settle();
    expect(started(mesh)).toEqual([2, 4, 2, 5, 3, 1, 0]);
    expect(mesh.problems).toEqual([]);
  });

  it('waits for an agent that is cordoned, and says so', () => {
    const mesh = new Miniature([{ slots: 1 }]);
    mesh.cordon('a0');
    flow(mesh);
    mesh.submit(RUN, SUITE, { basis: BASIS });
    flow(mesh);
    remember(mesh);
    expect(reasonOf(mesh, 0)).toMatchObject({ reason: { kind: 'ordering', basis: BASIS } });
    mesh.readHistory();
    flow(mesh);
    expect(started(mesh)).toEqual([]);
    expect(reasonOf(mesh, 0)?.agents).toMatchObject([{ reason: { kind: 'cordoned' } }]);
    mesh.cordon('a0', true);
    mesh.settle();
    expect(started(mesh)).toEqual([2, 4, 5, 3, 1, 0]);
  });

  it('holds of a run that has only some tasks of another', () => {
    const mesh = new Miniature([{ slots: 1 }]);
    const whole = '2026-02-13_14-30-44-cccc';
    mesh.submit(whole, SUITE, { basis: null });
    mesh.settle();
    remember(mesh, whole);
    const { listed = [] } = mesh.core.runs.get(whole) ?? {};
    const tasks = [1, 2, 4].map((index) => listed[index]?.id ?? '');
    mesh.submit(RUN, { ...SUITE, tasks }, { basis: BASIS });
    mesh.settle();
    // Positions count within what is left of the matrix.
    expect(started(mesh).slice(-3)).toEqual([1, 2, 0]);
  });
});
