/** What the search for room costs where nobody can make any. */
import { expect, it } from 'vitest';
import type { Needs } from '#protocol/messages/attempt/needs.ts';
import { placeBefore } from '#coordinator/scheduler/preempt-policy.ts';
import { addRun, place, seat } from '#coordinator/scheduler/scheduler-reducer.ts';
import { createScheduler, type AgentCapacity } from '#coordinator/scheduler/scheduler-state.ts';

function agentOf(at: number): AgentCapacity {
  const id = `a${at}`;
  return {
    ...{ id, hostId: id, slots: 2, cpus: 2, memoryMiB: 1_000, gpus: [], names: [id] },
    ...{ counts: { usable: 0, all: 0, most: 0 }, labels: {}, accepts: null },
  };
}

/** Agents that are looked at for what none of them could run. */
function lookedAt(count: number): number {
  const state = createScheduler();
  const agents = Array.from({ length: count }, (_, at) => agentOf(at));
  for (const agent of agents) seat(state, agent);
  const add = (run: string, priority: number, tasks: number, slots: number): void => {
    const needs: Needs = { slots, cpus: 0, exclusive: false };
    addRun(state, {
      ...{ run, order: 1, tasks, maxParallel: null, priority, isPreemptible: true },
      needs: { classes: [needs], of: null },
    });
  };
  add('low', 0, 2 * count, 1);
  expect(place(state, agents)).toHaveLength(2 * count);
  add('high', 5, 1, 3);
  let looked = 0;
  const { placements } = placeBefore(state, {
    ...{ nowMs: 1e6, afterMs: 0, everyone: () => agents, isLeaving: () => false },
    agentOf: (id) => {
      looked += 1;
      return agents[Number(id.slice(1))] ?? null;
    },
  });
  expect(placements).toEqual([]);
  return looked;
}

it('looks at each agent once, and at no more of them with more attempts in hand', () => {
  expect(lookedAt(20)).toBe(20);
  const few = lookedAt(200);
  expect(few).toBeLessThan(200);
  expect(lookedAt(1_000)).toBe(few);
});
