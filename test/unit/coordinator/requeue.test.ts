/** A requeued task goes on with its next attempt, elsewhere where there is room, and never twice at once. */
import { expect, it } from 'vitest';
import { AGENT_LEASE_MS } from '#coordinator/fleet/fleet-reducer.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { runView } from '#protocol/fold/run-view.ts';
import { taskView } from '#protocol/fold/task-view.ts';
import { beatOf } from './miniature-messages.ts';
import { Miniature } from './miniature.ts';

const RUN = '2026-02-13_14-30-45-aaaa';
const NEEDS = { slots: 1, cpus: 0, exclusive: false };

function meshOf(suite: Partial<SuiteSpec>): Miniature {
  const mesh = new Miniature([{ slots: 1 }, { slots: 1 }]);
  mesh.submit(RUN, { needs: NEEDS, ...suite });
  flow(mesh);
  return mesh;
}

/** What is stored is read, by these agents too; none of what runs ends. */
function flow(mesh: Miniature, agents: readonly number[] = [0, 1]): void {
  const reads = (): boolean => agents.some((at) => mesh.agentReads(at, false));
  while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand() || reads());
}

const taskAt = (mesh: Miniature, index: number): string =>
  mesh.core.runs.get(RUN)?.listed[index]?.id ?? '';
const begun = (mesh: Miniature): string[] =>
  mesh.agents.flatMap(({ id, begun: keys }) =>
    keys.map((key) => `${id} ${key.split('/')[1]?.split('#')[1] ?? ''}`),
  );
const said = (mesh: Miniature, name: string): EventRecord[] =>
  mesh.events.filter(({ message }) => message.name === name);

function silence(mesh: Miniature, silent: number): void {
  // In ticks that are no standstill.
  for (let passedMs = 0; passedMs <= AGENT_LEASE_MS; passedMs += 4_000) {
    for (const [at, agent] of mesh.agents.entries())
      if (at !== silent) mesh.post({ kind: 'heartbeat', beat: beatOf(agent) });
    mesh.later(4_000);
  }
  flow(mesh, [1 - silent]);
}

it('goes to the other agent, uncounted, and its end is proven before', () => {
  const mesh = meshOf({ axes: { item: [1] }, retries: {} });
  expect(begun(mesh)).toEqual(['a0 1']);
  mesh.requeue(RUN, taskAt(mesh, 0));
  flow(mesh);
  expect(begun(mesh)).toEqual(['a0 1', 'a1 2']);
  expect(said(mesh, 'task.retrying').map(({ message }) => message.data)).toMatchObject([
    { n: 1, class: 'paused', avoid: 'a0' },
  ]);
  mesh.settle();
  const { fold } = mesh.core.runs.get(RUN) ?? {};
  if (fold === undefined) throw new Error('no run');
  expect(runView(fold)).toMatchObject({ outcome: 'passed', requeues: [{ result: 'dead' }] });
  expect(mesh.problems).toEqual([]);
});

it('takes its turn on its own agent where no other has room', () => {
  const mesh = meshOf({ axes: { item: [1, 2, 3, 4, 5, 6] } });
  mesh.requeue(RUN, taskAt(mesh, 0));
  flow(mesh);
  mesh.settle();
  expect(mesh.core.runs.get(RUN)?.counts).toEqual({ passed: 6 });
});

it('goes on where it was rather than wait behind what runs on a full agent', () => {
  const mesh = new Miniature([{ slots: 2 }, { slots: 1 }]);
  mesh.submit(RUN, { needs: NEEDS, axes: { item: [1, 2] } });
  flow(mesh);
  expect(begun(mesh)).toEqual(['a0 1', 'a1 1']);
  mesh.requeue(RUN, taskAt(mesh, 0));
  flow(mesh);
  expect(begun(mesh)).toEqual(['a0 1', 'a0 2', 'a1 1']);
  mesh.settle();
  expect(mesh.core.runs.get(RUN)?.counts).toEqual({ passed: 2 });
  expect(mesh.problems).toEqual([]);
});

it('does not wait for an agent that is not heard; the run does, and what it says is of the past', () => {
  for (const order of ['silent first', 'requeued first'] as const) {
    const mesh = meshOf({ axes: { item: [1] }, retries: {} });
    const task = taskAt(mesh, 0);
    if (order === 'silent first') silence(mesh, 0);
    mesh.requeue(RUN, task);
    flow(mesh, [1]);
    if (order === 'requeued first') silence(mesh, 0);
    expect(begun(mesh)).toEqual(['a0 1', 'a1 2']);
    mesh.agentExits(1, 'passed', false);
    flow(mesh, [1]);
    const run = mesh.core.runs.get(RUN);
    const fold = run?.fold.tasks.get(task);
    if (run === undefined || fold === undefined) throw new Error('no task');
    expect(taskView(run.fold, fold)).toMatchObject({ outcome: 'passed', n: 2 });
    expect(run.fold.state).toBe('running'); // the stop is open on a0 (I5)

    mesh.agentExits(0, 'failed', false); // before it has read the requeue
    mesh.settle();
    expect(runView(run.fold)).toMatchObject({ outcome: 'passed', requeues: [{ result: 'dead' }] });
    expect(said(mesh, 'task.retrying')).toHaveLength(1);
    expect(mesh.problems).toEqual([]);
  }
});

it('is requeued once: of an agent that is lost later it keeps its attempt', () => {
  const mesh = meshOf({ axes: { item: [1] } });
  mesh.requeue(RUN, taskAt(mesh, 0));
  flow(mesh);
  silence(mesh, 1);
  expect(said(mesh, 'agent.unreachable')).toHaveLength(1);
  expect(begun(mesh)).toEqual(['a0 1', 'a1 2']);
});

it('goes on under a new leader, too', () => {
  const mesh = meshOf({ axes: { item: [1] } });
  silence(mesh, 0);
  mesh.requeue(RUN, taskAt(mesh, 0));
  mesh.readCommand();
  mesh.lead(); // what the last one had asked for is lost
  flow(mesh, [1]);
  expect(begun(mesh)).toEqual(['a0 1', 'a1 2']);
});

it('of a task that waits changes nothing, nor of one that is paused', () => {
  const mesh = meshOf({ axes: { item: [1, 2, 3, 4, 5, 6, 7, 8] } });
  mesh.requeue(RUN, taskAt(mesh, 7));
  mesh.pause(RUN, null);
  flow(mesh);
  mesh.requeue(RUN, taskAt(mesh, 0));
  flow(mesh);
  const count = begun(mesh).length;
  mesh.settle();
  expect(begun(mesh)).toHaveLength(count);
  mesh.resume(RUN, null);
  mesh.settle();
  expect(mesh.core.runs.get(RUN)?.counts).toEqual({ passed: 8 });
});
