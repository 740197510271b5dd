/** A rank of a gang at its agent: it waits for the others, goes on with them, and ends with them. */
import { describe, expect, it } from 'vitest';
import { gangEnv } from '#agent/attempt/gang-env.ts';
import { peersText } from '#agent/attempt/gang-peers.ts';
import { newHost } from '#agent/host/host-state.ts';
import { restoredHost } from '#agent/host/restore.ts';
import { LedgerFold } from '#agent/state/ledger-entries.ts';
import type { GangSpec } from '#protocol/messages/attempt/gang.ts';
import { Script, specOf, stepOf } from './attempt-cases.ts';
import { key, play, RUN, short, start } from './host-cases.ts';

const GANG: GangSpec = {
  rank: 1,
  peers: ['a', 'b', 'c'].map((agent, i) => ({ agent, host: `h${i}`, address: `10.0.0.${i}` })),
  port: 29_500,
  barriers: ['run'],
};
const steps = [stepOf('setup'), stepOf('run'), stepOf('teardown')];
const rank = (change = {}): Script => new Script(specOf([], { steps, gang: GANG, ...change }));
const GO = { kind: 'go', barrier: 'run', startMs: 200, withinMs: 500 } as const;
const waits = (script: Script): object[] =>
  script.effects.filter((effect) => effect.kind === 'wait');

/** At the barrier before run. */
function ready(change = {}): Script {
  const script = rank(change);
  script.begin();
  script.end();
  expect(script.started()).toEqual(['setup']);
  return script;
}

describe('a barrier', () => {
  it('is waited at before its step, until the start that all have in common', () => {
    const script = ready();
    expect(script.events().slice(-1)).toEqual(['attempt.ready']);
    expect(waits(script)).toEqual([]);
    script.say({ ...GO, barrier: 'load' });
    expect(waits(script)).toEqual([]);
    script.say(GO);
    script.say(GO);
    expect(waits(script)).toEqual([{ kind: 'wait', index: 1, forMs: 200 }]);
    expect(script.started()).toEqual(['setup']);
    script.say({ kind: 'waited', index: 1 });
    script.say({ kind: 'waited', index: 1 });
    expect(script.started()).toEqual(['setup', 'run']);
  });

  it.each([
    [-5_000, 0],
    [90_000, 500],
  ])('costs a clock that differs by %i ms no more than %i ms', (startMs, forMs) => {
    const script = ready();
    script.say({ ...GO, startMs });
    expect(waits(script)).toEqual([{ kind: 'wait', index: 1, forMs }]);
  });

  it('is waited at again by an agent that comes back, before and after the go, and not said again', () => {
    const script = ready();
    script.say({ kind: 'resume', bootId: 'b' });
    script.say(GO);
    script.say({ kind: 'resume', bootId: 'b' });
    expect(waits(script)).toHaveLength(2);
    script.say({ kind: 'waited', index: 1 });
    expect(script.started()).toEqual(['setup', 'run']);
    expect(script.events().filter((name) => name === 'attempt.ready')).toHaveLength(1);
  });

  it('is left by a stop, by a cut and by the budget; the teardown runs', () => {
    const stopped = ready();
    stopped.stop();
    expect(stopped.started()).toEqual(['setup', 'teardown']);
    stopped.say(GO);
    stopped.end();
    expect(stopped.state.verdict).toMatchObject({ outcome: 'stopped' });

    const cut = ready();
    cut.say({ kind: 'cut_off', reason: 'away' });
    expect(cut.started()).toEqual(['setup', 'teardown']);
    expect(cut.state.verdict).toMatchObject({ class: 'partition', stage: 'run' });

    const late = ready({ budgetMs: 100 });
    expect(waits(late)).toEqual([{ kind: 'wait', index: 1, forMs: 90 }]);
    late.say({ kind: 'waited', index: 1 }, 90);
    expect(late.started()).toEqual(['setup', 'teardown']);
    expect(late.state.verdict).toMatchObject({ outcome: 'timed_out', class: 'timeout' });
  });
});

describe('a host', () => {
  const over = { reason: 'rank 2 failed' };
  const revoke = (task: string, gang?: typeof over) =>
    ({
      kind: 'revoke',
      command: 'r1',
      ref: { run: RUN, task, n: 1, ...(gang && { gang }) },
      isKnown: true,
    }) as const;

  it('ends a rank whose gang is over, begun or not, and no other that has begun', () => {
    const { effects } = play([
      start('t1', 1, { needs: { exclusive: true } }),
      start('t2', 2, { needs: { exclusive: true } }),
      revoke('t1', over),
      revoke('t2', over),
    ]);
    const stops = effects.filter((effect) => effect.kind === 'stop_attempt');
    expect(short(stops)).toEqual(['stop_attempt t1', 'stop_attempt t2']);
    expect(stops[0]?.stop).toMatchObject({ cause: 'gang', reason: over.reason });
    const plain = play([start('t1', 1), revoke('t1')]);
    expect(short(plain.effects)).not.toContain('stop_attempt t1');
  });

  it('keeps the go and the claim of a rank at a barrier over a restart', () => {
    const spec = { ...specOf([], { steps, gang: GANG }), run: RUN, task: 't1' };
    const fold = new LedgerFold();
    fold.apply({ t: 'start', id: 'c1', seq: 1, spec, afterStop: 0, priority: 0 });
    const script = new Script(spec);
    script.begin();
    script.end();
    const { spec: _spec, reported: _reported, ...state } = script.state;
    fold.apply({ t: 'attempt', key: key('t1'), state, ev: [], isShipped: false });
    const { startMs, withinMs } = GO;
    const go = { barrier: 'run', startMs, withinMs };
    fold.apply({ t: 'go', id: 'g1', seq: 2, key: key('t1'), go });
    expect(fold.attempts.get(key('t1'))?.go).toEqual(go);
    expect(restoredHost(fold).live).toMatchObject([{ stage: 'running', slots: [0] }]);
    const restored = restoredHost(fold);
    const { effects } = play(
      [
        { kind: 'restore', restored },
        { kind: 'go', key: key('t1'), ...go },
      ],
      newHost(2, 4),
    );
    expect(short(effects)).toEqual(['go t1']);
  });
});

it('a rank is told who it is and where the others are', () => {
  expect(gangEnv(GANG, '/w.peers')).toEqual({
    RANK: '1',
    WORLD_SIZE: '3',
    MASTER_ADDR: '10.0.0.0',
    MASTER_PORT: '29500',
    BENCHMESH_RANK: '1',
    BENCHMESH_WORLD_SIZE: '3',
    BENCHMESH_MASTER_ADDR: '10.0.0.0',
    BENCHMESH_MASTER_PORT: '29500',
    BENCHMESH_PEERS: '10.0.0.0,10.0.0.1,10.0.0.2',
    BENCHMESH_PEER_HOSTS: 'h0,h1,h2',
    BENCHMESH_PEERS_FILE: '/w.peers',
    BENCHMESH_PEERS_EPOCH: '0',
  });
});

describe('a rank of a gang in which another is replaced', () => {
  const MOVED = [GANG.peers[0], GANG.peers[1], { agent: 'd', host: 'h3', address: '10.0.0.3' }];
  const peers = MOVED.flatMap((peer) => peer ?? []);
  const written = (script: Script): number =>
    script.effects.filter(({ kind }) => kind === 'write_peers').length;

  it('goes on, has the new peers written down, and tells its later steps of them', () => {
    const script = ready();
    script.say({ kind: 'peers', epoch: 2, peers });
    script.say({ kind: 'peers', epoch: 1, peers: GANG.peers });
    script.say({ kind: 'peers', epoch: 2, peers: GANG.peers });
    expect(written(script)).toBe(1);
    expect(script.state.spec.gang).toMatchObject({ rank: 1, epoch: 2, peers });
    expect(JSON.parse(peersText(script.state.spec) ?? '')).toEqual({
      epoch: 2,
      rank: 1,
      peers: [
        { rank: 0, host: 'h0', address: '10.0.0.0' },
        { rank: 1, host: 'h1', address: '10.0.0.1' },
        { rank: 2, host: 'h3', address: '10.0.0.3' },
      ],
    });
    expect(script.state.life).toMatchObject({ kind: 'barrier' });
    script.say({ kind: 'resume', bootId: 'b' });
    expect(written(script)).toBe(2);
  });

  it('keeps that over a restart of its agent', () => {
    const spec = { ...specOf([], { steps, gang: GANG }), run: RUN, task: 't1' };
    const fold = new LedgerFold();
    fold.apply({ t: 'start', id: 'c1', seq: 1, spec, afterStop: 0, priority: 0 });
    fold.apply({ t: 'peers', id: 'p1', seq: 2, key: key('t1'), peers: { epoch: 1, peers } });
    fold.apply({ t: 'peers', id: 'p2', seq: 3, key: key('t2'), peers: { epoch: 1, peers } });
    expect(fold.attempts.get(key('t1'))?.spec.gang).toMatchObject({ epoch: 1, peers });
    expect(fold.attempts.has(key('t2'))).toBe(false);
  });

  it('waits at no barrier that the others are through, where it is the one that replaces', () => {
    const barriers = ['setup', 'run'];
    const script = rank({ gang: { ...GANG, barriers, epoch: 1, opened: ['setup'] } });
    script.begin();
    expect(script.started()).toEqual(['setup']);
    script.end();
    expect(script.events().slice(-1)).toEqual(['attempt.ready']);
    expect(script.started()).toEqual(['setup']);
  });
});
