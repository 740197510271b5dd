import { describe, expect, it } from 'vitest';
import type { Needs } from '#protocol/messages/attempt/needs.ts';
import type { NeedClasses } from '#protocol/suite/task-needs.ts';
import {
  addRun,
  dropRun,
  enqueue,
  occupy,
  orderRun,
  place,
  placeTask,
  seat,
  vacate,
  waitingTasks,
  withdraw,
} from '#coordinator/scheduler/scheduler-reducer.ts';
import {
  createScheduler,
  type AgentCapacity,
  type SchedulerState,
} from '#coordinator/scheduler/scheduler-state.ts';

const NO_GPUS = { usable: 0, all: 0, most: 0 };
const oneClass = (needs: Needs): NeedClasses => ({ classes: [needs], of: null });

const agent = (id: string, slots = 2, hostId = id): AgentCapacity => ({
  id,
  hostId,
  slots,
  cpus: slots,
  memoryMiB: 1_000,
  gpus: [],
  counts: NO_GPUS,
  names: [id],
  labels: {},
  accepts: null,
});

function scheduler(agents: readonly AgentCapacity[]): SchedulerState {
  const state = createScheduler();
  for (const one of agents) seat(state, one);
  return state;
}

interface Run {
  tasks?: number;
  order?: number;
  priority?: number;
  exclusive?: boolean;
  slots?: number;
  maxParallel?: number;
  /** By index. */
  added?: readonly number[];
}

function add(state: SchedulerState, run: string, more: Run = {}): void {
  const {
    tasks = 100,
    order = 1,
    priority = 0,
    exclusive = false,
    slots = 1,
    maxParallel = null,
    added = [],
  } = more;
  const needs = { slots, cpus: 0, exclusive };
  const of = {
    priority,
    needs: oneClass(needs),
    added: added.length === 0 ? null : Float64Array.from(added),
  };
  addRun(state, { run, order, tasks, maxParallel, ...of });
}

const tally = (
  placements: readonly { run: string; agent: string }[],
  by: 'run' | 'agent',
): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const one of placements) counts[one[by]] = (counts[one[by]] ?? 0) + 1;
  return counts;
};

describe('placement', () => {
  it('fills free slots everywhere before it queues anywhere', () => {
    const agents = [agent('a'), agent('b', 4)];
    const state = scheduler(agents);
    add(state, 'r', { tasks: 6 });
    expect(tally(place(state, agents), 'agent')).toEqual({ a: 2, b: 4 });
  });

  it('queues one for each slot while the pace is unknown, in listed order, and no more', () => {
    const agents = [agent('a')];
    const state = scheduler(agents);
    add(state, 'r');
    expect(place(state, agents).map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    expect(place(state, agents)).toEqual([]);
    vacate(state, 'r', { index: 0, agent: 'a', heldMs: null });
    expect(place(state, agents).map(({ index }) => index)).toEqual([4]);
  });

  it.each([
    [1, 18],
    [20, 12],
    [60, 6],
    [500, 4],
    [3_600_000, 4],
  ])('with tasks of %i ms has %i in hand on two slots', (heldMs, inHand) => {
    const agents = [agent('a')];
    const state = scheduler(agents);
    add(state, 'r');
    const placed = place(state, agents).length;
    vacate(state, 'r', { index: 0, agent: 'a', heldMs });
    expect(placed - 1 + place(state, agents).length).toBe(inHand);
  });

  it('queues less again when the tasks become long', () => {
    const agents = [agent('a')];
    const state = scheduler(agents);
    add(state, 'r');
    place(state, agents);
    vacate(state, 'r', { index: 0, agent: 'a', heldMs: 1 });
    place(state, agents);
    for (let ended = 0; ended < 14; ended += 1)
      vacate(state, 'r', { index: 0, agent: 'a', heldMs: 1_000 });
    expect(place(state, agents)).toEqual([]);
    vacate(state, 'r', { index: 0, agent: 'a', heldMs: 1_000 });
    expect(place(state, agents)).toHaveLength(1);
  });

  it('shares between runs of the same priority: what has least in hand goes first', () => {
    const agents = [agent('a', 4)];
    const state = scheduler(agents);
    add(state, 'long');
    expect(tally(place(state, agents), 'run')).toEqual({ long: 8 });
    add(state, 'late', { order: 2, slots: 2 });
    for (let index = 0; index < 4; index += 1)
      vacate(state, 'long', { index, agent: 'a', heldMs: null });
    // Two of two slots beside four of one.
    expect(tally(place(state, agents), 'run')).toEqual({ late: 2 });
    vacate(state, 'late', { index: 0, agent: 'a', heldMs: null });
    vacate(state, 'long', { index: 4, agent: 'a', heldMs: null });
    expect(tally(place(state, agents), 'run')).toEqual({ long: 1, late: 1 });
  });

  it('shares between runs whose tasks need the same', () => {
    const agents = [agent('a', 4)];
    const state = scheduler(agents);
    add(state, 'first');
    place(state, agents);
    add(state, 'second', { order: 2 });
    add(state, 'third', { order: 3 });
    for (let index = 0; index < 7; index += 1)
      vacate(state, 'first', { index, agent: 'a', heldMs: null });
    const shares = tally(place(state, agents), 'run');
    expect(shares).toEqual({ first: 2, second: 3, third: 2 });
  });

  it('counts an exclusive task as all slots of its agent, also when those become more', () => {
    const agents = [agent('a', 4, 'one'), agent('b', 4, 'two')];
    const state = scheduler(agents);
    add(state, 'alone', { exclusive: true, tasks: 1 });
    place(state, agents);
    expect(state.runs.get('alone')?.inHand).toBe(4);
    seat(state, agent('a', 6, 'one'));
    expect(state.runs.get('alone')?.inHand).toBe(6);
    vacate(state, 'alone', { index: 0, agent: 'a', heldMs: null });
    expect(state.runs.get('alone')?.inHand).toBe(0);
  });

  it('gives an exclusive task the host: one running, one queued, on one agent', () => {
    const agents = [agent('a', 2, 'host'), agent('b', 2, 'host'), agent('c', 2, 'other')];
    const state = scheduler(agents);
    add(state, 'r', { exclusive: true });
    expect(tally(place(state, agents), 'agent')).toEqual({ a: 2, c: 2 });
    vacate(state, 'r', { index: 0, agent: 'a', heldMs: null });
    expect(tally(place(state, agents), 'agent')).toEqual({ a: 1 });
  });

  it('lets nothing beside, and nothing overtake, an exclusive task', () => {
    const agents = [agent('a')];
    const state = scheduler(agents);
    add(state, 'shared', { tasks: 1, order: 1 });
    add(state, 'alone', { tasks: 1, order: 2, exclusive: true });
    add(state, 'later', { tasks: 1, order: 3 });
    expect(tally(place(state, agents), 'run')).toEqual({ shared: 1 });
    vacate(state, 'shared', { index: 0, agent: 'a', heldMs: null });
    expect(tally(place(state, agents), 'run')).toEqual({ alone: 1 });
    vacate(state, 'alone', { index: 0, agent: 'a', heldMs: null });
    expect(tally(place(state, agents), 'run')).toEqual({ later: 1 });
  });

  it('takes the higher priority first, then the run submitted first', () => {
    const agents = [agent('a', 1)];
    const state = scheduler(agents);
    add(state, 'second', { tasks: 1, order: 2 });
    add(state, 'first', { tasks: 1, order: 1 });
    add(state, 'urgent', { tasks: 1, order: 3, priority: 1 });
    expect(place(state, agents).map(({ run }) => run)).toEqual(['urgent', 'first']);
    vacate(state, 'urgent', { index: 0, agent: 'a', heldMs: null });
    expect(place(state, agents).map(({ run }) => run)).toEqual(['second']);
  });

  it('compares the next tasks of runs: one run may be before and after another', () => {
    const agents = [agent('a', 1)];
    const state = scheduler(agents);
    add(state, 'table', { tasks: 4, order: 2, added: [-1, 5, 0, 2] });
    orderRun(state, 'table', Uint32Array.from([1, 3, 2, 0]));
    add(state, 'plain', { tasks: 2, order: 1, priority: 1 });
    const next = (): string[] =>
      place(state, agents).map(({ run, index }) => {
        vacate(state, run, { index: 0, agent: 'a', heldMs: null });
        return `${run} ${index}`;
      });
    const first = ['table 1', 'table 3'];
    expect([...next(), ...next(), ...next()].slice(0, 2)).toEqual(first);
    enqueue(state, 'table', 3);
    enqueue(state, 'table', 0);
    const rest = [...next(), ...next(), ...next()];
    expect(rest.filter((one) => one === 'table 3')).toHaveLength(1);
    expect(waitingTasks(state)).toBe(0);
    expect(state.classes.size).toBe(2);
    dropRun(state, 'table');
    dropRun(state, 'plain');
    expect(state.classes.size).toBe(0);
  });

  it('keeps maxParallel, and gives the place to the next run', () => {
    const agents = [agent('a', 4)];
    const state = scheduler(agents);
    add(state, 'narrow', { order: 1, maxParallel: 2 });
    add(state, 'wide', { order: 2 });
    expect(tally(place(state, agents), 'run')).toEqual({ narrow: 2, wide: 6 });
    vacate(state, 'narrow', { index: 0, agent: 'a', heldMs: null });
    expect(tally(place(state, agents), 'run')).toEqual({ narrow: 1 });
  });

  it('leaves what fits no agent waiting, and goes on with the rest', () => {
    const agents = [agent('a', 2)];
    const state = scheduler(agents);
    add(state, 'huge', { order: 1, slots: 8 });
    add(state, 'small', { order: 2, tasks: 1 });
    expect(tally(place(state, agents), 'run')).toEqual({ small: 1 });
  });

  it('gives a task that comes back its listed place, and never one that was withdrawn', () => {
    const agents = [agent('a', 1)];
    const state = scheduler(agents);
    add(state, 'r', { tasks: 6 });
    place(state, agents);
    withdraw(state, 'r', 4);
    enqueue(state, 'r', 1);
    enqueue(state, 'r', 0);
    for (let at = 0; at < 2; at += 1) vacate(state, 'r', { index: 0, agent: 'a', heldMs: null });
    expect(place(state, agents).map(({ index }) => index)).toEqual([0, 1]);
    for (let at = 0; at < 2; at += 1) vacate(state, 'r', { index: 0, agent: 'a', heldMs: null });
    expect(place(state, agents).map(({ index }) => index)).toEqual([2, 3]);
    expect(waitingTasks(state)).toBe(1);
  });

  it("hands out one task only in its turn: before its run's next none, before another run neither", () => {
    const state = scheduler([agent('a', 2)]);
    add(state, 'b', { tasks: 2, added: [0, 9] });
    orderRun(state, 'b', Uint32Array.of(1, 0));
    add(state, 'c', { tasks: 1, order: 2, priority: 5 });
    const agents = [agent('a', 2)];
    expect(placeTask(state, { run: 'b', index: 0 }, agents)).toBeNull();
    expect(placeTask(state, { run: 'b', index: 1 }, agents)).toMatchObject({ agent: 'a' });
    expect(placeTask(state, { run: 'b', index: 1 }, agents)).toBeNull();
    expect(placeTask(state, { run: 'b', index: 0 }, agents)).toBeNull();
    expect(placeTask(state, { run: 'c', index: 0 }, agents)).toMatchObject({ agent: 'a' });
    vacate(state, 'b', { index: 0, agent: 'a', heldMs: 1 });
    expect(placeTask(state, { run: 'b', index: 0 }, agents)).toMatchObject({ agent: 'a' });
    expect(waitingTasks(state)).toBe(0);
  });

  it('hands out one task only where it has room now: behind what runs it could wait for long', () => {
    const agents = [agent('a', 1)];
    const state = scheduler(agents);
    add(state, 'r', { tasks: 2 });
    expect(placeTask(state, { run: 'r', index: 0 }, agents)).toMatchObject({ agent: 'a' });
    expect(placeTask(state, { run: 'r', index: 1 }, agents)).toBeNull();
    expect(waitingTasks(state)).toBe(1);
  });

  it('counts attempts that other leaders have handed out', () => {
    const agents = [agent('a', 1)];
    const state = scheduler(agents);
    add(state, 'r', { tasks: 9 });
    for (let index = 0; index < 3; index += 1) {
      withdraw(state, 'r', index);
      occupy(state, 'r', { index, agent: 'a' });
    }
    expect(place(state, agents)).toEqual([]);
  });
});

describe('the cost of a placement', () => {
  const perPlacement = (tasks: number): number => {
    const agents = [agent('a', 2)];
    const state = scheduler(agents);
    add(state, 'r', { tasks });
    place(state, agents);
    const rounds = 5_000;
    const begun = performance.now();
    for (let round = 0; round < rounds; round += 1) {
      vacate(state, 'r', { index: 0, agent: 'a', heldMs: null });
      place(state, agents);
    }
    return (performance.now() - begun) / rounds;
  };

  it('does not grow with what waits: 1,000,000 tasks against 10,000', () => {
    const ratios = Array.from({ length: 9 }, () => perPlacement(1_000_000) / perPlacement(10_000));
    expect(ratios.sort((a, b) => a - b)[4]).toBeLessThan(3);
  });
});

describe('GPUs', () => {
  const withGpus = (id: string, usable: number, all = usable, hostId = id): AgentCapacity => ({
    ...agent(id, 8, hostId),
    counts: { usable, all, most: all },
  });
  const needing = (state: SchedulerState, count: number): void => {
    const needs = { slots: 1, cpus: 0, exclusive: false, gpus: { count } };
    addRun(state, {
      run: 'g',
      order: 1,
      tasks: 100,
      priority: 0,
      maxParallel: null,
      needs: oneClass(needs),
    });
  };
  it.each<[string, number, AgentCapacity[], Record<string, number>]>([
    ['what runs and as much queued', 1, [withGpus('a', 2)], { a: 4 }],
    ['whole sets only', 3, [withGpus('a', 4)], { a: 2 }],
    ['nobody without enough of a kind', 3, [withGpus('a', 2), withGpus('b', 3)], { b: 2 }],
    [
      'one to wait where all are fenced',
      1,
      [withGpus('a', 0, 2), withGpus('b', 1)],
      { b: 2, a: 1 },
    ],
    [
      'agents of one host share them',
      1,
      [withGpus('a', 1, 1, 'h'), withGpus('b', 1, 1, 'h')],
      { a: 1, b: 1 },
    ],
    ['none, none', 1, [agent('a', 8)], {}],
  ])('%s', (_name, count, agents, expected) => {
    const state = scheduler(agents);
    needing(state, count);
    expect(tally(place(state, agents), 'agent')).toEqual(expected);
    expect(place(state, agents)).toEqual([]);
  });
});
