/** For each reason there is a mesh in which `explain` gives it; the compiler asks for one of a new reason. */
import { expect, it } from 'vitest';
import { explain } from '#coordinator/core/explain/explain.ts';
import type { AgentEntry } from '#coordinator/fleet/fleet-reducer.ts';
import { vacate } from '#coordinator/scheduler/scheduler-reducer.ts';
import type { Registration } from '#protocol/messages/agent/host.ts';
import type { AgentReason, TaskExplanation, TaskReason } from '#protocol/messages/run/explain.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';
import { Gang, LONG_MS } from './lost-gang.ts';
import { Miniature } from './miniature.ts';

const RUN = '2026-02-13_14-30-45-aaaa';
const OTHER = '2026-02-13_14-30-46-bbbb';
const NEEDS = { slots: 1, cpus: 0, exclusive: false };
const AXES = { item: [1, 2, 3, 4, 5, 6, 7, 8] };

type Suite = Parameters<Miniature['submit']>[1];

/** What is stored is read; the agents do nothing yet. */
function flow(mesh: Miniature): Miniature {
  while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand());
  return mesh;
}

/** Agents with so many slots each, and a run. */
function meshOf(slots: readonly number[], suite: Suite = {}): Miniature {
  return submit(new Miniature(slots.map((each) => ({ slots: each }))), suite);
}

function submit(mesh: Miniature, suite: Suite, run = RUN): Miniature {
  mesh.submit(run, { axes: AXES, needs: NEEDS, ...suite });
  return flow(mesh);
}

function withAgent(mesh: Miniature, change: (agent: AgentEntry) => void): Miniature {
  const agent = mesh.core.fleet.agents.get('a0');
  if (agent === undefined) throw new Error('no agent');
  change(agent);
  return mesh;
}

/** One agent that says this of itself, before anything is submitted. */
function registered(change: Partial<Registration>): Miniature {
  const mesh = new Miniature([{ slots: 8 }]);
  return withAgent(mesh, ({ registration }) => {
    if (registration === null) throw new Error('not registered');
    mesh.post({ kind: 'registered', registration: { ...registration, ...change } });
  });
}

function agentsDo(mesh: Miniature): Miniature {
  while (mesh.agentReads(0, false));
  return flow(mesh);
}

interface Case {
  readonly mesh: Miniature;
  /** Of its run. */
  readonly task: number;
  readonly run?: string;
}

const TASKS: Record<TaskReason['kind'], () => Case> = {
  ended: () => {
    const mesh = meshOf([1]);
    mesh.settle();
    return { mesh, task: 0 };
  },
  running: () => {
    const mesh = agentsDo(meshOf([1]));
    const task = [...(mesh.core.runs.get(RUN)?.fold.tasks.values() ?? [])][0];
    if (task !== undefined) task.state = 'running';
    return { mesh, task: 0 };
  },
  handed_out: () => ({ mesh: meshOf([1]), task: 0 }),
  unknown: () => {
    const mesh = withAgent(meshOf([1]), (agent) => {
      agent.unreachable = true;
    });
    return { mesh, task: 0 };
  },
  replacing_rank: () => {
    const gang = new Gang({ gang: { onRankLost: { replaceWithinMs: 1_000_000 } } });
    gang.mesh.cordon('a2');
    gang.pass(LONG_MS, [0, 2]);
    return { mesh: gang.mesh, task: 0 };
  },
  deciding: () => {
    const mesh = agentsDo(meshOf([1], { retries: { exit: 1 } }));
    mesh.agentExits(0, 'failed', false);
    while (mesh.readEvent());
    return { mesh, task: 0 };
  },
  stopping: () => {
    const mesh = meshOf([1]);
    mesh.stop(RUN, null);
    mesh.readCommand();
    return { mesh, task: 7 };
  },
  paused: () => {
    const mesh = meshOf([1]);
    mesh.pause(RUN, null);
    return { mesh: flow(mesh), task: 7 };
  },
  backing_off: () => {
    const rule = { backoffMs: 10_000, factor: 1, maxMs: 60_000, jitter: 0 };
    const mesh = agentsDo(meshOf([1], { retries: { exit: 1 }, retryRules: { exit: rule } }));
    mesh.agentExits(0, 'failed', false);
    return { mesh: flow(mesh), task: 0 };
  },
  max_parallel: () => ({ mesh: meshOf([1], { maxParallel: 1 }), task: 7 }),
  ordering: () => {
    const mesh = new Miniature([{ slots: 1 }]);
    mesh.submit(
      RUN,
      { axes: AXES, needs: NEEDS, order: { by: 'longest-first' } },
      { basis: OTHER },
    );
    return { mesh: flow(mesh), task: 0 };
  },
  no_agent: () => ({ mesh: meshOf([]), task: 0 }),
  unplaceable: () => ({ mesh: meshOf([2], { needs: { ...NEEDS, slots: 3 } }), task: 0 }),
  few_hosts: () => ({ mesh: meshOf([1], { needs: { ...NEEDS, hosts: 2 } }), task: 0 }),
  waiting: () => ({ mesh: meshOf([1]), task: 7 }),
};

const gang = (needs: object): Miniature => {
  const mesh = meshOf([1, 1, 1], { needs: { ...NEEDS, exclusive: true, host: ['a0'] } });
  return submit(mesh, { needs: { ...NEEDS, exclusive: true, hosts: 2, ...needs } }, OTHER);
};
const LATER = '2026-02-13_14-30-47-cccc';
const locked = (): Miniature =>
  meshOf([8], { priority: 1, needs: { ...NEEDS, locks: { db: 2 } }, locks: { db: 3 } });

const AGENTS: Record<AgentReason['kind'], () => Case> = {
  unreachable: () => {
    const mesh = withAgent(meshOf([1]), (agent) => {
      agent.unreachable = true;
    });
    return { mesh, task: 7 };
  },
  draining: () => {
    const mesh = withAgent(meshOf([1]), (agent) => {
      agent.stopping = true;
    });
    return { mesh, task: 7 };
  },
  cordoned: () => {
    const mesh = meshOf([1]);
    mesh.cordon('a0');
    return { mesh: flow(mesh), task: 7 };
  },
  not_heard: () => {
    const mesh = withAgent(meshOf([1]), (agent) => {
      agent.heardMs = null;
    });
    return { mesh, task: 7 };
  },
  never: () => ({ mesh: meshOf([2], { needs: { ...NEEDS, slots: 3 } }), task: 0 }),
  label: () => {
    const labels = { zone: { in: ['eu'] } };
    return { mesh: meshOf([2], { needs: { ...NEEDS, labels } }), task: 0 };
  },
  other_host: () => ({ mesh: meshOf([2], { needs: { ...NEEDS, host: ['gpu-*'] } }), task: 0 }),
  not_accepted: () => {
    const mesh = registered({ accepts: { priority: { gte: 10 } } });
    return { mesh: submit(mesh, {}), task: 0 };
  },
  behind: () => ({
    mesh: submit(meshOf([1]), { priority: -1 }, OTHER),
    task: 0,
    run: OTHER,
  }),
  alone: () => {
    const alone = { needs: { ...NEEDS, exclusive: true } };
    return {
      mesh: submit(meshOf([2], { axes: { item: [1] } }), alone, OTHER),
      task: 0,
      run: OTHER,
    };
  },
  taken: () => {
    const alone = { needs: { ...NEEDS, exclusive: true }, axes: { item: [1, 2] } };
    return { mesh: submit(meshOf([2], alone), {}, OTHER), task: 0, run: OTHER };
  },
  full: () => ({ mesh: meshOf([2]), task: 7 }),
  lock: () => ({ mesh: locked(), task: 1 }),
  lock_kept: () => {
    const small = { needs: { ...NEEDS, locks: { db: 1 } }, locks: { db: 9 } };
    return { mesh: submit(locked(), small, OTHER), task: 0, run: OTHER };
  },
  apart: () => ({ mesh: meshOf([8], { needs: { ...NEEDS, apart: { key: 'x' } } }), task: 1 }),
  fenced: () => {
    const { hardware } = goldenMessages['agent.changed'].registration;
    const [gpu] = hardware?.gpus ?? [];
    if (hardware === undefined || gpu === undefined) throw new Error('no GPU to show');
    const fence = { kind: 'used', reason: 'in use', since: '' } as const;
    const gpus = [{ ...gpu, id: 'gpu-0', index: 0, state: 'ready' as const, fence }];
    const mesh = registered({ hardware: { ...hardware, gpus } });
    return { mesh: submit(mesh, { needs: { ...NEEDS, gpus: { count: 1 } } }), task: 7 };
  },
  listed_before: () => {
    const mesh = meshOf([2]);
    vacate(mesh.core.scheduler, RUN, { index: 0, agent: 'a0', heldMs: null });
    return { mesh, task: 7 };
  },
  reserved: () => {
    const mesh = gang({ host: ['a0', 'a1'] });
    const alike = { needs: { ...NEEDS, exclusive: true, host: ['a0', 'a1'] } };
    return { mesh: submit(mesh, alike, LATER), task: 0, run: LATER };
  },
  has_rank: () => {
    const gang = new Gang({ gang: { onRankLost: { replaceWithinMs: 1_000_000 } } });
    gang.mesh.cordon('a2');
    gang.pass(LONG_MS, [0, 2]);
    return { mesh: gang.mesh, task: 0 };
  },
  has_room: () => ({ mesh: gang({ hosts: 3 }), task: 0, run: OTHER }),
  next: () => {
    const mesh = meshOf([2]);
    vacate(mesh.core.scheduler, RUN, { index: 0, agent: 'a0', heldMs: null });
    return { mesh, task: 4 };
  },
};

function explained({ mesh, task, run = RUN }: Case): TaskExplanation {
  const id = mesh.core.runs.get(run)?.listed[task]?.id ?? 'none';
  return explain(mesh.core, { run, task: id }) as TaskExplanation;
}

it.each(Object.keys(TASKS) as (keyof typeof TASKS)[])('of a task: %s', (kind) => {
  expect(explained(TASKS[kind]()).reason.kind).toBe(kind);
});

it.each(Object.keys(AGENTS) as (keyof typeof AGENTS)[])('of an agent: %s', (kind) => {
  const { agents } = explained(AGENTS[kind]());
  expect(agents.map(({ reason }) => reason.kind)).toContain(kind);
});
