/** Lost hosts of tasks on several: the other ranks are ended first, the task goes on once, stops ask for all. */
import { describe, expect, it } from 'vitest';
import { AGENT_LEASE_MS } from '#coordinator/fleet/fleet-reducer.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import { runView } from '#protocol/fold/run-view.ts';
import type { MessageName } from '#protocol/messages/catalog.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { exited } from './exited.ts';
import { Gang, LONG_MS, NEEDS, RUN, TOKEN } from './lost-gang.ts';
import { messageOf } from './miniature-messages.ts';

const LOST = {
  n: 1,
  class: 'lost',
  reason: 'agent a0 was not heard any more',
  avoid: 'a0',
  superseded: true,
};

describe('a rank whose host is lost', () => {
  it('is revoked, the others are ended, and only then the next attempt follows', () => {
    const gang = new Gang();
    gang.untilRevoking([1, 2]);
    expect(gang.mesh.outgoing.map(({ subject }) => subject)).toEqual([
      `bm.v1.cmd.a0.revoke.${RUN}`,
    ]);
    gang.mesh.storeOne(0);
    expect(gang.mesh.outgoing).toEqual([]);
    gang.mesh.readCommand();
    expect(gang.mesh.outgoing).toMatchObject([
      {
        subject: `bm.v1.cmd.a1.revoke.${RUN}`,
        data: { gang: { reason: expect.stringContaining('rank 0') as string } },
      },
    ]);
    expect(gang.said('task.retrying')).toEqual([]);
    gang.flow([1, 2]);
    expect(gang.said('attempt.exited')).toMatchObject([{ outcome: 'stopped', class: 'gang' }]);
    expect(gang.said('task.retrying')).toEqual([{ ...LOST, without: ['a0'] }]);
    expect(gang.begun()).toEqual(['a0 1', 'a1 1', 'a1 2', 'a2 2']);
    expect(gang.attempts()).toMatchObject([
      { n: 1, superseded: true, ranks: [{ superseded: true }, { superseded: false }] },
      { n: 2, superseded: false },
    ]);
    expect(gang.mesh.core.scheduler.usage.get('a0')).toMatchObject({ attempts: 0 });

    gang.mesh.agentExits(1, 'passed', false);
    gang.mesh.agentExits(2, 'passed', false);
    gang.flow([1, 2]);
    // It never comes back: the run ends without it.
    expect(gang.view()).toMatchObject({ outcome: 'passed', n: 2 });
    expect(gang.mesh.archived).toEqual([RUN]);
  });

  it('ends what it still runs when it is back, and that changes nothing', () => {
    const gang = new Gang();
    gang.pass(LONG_MS, [1, 2]);
    gang.pass(4_000, [0, 1, 2]);
    expect(gang.said('command.revoke_answered')).toMatchObject([{ n: 1, answer: 'started' }]);
    expect(gang.attempts()).toMatchObject([
      { outcome: 'lost', partial: true, ranks: [{ outcome: 'lost' }, { class: 'gang' }] },
      { n: 2, outcome: null },
    ]);
    expect(gang.run.open.size).toBe(2);
    gang.mesh.settle();
    expect(gang.view()).toMatchObject({ outcome: 'passed', n: 2, attempts: 2 });
    expect(gang.said('task.retrying')).toHaveLength(1);
    expect(gang.mesh.problems).toEqual([]);
  });

  it('decides though another has failed before anybody knew: that had lost its peer', () => {
    const gang = new Gang({ retries: {} });
    gang.mesh.agentExits(1, 'failed', false);
    gang.pass(LONG_MS, [1, 2]);
    expect(gang.said('task.retrying')).toMatchObject([{ ...LOST, without: ['a0'] }]);
    expect(gang.begun()).toEqual(['a0 1', 'a1 1', 'a1 2', 'a2 2']);
  });

  it('does not decide where it was paused: that counts for nothing', () => {
    const gang = new Gang({ retries: {} });
    gang.mesh.pause(RUN, null);
    gang.flow([1, 2]);
    gang.pass(LONG_MS, [1, 2]);
    expect(gang.said('task.retrying')).toMatchObject([{ n: 1, class: 'paused', without: ['a0'] }]);
    expect(gang.run.tasks.values().next().value).toMatchObject({ phase: 'pending', n: 2 });
  });

  it('is one of two: both are given up, and the task waits for hosts', () => {
    const gang = new Gang();
    gang.pass(LONG_MS, [2]);
    expect(gang.said('task.retrying')).toMatchObject([{ n: 1, without: ['a0', 'a1'] }]);
    expect(gang.revokes()).toMatchObject([{ superseded: true }, { superseded: true }]);
    const all = gang.mesh.commands.filter((one) => one?.message.name === 'command.revoke');
    expect(all).toHaveLength(2); // neither is told that it ends because of the other
    gang.pass(4_000, [0, 1, 2]);
    expect(gang.revokes()).toEqual([]);
    gang.mesh.settle();
    expect(gang.view()).toMatchObject({ outcome: 'passed', n: 2 });
    expect(gang.mesh.problems).toEqual([]);
  });

  it('is waited for where the suite says so', () => {
    const gang = new Gang({ onLost: { requeueAfterMs: null } });
    gang.pass(5 * LONG_MS, [1, 2]);
    expect(gang.revokes()).toEqual([]);
    expect(gang.view()).toMatchObject({ state: 'assigned', n: 1, unreachable: true });
  });

  it('that ends just before its revoke is stored is told of it before the task goes on', () => {
    const gang = new Gang({ retries: {} });
    gang.untilRevoking([1, 2]);
    gang.mesh.agentExits(0, 'lost', false);
    while (gang.mesh.readEvent());
    expect(gang.mesh.outgoing).toHaveLength(2);
    gang.mesh.storeOne(1); // the end of the other rank
    while (gang.mesh.agentReads(1, false));
    while (gang.mesh.readEvent());
    expect(gang.said('attempt.exited')).toMatchObject([{ outcome: 'lost' }, { class: 'gang' }]);
    expect(gang.mesh.outgoing).toMatchObject([{ data: { superseded: true } }]);
    gang.flow();
    expect(gang.said('task.retrying')).toMatchObject([LOST]);
    gang.mesh.settle();
    expect(gang.view()).toMatchObject({ outcome: 'passed', n: 2 });
  });

  it('that obeyed its revoke before a leader went on with it is lost all the same', () => {
    const gang = new Gang({ retries: {} });
    gang.untilRevoking([1, 2]);
    gang.mesh.storeOne(0);
    while (gang.mesh.agentReads(0, false));
    gang.mesh.lead();
    gang.flow();
    expect(gang.said('task.retrying')).toMatchObject([LOST]);
    gang.mesh.settle();
    expect(gang.view()).toMatchObject({ outcome: 'passed', n: 2 });
  });

  it.each(['nothing', 'the revoke', 'the end of the other', 'the retry'] as const)(
    'a leader that dies once %s is stored is gone on from',
    (stored) => {
      const gang = new Gang();
      const { mesh } = gang;
      gang.untilRevoking([1, 2]);
      if (stored !== 'nothing') mesh.storeOne(0);
      if (stored !== 'nothing' && stored !== 'the revoke') {
        mesh.readCommand();
        mesh.storeOne(0);
        while (mesh.agentReads(1, false));
      }
      if (stored === 'the retry') {
        while (mesh.readEvent());
        mesh.storeOne(0);
      }
      mesh.lead(); // all are heard at its begin
      gang.flow([1, 2]);
      if (stored === 'nothing') {
        expect(gang.begun()).toEqual(['a0 1', 'a1 1']);
        gang.pass(LONG_MS, [1, 2]);
      }
      expect(gang.begun()).toHaveLength(4);
      expect(gang.said('task.retrying')).toHaveLength(1);
      gang.flow();
      mesh.settle();
      expect(gang.view()).toMatchObject({ outcome: 'passed', n: 2 });
      expect(gang.run.open.size).toBe(0);
      expect(gang.revokes()).toEqual([]);
    },
  );

  it('leaves the locks to what has survived of another, until that is gone', () => {
    const needs = { ...NEEDS, locks: { db: 1 } };
    const gang = new Gang({ needs, locks: { db: 1 }, retries: {} });
    const [task = ''] = gang.run.tasks.keys();
    const say = (name: MessageName, data: unknown): void => {
      const sequence = gang.mesh.events.length + 1;
      const subject = subjects.attemptEvents('a1', { run: RUN, task, n: 1 });
      const message = messageOf(name, data as never, `own${sequence}`);
      gang.mesh.events.push({ subject, sequence, timeMs: sequence * 10, message });
    };
    gang.mesh.agents[1]?.live.clear();
    say('attempt.exited', { ...exited('failed'), proven: false, survivors: [7] });
    gang.pass(LONG_MS, [1, 2]);
    expect(gang.said('task.retrying')).toMatchObject([LOST]);
    expect(gang.begun()).toHaveLength(2);
    say('attempt.survivors_gone', { elapsedMs: 9 });
    gang.pass(8_000, [1, 2]);
    expect(gang.begun()).toHaveLength(4);
  });

  it('gives the locks of its task back, once', () => {
    const needs = { ...NEEDS, locks: { db: 1 } };
    const gang = new Gang({ needs, locks: { db: 1 }, maxParallel: 1 });
    gang.pass(LONG_MS, [1, 2]);
    expect(gang.begun()).toHaveLength(4);
    expect(gang.mesh.core.scheduler.locks.get('db')).toMatchObject({ held: 1 });
    gang.mesh.settle();
    expect(gang.view()).toMatchObject({ outcome: 'passed', n: 2 });
  });
});

describe('a gang whose starts are not all stored when its leader dies', () => {
  /** The start of its second rank never leaves. */
  function halfStarted(suite: Partial<SuiteSpec> = {}): Gang {
    const isSecond = ({ subject }: { readonly subject: string }): boolean =>
      subject.startsWith('bm.v1.cmd.a1.start.');
    return new Gang(suite, (mesh) => {
      while (!mesh.outgoing.some(isSecond)) if (!mesh.storeOne(0)) mesh.readEvent();
      mesh.outgoing = mesh.outgoing.filter((effect) => !isSecond(effect));
    });
  }

  it('is not started on others where a rank of it is lost', () => {
    const gang = halfStarted();
    expect(gang.begun()).toEqual(['a0 1']);
    gang.untilRevoking([1, 2]);
    gang.mesh.storeOne(0);
    gang.mesh.lead();
    gang.flow([1, 2]);
    expect(gang.said('task.retrying')).toMatchObject([LOST]);
    expect(gang.begun()).toEqual(['a0 1', 'a1 2', 'a2 2']);
  });

  it('gives up the rank that its next leader starts on an agent that was forgotten', () => {
    const gang = halfStarted({ onLost: { requeueAfterMs: null } });
    const { mesh } = gang;
    mesh.post({
      kind: 'forget',
      token: TOKEN,
      request: { agent: 'a1', by: 'u@h', reason: null, force: true },
    });
    gang.flow([0, 2]);
    mesh.agents.splice(1, 1); // it is registered no more
    mesh.lead();
    const start = mesh.outgoing.find(({ subject }) => subject.startsWith('bm.v1.cmd.a1.start.'));
    mesh.outgoing = mesh.outgoing.filter((effect) => effect !== start);
    const [task = ''] = gang.run.tasks.keys();
    const sequence = mesh.commands.length + 1;
    mesh.commands.push(null);
    mesh.post({ kind: 'own_starts', agent: 'a1', sequence, starts: [{ run: RUN, task, n: 1 }] });
    gang.pass(8_000, [0, 1]);
    expect(start).toBeDefined();
    expect(gang.said('task.retrying')).toMatchObject([{ class: 'lost', avoid: 'a1' }]);
  });
});

describe('a stop of a gang that has lost a rank', () => {
  it('asks for it, under the leader that has revoked and under the next', () => {
    for (const next of [false, true]) {
      const gang = new Gang();
      gang.pass(LONG_MS, [1, 2]);
      if (next) gang.mesh.lead();
      gang.mesh.stop(RUN, null);
      gang.flow([1, 2]);
      const stops = gang.mesh.core.stops.get(RUN)?.stops.values().next().value;
      expect(stops?.closed).toBe('no');
      expect(stops?.fold.agents.get('a0')?.starts.size).toBe(1);
      gang.flow();
      expect(runView(gang.run.fold)).toMatchObject({
        outcome: 'stopped',
        stops: [{ result: 'dead' }],
      });
    }
  });

  it('asks for one that nobody has heard of, under the next leader too', () => {
    const gang = new Gang({});
    expect(gang.run.open.size).toBe(2);
    // As if its agent had been cut off before it could say that it had its start.
    const isHeard = ({ subject }: EventRecord): boolean => !subject.includes('.agent.a0.');
    gang.mesh.events.splice(0, Infinity, ...gang.mesh.events.filter(isHeard).map(renumbered));
    gang.mesh.lead();
    gang.pass(LONG_MS, [1, 2]);
    expect(gang.said('task.retrying')).toMatchObject([{ n: 1, without: ['a0'] }]);
    gang.mesh.lead();
    gang.mesh.stop(RUN, null);
    gang.flow([1, 2]);
    const stops = gang.mesh.core.stops.get(RUN)?.stops.values().next().value;
    expect(stops?.closed).toBe('no');
    gang.flow();
    expect(runView(gang.run.fold)).toMatchObject({ stops: [{ result: 'dead' }] });
  });

  it('waits for it while it is not given up, until it is forgotten', () => {
    const gang = new Gang();
    gang.mesh.stop(RUN, null);
    gang.flow([1, 2]);
    gang.pass(5 * LONG_MS, [1, 2]);
    expect(gang.revokes()).toEqual([]);
    expect(gang.said('run.stop_closed')).toEqual([]);
    gang.forget([1, 2]);
    expect(gang.said('run.stop_closed')).toMatchObject([{ result: 'unproven' }]);
    expect(gang.said('task.ended')).toMatchObject([{ outcome: 'stopped', without: ['a0'] }]);
    expect(runView(gang.run.fold)).toMatchObject({ state: 'ended', outcome: 'stopped' });
    gang.mesh.later(1_000);
    expect(gang.mesh.core.fleet.agents.get('a0')?.forgotten).toMatchObject({ isFreeing: true });
  });

  it.each(['', ', under the next leader'])(
    'that came between its revoke and what follows ends when it is forgotten%s',
    (next) => {
      const gang = new Gang();
      gang.untilRevoking([1, 2]);
      gang.mesh.stop(RUN, null);
      gang.flow([1, 2]);
      if (next !== '') gang.mesh.lead();
      gang.flow([1, 2]);
      gang.pass(AGENT_LEASE_MS + 8_000, [1, 2]);
      expect(gang.said('task.ended')).toEqual([]);
      gang.forget([1, 2]);
      expect(gang.said('task.ended')).toMatchObject([{ outcome: 'stopped' }]);
      expect(gang.said('run.stop_closed')).toMatchObject([{ result: 'unproven' }]);
    },
  );
});

it('a forgotten agent has its ranks given up at once, and its id is free when their task has gone on', () => {
  const gang = new Gang({ onLost: { requeueAfterMs: null } });
  gang.pass(2 * LONG_MS, [1, 2]);
  gang.forget([2]);
  // The other rank is not read yet.
  gang.mesh.later(1_000);
  expect(gang.mesh.core.fleet.agents.get('a0')?.forgotten).toMatchObject({ isFreeing: false });
  gang.flow([1, 2]);
  expect(gang.said('task.retrying')).toMatchObject([{ ...LOST, without: ['a0'] }]);
  expect(gang.begun()).toEqual(['a0 1', 'a1 1', 'a1 2', 'a2 2']);
  gang.mesh.later(1_000);
  expect(gang.mesh.core.fleet.agents.get('a0')?.forgotten).toMatchObject({ isFreeing: true });
});

function renumbered(record: EventRecord, at: number): EventRecord {
  return { ...record, sequence: at + 1 };
}
