/** `explain` says what the scheduler would: for each reason there is, a mesh in which it holds. */
import { describe, expect, it } from 'vitest';
import { explain } from '#coordinator/core/explain/explain.ts';
import { onAgentStarted, onAgentStopping, onObserved } from '#coordinator/fleet/fleet-reducer.ts';
import { enqueue, vacate } from '#coordinator/scheduler/scheduler-reducer.ts';
import type { Needs } from '#protocol/messages/attempt/needs.ts';
import type { Gpu, GpuFence } from '#protocol/messages/agent/hardware.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';
import { exited } from './exited.ts';
import { Miniature } from './miniature.ts';

const RUN = '2026-02-13_14-30-45-aaaa';
const OTHER = '2026-02-13_14-30-46-bbbb';
const NEEDS = { slots: 1, cpus: 0, exclusive: false };

type Suite = Parameters<Miniature['submit']>[1];

/** What is stored is read; the agents do nothing yet. */
function flow(mesh: Miniature): void {
  while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand());
}

function meshOf(agents: ConstructorParameters<typeof Miniature>[0], suite: Suite = {}): Miniature {
  const mesh = new Miniature(agents);
  submit(mesh, RUN, suite);
  return mesh;
}

function submit(mesh: Miniature, run: string, suite: Suite): void {
  mesh.submit(run, { axes: { item: [1, 2, 3, 4, 5, 6, 7, 8] }, needs: NEEDS, ...suite });
  flow(mesh);
}

const taskId = (mesh: Miniature, index: number, run = RUN): string =>
  mesh.core.runs.get(run)?.listed[index]?.id ?? 'none';

const ofTask = (mesh: Miniature, index: number, run = RUN): Record<string, unknown> => {
  const { reason, agents } = explain(mesh.core, { run, task: taskId(mesh, index, run) }) as {
    reason: { kind: string };
    agents: { reason: unknown }[];
  };
  const isWaiting = reason.kind === 'waiting' || reason.kind === 'unplaceable';
  return isWaiting ? { agents: agents.map((one) => one.reason) } : { ...reason };
};

describe('a task', () => {
  it('that is somewhere: with its agent, running, not known, deciding, ended', () => {
    const mesh = meshOf([{ slots: 1 }]);
    expect(ofTask(mesh, 0)).toEqual({ kind: 'handed_out', agent: 'a0', n: 1, waiting: null });
    while (mesh.agentReads(0, false));
    flow(mesh);
    const { fold } = mesh.core.runs.get(RUN) ?? {};
    const task = fold?.tasks.get(taskId(mesh, 0));
    if (task === undefined) throw new Error('no task');
    task.state = 'running';
    expect(ofTask(mesh, 0)).toEqual({ kind: 'running', agent: 'a0', n: 1 });
    const agent = mesh.core.fleet.agents.get('a0');
    if (agent === undefined) throw new Error('no agent');
    agent.unreachable = true;
    expect(ofTask(mesh, 0)).toEqual({ kind: 'unknown', agent: 'a0', n: 1 });
    agent.unreachable = false;
    const entry = mesh.core.runs.get(RUN)?.listed[0];
    if (entry === undefined) throw new Error('no entry');
    entry.phase = 'deciding';
    expect(ofTask(mesh, 0)).toEqual({ kind: 'deciding', n: 1 });
    entry.phase = 'assigned';
    mesh.settle();
    expect(ofTask(mesh, 0)).toEqual({ kind: 'ended', outcome: 'passed', reason: null });
  });

  it('that is held: paused, stopping, by its own maxParallel', () => {
    const mesh = meshOf([{ slots: 1 }], { maxParallel: 1 });
    expect(ofTask(mesh, 7)).toEqual({ kind: 'max_parallel', limit: 1 });
    mesh.pause(RUN, null);
    flow(mesh);
    expect(ofTask(mesh, 7)).toEqual({ kind: 'paused', by: 'u@h' });
    mesh.stop(RUN, null);
    mesh.readCommand();
    expect(ofTask(mesh, 7)).toEqual({ kind: 'stopping' });
  });

  it('that no agent can have yet, or ever', () => {
    expect(ofTask(meshOf([]), 0)).toEqual({ kind: 'no_agent' });
    expect(ofTask(meshOf([{ slots: 2 }], { needs: { ...NEEDS, slots: 3 } }), 0)).toEqual({
      agents: [{ kind: 'never', of: 'slots', needs: 3, has: 2 }],
    });
    expect(ofTask(meshOf([{ slots: 2 }], { needs: { ...NEEDS, cpus: 999 } }), 0)).toMatchObject({
      agents: [{ kind: 'never', of: 'cpus', needs: 999 }],
    });
    const gpus = { ...NEEDS, gpus: { count: 2 } };
    expect(ofTask(meshOf([{ slots: 2 }], { needs: gpus }), 0)).toEqual({
      agents: [{ kind: 'never', of: 'gpus', needs: 2, has: 0 }],
    });
  });

  it('whose turn it is not: full, behind another run, listed later, or next', () => {
    const mesh = meshOf([{ slots: 2 }]);
    expect(ofTask(mesh, 7)).toEqual({
      agents: [{ kind: 'full', of: 'slots', needs: 1, held: 4, has: 2 }],
    });
    submit(mesh, OTHER, { priority: -1 });
    expect(ofTask(mesh, 0, OTHER)).toEqual({
      agents: [{ kind: 'behind', run: RUN, priority: 0 }],
    });
    const { scheduler } = mesh.core;
    vacate(scheduler, RUN, { index: 0, agent: 'a0', heldMs: null });
    expect(ofTask(mesh, 7)).toEqual({ agents: [{ kind: 'listed_before', count: 3 }] });
    expect(ofTask(mesh, 4)).toEqual({ agents: [{ kind: 'next' }] });
    enqueue(scheduler, RUN, 0);
    expect(ofTask(mesh, 4)).toEqual({ agents: [{ kind: 'listed_before', count: 1 }] });
  });

  it('whose run has more in hand than another of the same priority: behind it', () => {
    const mesh = meshOf([{ slots: 2 }]);
    submit(mesh, OTHER, {});
    vacate(mesh.core.scheduler, RUN, { index: 0, agent: 'a0', heldMs: null });
    expect(ofTask(mesh, 0, OTHER)).toEqual({ agents: [{ kind: 'next' }] });
    expect(ofTask(mesh, 4)).toEqual({
      agents: [{ kind: 'behind', run: OTHER, priority: 0, inHand: { it: 0, own: 3 } }],
    });
  });

  it('that needs its host alone, or finds it taken', () => {
    const alone = { needs: { ...NEEDS, exclusive: true }, axes: { item: [1, 2] } };
    const taken = meshOf([{ slots: 2 }], alone);
    submit(taken, OTHER, {});
    expect(ofTask(taken, 0, OTHER)).toEqual({ agents: [{ kind: 'taken' }] });
    const mesh = meshOf([{ slots: 2 }], { axes: { item: [1] } });
    submit(mesh, OTHER, alone);
    expect(ofTask(mesh, 0, OTHER)).toEqual({ agents: [{ kind: 'alone' }] });
    const shared = meshOf([
      { slots: 1, hostId: 'h' },
      { slots: 1, hostId: 'h' },
    ]);
    submit(shared, OTHER, { ...alone, priority: 9 });
    expect(ofTask(shared, 0, OTHER)).toEqual({ agents: [{ kind: 'alone' }, { kind: 'alone' }] });
  });

  it('whose agents take nothing: not heard, draining, not heard yet', () => {
    const mesh = meshOf([{ slots: 1 }, { slots: 1 }, { slots: 1 }]);
    const [a, b, c] = [...mesh.core.fleet.agents.values()];
    if (a === undefined || b === undefined || c === undefined) throw new Error('no agents');
    a.unreachable = true;
    b.stopping = true;
    c.heardMs = null;
    expect(ofTask(mesh, 7)).toEqual({
      agents: [{ kind: 'unreachable' }, { kind: 'draining' }, { kind: 'not_heard' }],
    });
  });

  it('whose agent drained and has ended since: it is not waited for, heard or not', () => {
    const mesh = meshOf([{ slots: 1 }]);
    const { fleet } = mesh.core;
    const closed = (): unknown => explain(mesh.core, { agent: 'a0' });
    onAgentStopping(fleet, 'a0', { incarnation: 1, ended: false });
    expect(closed()).toMatchObject({ closed: { kind: 'draining' } });
    expect(closed()).not.toMatchObject({ closed: { ended: true } });
    onAgentStopping(fleet, 'a0', { incarnation: 1, ended: true });
    onObserved(fleet, 'a0', { unreachable: true, atMs: 0 });
    expect(closed()).toMatchObject({ closed: { kind: 'draining', ended: true } });
    onAgentStarted(fleet, 'a0', 2);
    expect(closed()).toMatchObject({ closed: { kind: 'unreachable' } });
  });

  it('whose GPUs are fenced, or held', () => {
    const gpus = { needs: { ...NEEDS, gpus: { count: 1 } } };
    const mesh = withGpus([fenced('a process has it open: 4711 (python)'), null]);
    submit(mesh, RUN, gpus);
    expect(ofTask(mesh, 7)).toEqual({
      agents: [{ kind: 'full', of: 'gpus', needs: 1, held: 2, has: 1 }],
    });
    const none = withGpus([fenced('a process has it open: 4711 (python)')]);
    submit(none, RUN, gpus);
    expect(ofTask(none, 7)).toEqual({
      agents: [
        {
          kind: 'fenced',
          needs: 1,
          usable: 0,
          fences: ['GPU 0: a process has it open: 4711 (python)'],
        },
      ],
    });
  });

  it('that wants what no agent has: memory, a label, a host of another name', () => {
    const why = (needs: Partial<Needs>): unknown =>
      ofTask(meshOf([{ slots: 1 }], { needs: { ...NEEDS, ...needs } }), 0);
    expect(why({ memoryMiB: 1e9 })).toMatchObject({ agents: [{ kind: 'never', of: 'memory' }] });
    expect(why({ labels: { zone: { in: ['eu'] } } })).toEqual({
      agents: [{ kind: 'label', label: 'zone', wanted: 'zone eu', has: null }],
    });
    expect(why({ host: ['gpu-*'] })).toEqual({
      agents: [{ kind: 'other_host', wanted: ['gpu-*'] }],
    });
  });

  it('that an agent does not accept', () => {
    const mesh = new Miniature([{ slots: 1 }]);
    const { registration } = mesh.core.fleet.agents.get('a0') ?? {};
    if (registration === undefined || registration === null) throw new Error('no agent');
    const accepts = { priority: { gte: 10 } };
    mesh.post({ kind: 'registered', registration: { ...registration, accepts } });
    submit(mesh, RUN, {});
    expect(ofTask(mesh, 0)).toEqual({
      agents: [{ kind: 'not_accepted', accepts: 'priority >=10' }],
    });
    submit(mesh, OTHER, { priority: 10 });
    expect(ofTask(mesh, 0, OTHER)).toMatchObject({ kind: 'handed_out' });
  });

  it('that waits for a lock, which is kept in turn, or for what must not be beside it', () => {
    const locked = { priority: 1, needs: { ...NEEDS, locks: { db: 2 } }, locks: { db: 3 } };
    const mesh = meshOf([{ slots: 8 }], locked);
    expect(ofTask(mesh, 1)).toEqual({
      agents: [{ kind: 'lock', lock: 'db', needs: 2, held: 2, has: 3, by: RUN }],
    });
    submit(mesh, OTHER, { needs: { ...NEEDS, locks: { db: 1 } }, locks: { db: 9 } });
    expect(ofTask(mesh, 0, OTHER)).toEqual({
      agents: [{ kind: 'lock_kept', lock: 'db', run: RUN }],
    });
    const apart = meshOf([{ slots: 8 }], { needs: { ...NEEDS, apart: { key: 'x' } } });
    expect(ofTask(apart, 1)).toEqual({ agents: [{ kind: 'apart', from: 'x' }] });
  });

  it('that waits for a lock which the processes of an ended attempt hold, until these are gone', () => {
    const locked = { needs: { ...NEEDS, locks: { db: 2 } }, locks: { db: 2 } };
    const mesh = meshOf([{ slots: 8 }], locked);
    while (mesh.agentReads(0, false));
    flow(mesh);
    const task = taskId(mesh, 0);
    const subject = subjects.attemptEvents('a0', { run: RUN, task, n: 1 });
    const say = (message: EventRecord['message']): void => {
      mesh.post({ kind: 'event', record: { subject, sequence: 1_000, timeMs: 0, message } });
    };
    const data = { ...exited('passed'), proven: false, survivors: [7] };
    say({ name: 'attempt.exited', data, id: 'x' } as EventRecord['message']);
    expect(ofTask(mesh, 1)).toEqual({
      agents: [
        {
          ...{ kind: 'lock', lock: 'db', needs: 2, held: 2, has: 2, by: RUN },
          survivors: [{ attempt: `${RUN}/${task}#1`, agent: 'a0' }],
        },
      ],
    });
    const gone = { elapsedMs: 9, survivors: [7] };
    say({ name: 'attempt.survivors_gone', data: gone, id: 'y' } as EventRecord['message']);
    expect(ofTask(mesh, 1)).toMatchObject({ kind: 'handed_out' });
  });

  it('whose GPU has the number of one that is gone: by id', () => {
    const mesh = withGpus([fenced('not listed any more'), fenced('in use by x')], () => 0);
    submit(mesh, RUN, { needs: { ...NEEDS, gpus: { count: 1 } } });
    expect(ofTask(mesh, 7)).toMatchObject({
      agents: [{ fences: ['GPU 0 (gpu-0): not listed any more', 'GPU 0 (gpu-1): in use by x'] }],
    });
  });

  it('that is not there is not found', () => {
    const mesh = meshOf([]);
    expect(() => explain(mesh.core, { run: RUN, task: 'none' })).toThrow('there is no task');
    expect(() => explain(mesh.core, { run: OTHER, task: 'none' })).toThrow('is not live');
    expect(() => explain(mesh.core, { agent: 'none' })).toThrow('no agent none has joined');
  });
});

describe('a run', () => {
  it('tells its waiting tasks by what they need', () => {
    const template = { slots: '{{item}}', exclusive: false };
    const mesh = meshOf([{ slots: 2 }], { needsTemplate: template });
    const why = explain(mesh.core, { run: RUN });
    expect(why).toMatchObject({ tasks: 8, ended: 0, handedOut: 2, more: 0, other: 0 });
    const kinds =
      'groups' in why ? why.groups.map(({ tasks, reason }) => [tasks, reason.kind]) : [];
    expect(kinds).toEqual([3, 4, 5, 6, 7, 8].map(() => [1, 'unplaceable']));
    expect(mesh.replies.get(1)).toMatchObject({ reply: { unplaceable: { length: 6 } } });
  });

  it('is told once for each reason what of it no agent could run', () => {
    const labels = { zone: { in: ['mars', 'venus'] } };
    const mesh = meshOf([{ slots: 2 }], {
      needsTemplate: { slots: '{{item}}', exclusive: false, labels },
    });
    expect(mesh.replies.get(1)).toMatchObject({
      reply: { unplaceable: [{ tasks: 8, reason: { kind: 'label', label: 'zone' } }] },
    });
  });
});

describe('an agent', () => {
  it('says for each run that waits why nothing of it comes, and which hold back themselves', () => {
    const mesh = meshOf([{ slots: 1 }], { maxParallel: 1 });
    submit(mesh, OTHER, { needs: { ...NEEDS, slots: 5 }, priority: 3 });
    expect(explain(mesh.core, { agent: 'a0' })).toEqual({
      agent: 'a0',
      slots: 1,
      handedOut: 1,
      runs: [
        {
          run: OTHER,
          priority: 3,
          waiting: 8,
          reason: { kind: 'never', of: 'slots', needs: 5, has: 1 },
        },
      ],
      heldBack: [{ run: RUN, limit: 1, waiting: 7 }],
      closed: null,
    });
  });

  it('says that it is closed, and changes nothing by being asked', () => {
    const mesh = meshOf([{ slots: 1 }]);
    const agent = mesh.core.fleet.agents.get('a0');
    if (agent === undefined) throw new Error('no agent');
    agent.stopping = true;
    const before = structuredClone(mesh.core.scheduler);
    expect(explain(mesh.core, { agent: 'a0' })).toMatchObject({ closed: { kind: 'draining' } });
    expect(mesh.core.scheduler).toEqual(before);
  });
});

const fenced = (reason: string): GpuFence => ({ kind: 'used', reason, since: '' });

/** One agent, which has a GPU for each of these. */
function withGpus(
  fences: readonly (GpuFence | null)[],
  indexOf = (at: number): number => at,
): Miniature {
  const mesh = new Miniature([{ slots: 8 }]);
  const agent = mesh.core.fleet.agents.get('a0');
  const { registration } = agent ?? {};
  const [gpu] = goldenMessages['agent.changed'].registration.hardware?.gpus ?? [];
  if (registration === undefined || registration === null || gpu === undefined)
    throw new Error('no agent, or no GPU to show');
  const gpus = fences.map((fence, at): Gpu => {
    const { fence: _none, ...free } = { ...gpu, id: `gpu-${at}`, index: indexOf(at) };
    return { ...free, state: 'ready', ...(fence === null ? {} : { fence }) };
  });
  const hardware = { ...registration.hardware, gpus } as typeof registration.hardware;
  mesh.post({ kind: 'registered', registration: { ...registration, hardware } });
  return mesh;
}
