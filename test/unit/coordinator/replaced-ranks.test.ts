/** A rank of a gang whose host is lost begins anew on another host: the others go on, and know of it. */
import { describe, expect, it } from 'vitest';
import { explain } from '#coordinator/core/explain/explain.ts';
import type { TaskExplanation } from '#protocol/messages/run/explain.ts';
import { runView } from '#protocol/fold/run-view.ts';
import type { MessageData, MessageName } from '#protocol/messages/catalog.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { Gang, LONG_MS, NEEDS, RUN } from './lost-gang.ts';
import { messageOf } from './miniature-messages.ts';

const WITHIN_MS = 100_000;
const REPLACING = { gang: { onRankLost: { replaceWithinMs: WITHIN_MS } } };
/** As registered by the agents of the miniature. */
const peersOf = (...agents: string[]): object[] => agents.map((agent) => ({ agent }));

const gangOf = (suite: Partial<SuiteSpec> = {}): Gang => new Gang({ ...REPLACING, ...suite });

/** What agents were told, by kind. */
function told<N extends MessageName>(
  gang: Gang,
  name: N,
): { agent: string; data: MessageData<N> }[] {
  return gang.mesh.commands.flatMap((record) =>
    record?.message.name === name
      ? [
          {
            agent: record.subject.split('.')[3] ?? '',
            data: record.message.data as MessageData<N>,
          },
        ]
      : [],
  );
}

const names = (gang: Gang): string[] =>
  gang.mesh.outgoing.map(
    ({ name, subject }) => `${name} ${subject.split('.').slice(2, 5).join('.')}`,
  );

function say(gang: Gang, agent: string, name: MessageName, data: unknown): void {
  const { mesh } = gang;
  const [task = ''] = gang.run.tasks.keys();
  const sequence = mesh.events.length + 1;
  const subject = subjects.attemptEvents(agent, { run: RUN, task, n: 1 });
  const message = messageOf(name, data as never, `own${sequence}`);
  mesh.events.push({ subject, sequence, timeMs: sequence * 10, message });
}

const why = (gang: Gang): TaskExplanation =>
  explain(gang.mesh.core, {
    run: RUN,
    task: [...gang.run.tasks.keys()][0] ?? '',
  }) as TaskExplanation;

describe('a rank whose host is lost', () => {
  it('is revoked first, then placed, then started; the other goes on and is told where it is', () => {
    const gang = gangOf();
    const { mesh } = gang;
    gang.untilRevoking([0, 2]);
    expect(names(gang)).toEqual(['command.revoke cmd.a1.revoke']);
    mesh.storeOne(0);
    mesh.readCommand();
    expect(mesh.outgoing).toMatchObject([
      { name: 'task.rank_lost', data: { n: 1, rank: 1, agent: 'a1', withinMs: WITHIN_MS } },
    ]);
    mesh.storeOne(0);
    mesh.readEvent();
    expect(mesh.core.scheduler.usage.get('a1')).toMatchObject({ attempts: 0 });
    expect(mesh.outgoing).toMatchObject([
      {
        name: 'task.rank_replaced',
        data: { rank: 1, epoch: 1, lost: 'a1', peer: { agent: 'a2' } },
      },
    ]);
    mesh.storeOne(0);
    mesh.readEvent();
    expect(names(gang)).toEqual(['command.start cmd.a2.start', 'command.peers cmd.a0.peers']);
    gang.flow([0, 2]);
    expect(gang.begun()).toEqual(['a0 1', 'a1 1', 'a2 1']);
    const peers = peersOf('a0', 'a2');
    expect(told(gang, 'command.start').at(-1)?.data.spec.gang).toMatchObject({
      ...{ rank: 1, epoch: 1, peers, opened: [] },
    });
    expect(told(gang, 'command.peers')).toMatchObject([{ agent: 'a0', data: { epoch: 1, peers } }]);
    expect(gang.said('task.retrying')).toEqual([]);
    expect(gang.attempts()).toMatchObject([
      {
        ...{ n: 1, superseded: false, outcome: null },
        ranks: [{ agent: 'a0' }, { agent: 'a2', rank: 1, superseded: false }],
        replaced: [
          { agent: 'a1', rank: 1, by: 'a2', attempt: { superseded: true, state: 'accepted' } },
        ],
      },
    ]);

    mesh.agentExits(0, 'passed', false);
    mesh.agentExits(2, 'passed', false);
    gang.flow([0, 2]);
    // The lost host never comes back: the run ends without it.
    expect(gang.view()).toMatchObject({
      outcome: 'passed',
      n: 1,
      attempts: 1,
      agents: ['a0', 'a2'],
    });
    expect(mesh.archived).toEqual([RUN]);
    expect(mesh.problems).toEqual([]);
    expect(mesh.core.scheduler.usage.get('a2')).toMatchObject({ attempts: 0 });
  });

  it('ends what it still runs when it is back, and that changes nothing', () => {
    const gang = gangOf();
    gang.pass(LONG_MS, [0, 2]);
    gang.pass(4_000, [0, 1, 2]);
    expect(gang.said('command.revoke_answered')).toMatchObject([{ n: 1, answer: 'started' }]);
    expect(gang.attempts()).toMatchObject([
      {
        state: 'accepted',
        replaced: [{ agent: 'a1', attempt: { outcome: 'lost', partial: true } }],
      },
    ]);
    expect([...gang.run.open.values()].map(({ agent }) => agent).sort()).toEqual(['a0', 'a2']);
    gang.mesh.settle();
    expect(gang.view()).toMatchObject({ outcome: 'passed', n: 1 });
    expect(gang.said('task.retrying')).toEqual([]);
    expect(gang.revokes()).toEqual([]);
    expect(gang.mesh.problems).toEqual([]);
  });

  it('is rank 0: the gang ends as any, its address is with the others', () => {
    const gang = gangOf();
    gang.pass(LONG_MS, [1, 2]);
    expect(gang.said('task.rank_lost')).toEqual([]);
    expect(gang.said('task.retrying')).toMatchObject([{ class: 'lost', avoid: 'a0' }]);
  });

  it.each([
    ['has failed', 'failed'],
    ['has passed', 'passed'],
  ] as const)('is not replaced where another %s', (_, outcome) => {
    const gang = gangOf();
    gang.mesh.agentExits(0, outcome, false);
    gang.pass(LONG_MS, [0, 2]);
    expect(gang.said('task.rank_lost')).toEqual([]);
    expect(gang.said('task.retrying')).toMatchObject([{ class: 'lost', avoid: 'a1' }]);
  });

  it('waits for a host, is explained, and ends the gang when none comes in time', () => {
    const gang = gangOf();
    gang.mesh.cordon('a2');
    gang.pass(LONG_MS, [0, 2]);
    expect(gang.said('task.rank_lost')).toHaveLength(1);
    const said = why(gang);
    expect(explain(gang.mesh.core, { run: RUN })).toMatchObject({
      handedOut: 1,
      heldBack: [{ tasks: 1, reason: said.reason }],
      other: 0,
    });
    expect(said).toMatchObject({
      reason: { kind: 'replacing_rank', n: 1, rank: 1, lost: 'a1', agents: ['a0'] },
      agents: [
        { agent: 'a0', reason: { kind: 'has_rank' } },
        { agent: 'a1', reason: { kind: 'unreachable' } },
        { agent: 'a2', reason: { kind: 'cordoned' } },
      ],
    });
    expect(runView(gang.run.fold)?.current).toMatchObject([
      { waiting: 'another host for rank 1: agent a1 is lost' },
    ]);
    expect(gang.said('task.retrying')).toEqual([]);
    gang.pass(WITHIN_MS, [0, 2]);
    expect(gang.said('task.retrying')).toMatchObject([
      {
        ...{ class: 'lost', avoid: 'a1', superseded: true, without: ['a1'] },
        reason: 'agent a1 was not heard any more, and no other host was found for its rank in time',
      },
    ]);
    // One host was lost: that counts once.
    expect(gang.run.listed[0]?.used).toEqual({ lost: 1 });
  });

  it('takes the host that comes while it waits, and the place is kept for it', () => {
    const gang = gangOf();
    const other = '2026-02-13_14-30-46-bbbb';
    gang.mesh.submit(other, {
      needs: { slots: 1, cpus: 0, exclusive: false },
      axes: { item: [1, 2, 3] },
    });
    gang.flow();
    gang.pass(LONG_MS, [0, 2]);
    expect(gang.said('task.rank_lost')).toHaveLength(1);
    expect(gang.begun()).not.toContain('a2 2');
    expect(gang.mesh.core.scheduler.kept).toMatchObject([{ run: RUN, agent: 'a2' }]);
    expect(why(gang).agents.find(({ agent }) => agent === 'a2')).toMatchObject({
      reason: { kind: 'full', of: 'slots' },
    });
    while (gang.said('task.rank_replaced').length === 0) {
      expect(gang.mesh.agentExits(2, 'passed', false)).toBe(true);
      gang.pass(4_000, [0, 2]);
    }
    expect(gang.mesh.core.scheduler.kept).toEqual([]);
    expect(gang.said('task.rank_replaced')).toMatchObject([{ peer: { agent: 'a2' } }]);
  });

  it('counts as a lost host: with no more allowed the next one ends the gang', () => {
    const gang = gangOf({ retries: { lost: 1 } });
    gang.pass(LONG_MS, [0, 2]);
    expect(gang.run.listed[0]).toMatchObject({ used: { lost: 1 }, lostWith: ['a1'] });
    gang.pass(4_000, [0, 1, 2]);
    gang.pass(LONG_MS, [0, 1]);
    expect(gang.said('task.rank_lost')).toHaveLength(1);
    expect(gang.said('task.ended')).toMatchObject([{ outcome: 'lost', without: ['a2'] }]);
  });

  it('does not go back to an agent that had one of its ranks', () => {
    const gang = gangOf();
    gang.pass(LONG_MS, [0, 2]);
    gang.pass(4_000, [0, 1, 2]);
    gang.pass(LONG_MS, [0, 1]);
    expect(gang.said('task.rank_lost')).toMatchObject([{ agent: 'a1' }, { agent: 'a2' }]);
    expect(gang.said('task.rank_replaced')).toHaveLength(1);
    gang.pass(WITHIN_MS, [0, 1]);
    expect(gang.said('task.retrying')).toMatchObject([{ avoid: 'a2' }]);
    expect(gang.run.listed[0]?.used).toEqual({ lost: 2 });
  });

  it('is held back by a pause, and by a stop that is asked of the lost host too', () => {
    const paused = gangOf();
    paused.mesh.pause(RUN, null);
    paused.flow([0, 2]);
    paused.pass(LONG_MS, [0, 2]);
    expect(paused.said('task.rank_lost')).toEqual([]);
    expect(paused.said('task.retrying')).toMatchObject([{ class: 'paused', without: ['a1'] }]);

    for (const isPlaced of [false, true]) {
      const gang = gangOf();
      if (!isPlaced) gang.mesh.cordon('a2');
      gang.pass(LONG_MS, [0, 2]);
      gang.mesh.stop(RUN, null);
      gang.flow([0, 2]);
      const [stop] = gang.mesh.core.stops.get(RUN)?.stops.values() ?? [];
      expect(stop?.closed).toBe('no');
      expect(stop?.fold.agents.get('a1')?.starts.size).toBe(1);
      expect(gang.said('task.ended')).toMatchObject([{ outcome: 'stopped', without: ['a1'] }]);
      gang.flow();
      expect(runView(gang.run.fold)).toMatchObject({
        outcome: 'stopped',
        stops: [{ result: 'dead' }],
      });
      expect(gang.begun()).toEqual(isPlaced ? ['a0 1', 'a1 1', 'a2 1'] : ['a0 1', 'a1 1']);
    }
  });

  it('does not begin where the stop comes while its place is being stored', () => {
    const gang = gangOf();
    const { mesh } = gang;
    gang.untilRevoking([0, 2]);
    while (!names(gang).some((name) => name.startsWith('task.rank_replaced'))) {
      mesh.storeOne(0);
      while (mesh.readCommand() || mesh.readEvent());
    }
    mesh.stop(RUN, null);
    mesh.readCommand();
    gang.flow([0, 2]);
    expect(gang.begun()).toEqual(['a0 1', 'a1 1']);
    expect(gang.said('task.rank_replaced')).toHaveLength(1);
    expect(told(gang, 'command.start').filter(({ agent }) => agent === 'a2')).toEqual([]);
    expect(mesh.core.scheduler.usage.get('a2')).toMatchObject({ attempts: 0 });
    gang.flow();
    expect(runView(gang.run.fold)).toMatchObject({ outcome: 'stopped' });
  });

  it.each(['the revoke', 'the loss', 'the place', 'the start', 'the peers'] as const)(
    'a leader that dies once %s is stored is gone on from',
    (stored) => {
      const order = ['the revoke', 'the loss', 'the place', 'the start', 'the peers'];
      const gang = gangOf();
      const { mesh } = gang;
      gang.untilRevoking([0, 2]);
      for (let at = 0; at <= order.indexOf(stored); at += 1) {
        mesh.storeOne(0);
        if (at < order.indexOf(stored)) while (mesh.readCommand() || mesh.readEvent());
      }
      mesh.lead(); // all are heard at its begin
      gang.flow([0, 2]);
      expect(gang.begun()).toEqual(['a0 1', 'a1 1', 'a2 1']);
      expect(gang.said('task.rank_lost')).toHaveLength(1);
      expect(gang.said('task.rank_replaced')).toHaveLength(1);
      const all = told(gang, 'command.peers').filter(({ agent }) => agent === 'a0');
      expect(all.length).toBeGreaterThan(0);
      mesh.lead();
      expect(gang.run.listed[0]).toMatchObject({ used: { lost: 1 }, phase: 'assigned', n: 1 });
      expect(mesh.core.scheduler.usage.get('a2')).toMatchObject({ attempts: 1 });
      expect(mesh.core.scheduler.usage.get('a1')?.attempts ?? 0).toBe(0);
      gang.flow();
      mesh.settle();
      expect(gang.view()).toMatchObject({ outcome: 'passed', n: 1 });
      expect(gang.run.open.size).toBe(0);
      expect(gang.revokes()).toEqual([]);
      expect(mesh.problems).toEqual([]);
    },
  );

  it('may be one of two: each is placed in its turn, and all know the last peers', () => {
    const suite = { ...REPLACING, needs: { ...NEEDS, hosts: 3 } };
    const gang = new Gang(suite, () => undefined);
    const { mesh } = gang;
    expect(gang.begun()).toEqual(['a0 1', 'a1 1', 'a2 1']);
    for (const at of [3, 4])
      mesh.agents.push({
        ...{ id: `a${at}`, hostId: `h${at}`, slots: 1, read: 0, seen: new Set(), stops: [] },
        ...{ newest: new Map(), live: new Map(), begun: [] },
      });
    mesh.lead();
    gang.pass(LONG_MS, [0, 3, 4]);
    gang.pass(8_000, [0, 3, 4]);
    expect(gang.begun()).toEqual(['a0 1', 'a1 1', 'a2 1', 'a3 1', 'a4 1']);
    const last = told(gang, 'command.peers').filter(({ data }) => data.epoch === 2);
    expect(last.map(({ agent }) => agent)).toEqual(['a0', 'a3']);
    const where = peersOf('a0', 'a3', 'a4');
    for (const { data } of last) expect(data.peers).toMatchObject(where);
    expect(told(gang, 'command.start').at(-1)?.data.spec.gang).toMatchObject({ peers: where });
    gang.mesh.settle();
    expect(gang.view()).toMatchObject({ outcome: 'passed', n: 1 });
  });
});

describe('a barrier', () => {
  const ready = (gang: Gang, agent: string): void => {
    say(gang, agent, 'attempt.ready', { elapsedMs: 1, barrier: 'run' });
    gang.flow([0, 2]);
  };

  it('that is open is none for the new rank', () => {
    const gang = gangOf();
    ready(gang, 'a0');
    ready(gang, 'a1');
    expect(gang.said('task.barrier_opened')).toHaveLength(1);
    gang.pass(LONG_MS, [0, 2]);
    expect(told(gang, 'command.start').at(-1)?.data.spec.gang).toMatchObject({ opened: ['run'] });
    expect(gang.said('task.barrier_opened')).toHaveLength(1);
  });

  it('does not open while a rank waits for a host, whatever is heard of the old one', () => {
    const gang = gangOf();
    gang.mesh.cordon('a2');
    gang.pass(LONG_MS, [0, 2]);
    ready(gang, 'a1');
    ready(gang, 'a0');
    expect(gang.said('task.rank_lost')).toHaveLength(1);
    expect(gang.said('task.barrier_opened')).toEqual([]);
  });

  it.each([false, true])(
    'that is not open waits for the new rank, not the old (new leader: %s)',
    (isNew) => {
      const gang = gangOf();
      ready(gang, 'a1');
      gang.pass(LONG_MS, [0, 2]);
      if (isNew) gang.mesh.lead();
      ready(gang, 'a0');
      ready(gang, 'a1'); // said before it was lost, stored late
      expect(gang.said('task.barrier_opened')).toEqual([]);
      ready(gang, 'a2');
      expect(gang.said('task.barrier_opened')).toHaveLength(1);
      const gos = told(gang, 'command.go').map(({ agent }) => agent);
      expect(gos).toEqual(['a0', 'a2']);
    },
  );
});
