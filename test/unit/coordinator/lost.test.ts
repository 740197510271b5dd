/** A lost host: its attempts are revoked, then tried again elsewhere; nothing is ever current twice. */
import { describe, expect, it } from 'vitest';
import { AGENT_LEASE_MS } from '#coordinator/fleet/fleet-reducer.ts';
import { decideLost, LOST_MOST } from '#coordinator/runs/lost-policy.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import { attemptViews } from '#protocol/fold/attempt-view.ts';
import type { RunFold } from '#protocol/fold/run-fold.ts';
import { runView } from '#protocol/fold/run-view.ts';
import { taskView } from '#protocol/fold/task-view.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { beatOf } from './miniature-messages.ts';
import { Miniature } from './miniature.ts';

const RUN = '2026-02-13_14-30-45-aaaa';
const NEEDS = { slots: 1, cpus: 0, exclusive: false };
const AFTER_MS = 20_000;

function meshOf(suite: Partial<SuiteSpec> = {}, agents = 2): Miniature {
  const mesh = new Miniature(Array.from({ length: agents }, () => ({ slots: 1 })));
  mesh.submit(RUN, {
    needs: NEEDS,
    axes: { item: [1] },
    onLost: { requeueAfterMs: AFTER_MS },
    ...suite,
  });
  flow(mesh);
  return mesh;
}

/** What is stored is read, by these agents too; none of what runs ends. */
function flow(mesh: Miniature, agents: readonly number[] = mesh.agents.map((_, at) => at)): void {
  const reads = (): boolean => agents.some((at) => mesh.agentReads(at, false));
  while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand() || mesh.sayPassed() || reads());
}

/** In ticks that are no standstill; `silent` does neither beat nor read. */
function pass(mesh: Miniature, ms: number, silent: readonly number[]): void {
  const heard = mesh.agents.map((_, at) => at).filter((at) => !silent.includes(at));
  for (let passedMs = 0; passedMs < ms; passedMs += 4_000) {
    for (const [at, agent] of mesh.agents.entries())
      if (heard.includes(at)) mesh.post({ kind: 'heartbeat', beat: beatOf(agent) });
    mesh.later(4_000);
    flow(mesh, heard);
  }
}

const LONG_MS = AGENT_LEASE_MS + AFTER_MS + 8_000;

const begun = (mesh: Miniature): string[] =>
  mesh.agents.flatMap(({ id, begun: keys }) =>
    keys.map((key) => `${id} ${key.split('/')[1]?.split('#')[1] ?? ''}`),
  );
const said = (mesh: Miniature, name: string): EventRecord['message']['data'][] =>
  mesh.events.filter(({ message }) => message.name === name).map(({ message }) => message.data);
const commandsOf = (mesh: Miniature, name: string): number =>
  mesh.commands.filter((record) => record?.message.name === name).length;

function viewOf(mesh: Miniature): ReturnType<typeof taskView> {
  const fold = foldOf(mesh);
  const [task] = fold.tasks.values();
  if (task === undefined) throw new Error('no task');
  return taskView(fold, task);
}

function foldOf(mesh: Miniature): RunFold {
  const fold = mesh.core.runs.get(RUN)?.fold;
  if (fold === undefined) throw new Error('no run');
  return fold;
}

function beatAt({ agents }: Miniature, at: number): ReturnType<typeof beatOf> {
  const agent = agents[at];
  if (agent === undefined) throw new Error('no such agent');
  return beatOf(agent);
}

function attemptsOf(mesh: Miniature): ReturnType<typeof attemptViews> {
  const [task] = mesh.core.runs.get(RUN)?.fold.tasks.values() ?? [];
  return task === undefined ? [] : attemptViews(task);
}

describe('a lost host', () => {
  it('has its attempt revoked after the delay, and only then the next one follows', () => {
    const mesh = meshOf();
    pass(mesh, AGENT_LEASE_MS + AFTER_MS - 6_000, [0]);
    expect(said(mesh, 'agent.unreachable')).toHaveLength(1);
    expect(commandsOf(mesh, 'command.revoke')).toBe(0);
    for (let waited = 0; !isRevoking(mesh); waited += 1) {
      expect(waited).toBeLessThan(10);
      mesh.post({ kind: 'heartbeat', beat: beatAt(mesh, 1) });
      mesh.later(4_000);
    }
    expect(mesh.outgoing.map(({ name }) => name)).toEqual(['command.revoke']);
    expect(mesh.outgoing[0]?.subject).toContain('.cmd.a0.revoke.');
    mesh.storeOne(0);
    expect(mesh.outgoing).toEqual([]);
    flow(mesh, [1]);
    expect(said(mesh, 'task.retrying')).toEqual([
      {
        n: 1,
        class: 'lost',
        reason: 'agent a0 was not heard any more',
        avoid: 'a0',
        superseded: true,
      },
    ]);
    expect(begun(mesh)).toEqual(['a0 1', 'a1 2']);
    expect(attemptsOf(mesh)).toMatchObject([
      { n: 1, superseded: true, partial: false },
      { n: 2, superseded: false },
    ]);

    mesh.agentExits(1, 'passed', false);
    flow(mesh, [1]);
    // It never comes back: the run ends without it.
    expect(viewOf(mesh)).toMatchObject({ outcome: 'passed', n: 2 });
    expect(mesh.core.runs.get(RUN)?.fold.state).toBe('ended');
    expect(mesh.archived).toEqual([RUN]);
  });

  it('ends what was superseded when it is back, and that changes nothing', () => {
    const mesh = meshOf();
    pass(mesh, LONG_MS, [0]);
    pass(mesh, 4_000, []);
    expect(attemptsOf(mesh)).toMatchObject([
      { n: 1, outcome: 'lost', superseded: true, partial: true },
      { n: 2, outcome: null },
    ]);
    expect(said(mesh, 'command.revoke_answered')).toMatchObject([{ n: 1, answer: 'started' }]);
    expect(commandsOf(mesh, 'command.revoke')).toBe(0); // answered
    expect(mesh.core.runs.get(RUN)?.open.size).toBe(1);
    mesh.settle();
    expect(viewOf(mesh)).toMatchObject({ outcome: 'passed', n: 2, attempts: 2 });
    expect(said(mesh, 'task.retrying')).toHaveLength(1);
    expect(mesh.problems).toEqual([]);
  });

  it('that had finished before says so, and the task stays where it is', () => {
    const mesh = meshOf();
    pass(mesh, LONG_MS, [0]);
    mesh.agentExits(0, 'passed', false);
    flow(mesh);
    expect(attemptsOf(mesh)).toMatchObject([
      { n: 1, outcome: 'passed', superseded: true, partial: true },
      { n: 2, outcome: null },
    ]);
    expect(viewOf(mesh)).toMatchObject({ state: 'assigned', n: 2, outcome: null });
    mesh.settle();
    expect(viewOf(mesh)).toMatchObject({ outcome: 'passed', n: 2 });
  });

  it('is waited for where the suite says so', () => {
    const mesh = meshOf({ onLost: { requeueAfterMs: null } });
    pass(mesh, 10 * LONG_MS, [0]);
    expect(commandsOf(mesh, 'command.revoke')).toBe(0);
    expect(viewOf(mesh)).toMatchObject({ state: 'assigned', unreachable: true, n: 1 });
  });

  it('that is heard again in time keeps its attempts', () => {
    const mesh = meshOf();
    pass(mesh, AGENT_LEASE_MS + AFTER_MS - 8_000, [0]);
    pass(mesh, LONG_MS, []);
    expect(said(mesh, 'agent.returned')).toHaveLength(1);
    expect(commandsOf(mesh, 'command.revoke')).toBe(0);
    expect(begun(mesh)).toEqual(['a0 1']);
  });

  it('is not lost because nobody listened', () => {
    const mesh = meshOf();
    pass(mesh, AGENT_LEASE_MS + 8_000, [0]);
    expect(said(mesh, 'agent.unreachable')).toHaveLength(1);
    mesh.later(10 * LONG_MS); // this process stood still, and the agent is back
    flow(mesh);
    mesh.post({ kind: 'heartbeat', beat: beatAt(mesh, 0) });
    pass(mesh, LONG_MS, []);
    expect(commandsOf(mesh, 'command.revoke')).toBe(0);
  });

  it.each(['nothing', 'the revoke', 'the retry'] as const)(
    'a leader that dies once %s is stored is gone on from',
    (stored) => {
      const mesh = meshOf();
      pass(mesh, AGENT_LEASE_MS + AFTER_MS - 6_000, [0]);
      while (!isRevoking(mesh)) {
        mesh.post({ kind: 'heartbeat', beat: beatAt(mesh, 1) });
        mesh.later(4_000);
      }
      if (stored !== 'nothing') mesh.storeOne(0);
      if (stored === 'the retry') {
        mesh.readCommand();
        mesh.storeOne(0);
      }
      mesh.lead(); // both agents are heard at its begin
      flow(mesh, [1]);
      if (stored === 'nothing') {
        expect(begun(mesh)).toEqual(['a0 1']);
        pass(mesh, LONG_MS, [0]);
      }
      expect(begun(mesh)).toEqual(['a0 1', 'a1 2']);
      expect(said(mesh, 'task.retrying')).toHaveLength(1);
      mesh.settle();
      expect(viewOf(mesh)).toMatchObject({ outcome: 'passed', n: 2 });
      expect(mesh.core.runs.get(RUN)?.open.size).toBe(0);
      expect(commandsOf(mesh, 'command.revoke')).toBe(0);
    },
  );

  it('that obeyed its revoke before a leader went on with it is lost all the same', () => {
    const mesh = meshOf({ retries: {} });
    pass(mesh, AGENT_LEASE_MS + AFTER_MS - 6_000, [0]);
    while (!isRevoking(mesh)) {
      mesh.post({ kind: 'heartbeat', beat: beatAt(mesh, 1) });
      mesh.later(4_000);
    }
    mesh.storeOne(0);
    while (mesh.agentReads(0, false));
    mesh.lead();
    flow(mesh);
    expect(said(mesh, 'task.retrying')).toMatchObject([{ n: 1, class: 'lost' }]);
    mesh.settle();
    expect(viewOf(mesh)).toMatchObject({ outcome: 'passed', n: 2 });
  });

  it('whose attempt ends just before its revoke is stored is told of it before the task goes on', () => {
    const mesh = meshOf({ retries: {} });
    pass(mesh, AGENT_LEASE_MS + AFTER_MS - 6_000, [0]);
    while (!isRevoking(mesh)) {
      mesh.post({ kind: 'heartbeat', beat: beatAt(mesh, 1) });
      mesh.later(4_000);
    }
    mesh.agentExits(0, 'lost', false);
    while (mesh.readEvent());
    expect(mesh.outgoing.map(({ name }) => name)).toEqual(['command.revoke']);
    flow(mesh);
    expect(said(mesh, 'task.retrying')).toMatchObject([{ n: 1, superseded: true, avoid: 'a0' }]);
    expect(commandsOf(mesh, 'command.revoke')).toBe(0); // answered
    mesh.settle();
    expect(viewOf(mesh)).toMatchObject({ outcome: 'passed', n: 2 });
    expect(mesh.problems).toEqual([]);
  });

  it('gives back the locks of what was superseded: the next attempt does not wait for itself', () => {
    const needs = { ...NEEDS, locks: { db: 2 } };
    const mesh = meshOf({ needs, locks: { db: 2 } });
    pass(mesh, LONG_MS, [0]);
    expect(begun(mesh)).toEqual(['a0 1', 'a1 2']);
    expect(mesh.core.scheduler.locks.get('db')).toMatchObject({ held: 2 });
    mesh.settle();
    expect(viewOf(mesh)).toMatchObject({ outcome: 'passed', n: 2 });
    expect(mesh.core.scheduler.locks.has('db')).toBe(false);
  });

  it('holds no place of its run, and takes none when it is back', () => {
    const mesh = meshOf({ axes: { item: [1, 2] }, maxParallel: 1 });
    pass(mesh, LONG_MS, [0]);
    expect(begun(mesh)).toEqual(['a0 1', 'a1 2']);
    expect(mesh.core.scheduler.usage.get('a0')).toMatchObject({ attempts: 0 });
    mesh.settle();
    expect(mesh.core.scheduler.usage.get('a0')).toMatchObject({ attempts: 0, slots: 0 });
    expect(mesh.core.runs.get(RUN)?.counts).toEqual({ passed: 2 });
    expect(mesh.problems).toEqual([]);
  });

  it('is named by a stop, under the leader that has revoked and under the next', () => {
    for (const next of [false, true]) {
      const mesh = meshOf();
      pass(mesh, LONG_MS, [0]);
      if (next) mesh.lead();
      mesh.stop(RUN, null);
      flow(mesh, [1]);
      const stops = mesh.core.stops.get(RUN)?.stops.values().next().value;
      expect(stops?.closed).toBe('no');
      expect(stops?.fold.agents.get('a0')?.starts.size).toBe(1);
      flow(mesh);
      expect(runView(foldOf(mesh))).toMatchObject({
        outcome: 'stopped',
        stops: [{ result: 'dead' }],
      });
    }
  });

  it('is named by a stop also where nobody has heard of it, and its task has ended without it', () => {
    const mesh = meshOf({ axes: { item: [1, 2] }, retries: { lost: 0 } }, 2);
    // As if it had been cut off before it could say that it had its start.
    const kept = mesh.events.filter(({ subject }) => !subject.includes('.agent.a0.'));
    const renumbered = kept.map((record, at) => ({ ...record, sequence: at + 1 }));
    mesh.events.splice(0, Infinity, ...renumbered);
    mesh.lead();
    pass(mesh, LONG_MS, [0]);
    expect(said(mesh, 'task.ended')).toMatchObject([{ outcome: 'lost', without: ['a0'] }]);
    mesh.lead();
    mesh.stop(RUN, null);
    flow(mesh, [1]);
    const stops = mesh.core.stops.get(RUN)?.stops.values().next().value;
    expect(stops?.closed).toBe('no');
    flow(mesh);
    expect(runView(foldOf(mesh))).toMatchObject({ stops: [{ result: 'dead' }] });
  });

  it('with a thousand others is given up by portions', () => {
    const tasks = Array.from({ length: 1_400 }, (_, at) => at);
    const mesh = new Miniature(Array.from({ length: 350 }, () => ({ slots: 2 })));
    mesh.submit(RUN, { needs: NEEDS, axes: { item: tasks }, onLost: { requeueAfterMs: 0 } });
    const flowOn = (): void => {
      while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand());
    };
    flowOn();
    for (let round = 0; round < 5; round += 1) mesh.later(4_000);
    flowOn();
    expect(said(mesh, 'agent.unreachable')).toHaveLength(350);
    const asked: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      mesh.later(4_000);
      asked.push(mesh.outgoing.length);
    }
    expect(asked).toEqual([1_000, 1_400, 1_400]);
  });
});

function isRevoking(mesh: Miniature): boolean {
  return mesh.outgoing.some(({ name }) => name === 'command.revoke');
}

describe('what follows a lost host', () => {
  const at = (lost: number, lostWith: readonly string[] = []) => ({
    id: 'task',
    n: lost + 1,
    used: { lost },
    lostWith,
  });
  const how = { agent: 'a9', reason: 'r' };

  it('another attempt, as often as the suite says, or a few times', () => {
    expect(decideLost({ retries: {} }, at(LOST_MOST - 1), how)).toMatchObject({
      kind: 'retry',
      data: { n: LOST_MOST, class: 'lost', avoid: 'a9', superseded: true },
    });
    expect(decideLost({ retries: {} }, at(LOST_MOST), how)).toMatchObject({
      kind: 'end',
      data: { outcome: 'lost', class: 'lost', reason: 'r' },
    });
    expect(decideLost({ retries: { lost: 0 } }, at(0), how)).toMatchObject({ kind: 'end' });
    expect(decideLost({ retries: { lost: 1 } }, at(0), how)).toMatchObject({ kind: 'retry' });
  });

  it('after the wait that the suite asks for', () => {
    const lost = { backoffMs: 1_000, factor: 3, maxMs: 5_000, jitter: 0 };
    const rules = { retries: { lost: 3 }, retryRules: { lost } };
    for (const [used, delayMs] of [1_000, 3_000, 5_000].entries())
      expect(decideLost(rules, at(used), how)).toMatchObject({
        kind: 'retry',
        data: { superseded: true, avoid: 'a9', delayMs },
      });
  });

  it('quarantine, where as many different agents were lost with it', () => {
    const rules = { retries: {}, crashLimit: 3 };
    expect(decideLost(rules, at(1, ['a1']), how)).toMatchObject({ kind: 'retry' });
    expect(decideLost(rules, at(2, ['a1', 'a9']), how)).toMatchObject({ kind: 'retry' });
    expect(decideLost(rules, at(2, ['a1', 'a2']), how)).toMatchObject({
      kind: 'end',
      data: {
        outcome: 'quarantined',
        reason: '3 different agents were lost with it (a1, a2, a9)',
      },
    });
    expect(decideLost({ retries: {}, crashLimit: 9 }, at(8, ['a1']), how)).toMatchObject({
      kind: 'retry',
    });
  });
});
