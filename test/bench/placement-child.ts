/** One size of the placement bench, `node placement-child.ts TASKS`: prints what it measured as JSON. */
import { createRun } from '#coordinator/runs/run-state.ts';
import {
  addRun,
  enqueue,
  orderRun,
  place,
  seat,
  vacate,
} from '#coordinator/scheduler/scheduler-reducer.ts';
import { createScheduler, type AgentCapacity } from '#coordinator/scheduler/scheduler-state.ts';
import { parseSuite } from '#protocol/suite/parse-suite.ts';
import { sequenceOf } from '#protocol/suite/task-order.ts';
import { manySuite } from './many-suite.ts';
import type { Measured } from './placement.ts';

const WARM_UP = 10_000;
const ROUNDS = 30_000;
const AGENTS = 16;

function measure(tasks: number): Measured {
  const parsed = parseSuite({ text: manySuite(tasks), file: 'many.yaml', dir: null });
  if (parsed.kind !== 'ok') throw new Error(JSON.stringify(parsed.problems[0]));
  const { suite } = parsed;
  const submitted = {
    suite,
    suiteText: '',
    suiteFile: null,
    by: 'b',
    tasks,
    behind: [],
    labels: {},
  };
  const begun = process.cpuUsage();
  const run = createRun('2026-02-13_14-30-45-k3f9', submitted, 1);
  const state = createScheduler();
  const agents = Array.from({ length: AGENTS }, (_, at): AgentCapacity => {
    const counts = { usable: 0, all: 0, most: 0 };
    const id = `a${at}`;
    return {
      ...{ id, hostId: id, slots: 8, cpus: 8, memoryMiB: 65_536, gpus: [], counts },
      ...{ names: [id], labels: {}, accepts: null },
    };
  });
  for (const agent of agents) seat(state, agent);
  const { id, order, needs, added, priority } = run;
  addRun(state, { run: id, order, tasks, maxParallel: null, priority, needs, added });
  const plans = run.listed.map(({ plan }) => plan);
  orderRun(state, id, sequenceOf(suite, plans, null));
  const took = process.cpuUsage(begun);
  const submitMs = (took.user + took.system) / 1_000;
  const held = place(state, agents);
  let placed = 0;
  let at = 0;
  const turn = (): void => {
    const ended = held[at % held.length];
    if (ended === undefined) throw new Error('nothing is in flight');
    vacate(state, id, { ...ended, heldMs: null });
    // As after a retry: so many wait all the time.
    enqueue(state, id, ended.index);
    const on = agents.filter((agent) => agent.id === ended.agent);
    const fresh = place(state, on);
    placed += fresh.length;
    held.splice(at % held.length, 1, ...fresh);
    at += 1;
  };
  for (let warm = 0; warm < WARM_UP; warm += 1) turn();
  placed = 0;
  const from = process.cpuUsage();
  for (let round = 0; round < ROUNDS; round += 1) turn();
  const { user, system } = process.cpuUsage(from);
  const microseconds = (user + system) / placed;
  globalThis.gc?.();
  return { microseconds, submitMs, rssMiB: process.memoryUsage().rss / 1024 ** 2 };
}

console.log(JSON.stringify(measure(Number(process.argv[2]))));
