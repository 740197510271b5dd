/** A pause at the agent: a stop in all it does, told apart in what it makes of the attempt. */
import { describe, expect, it } from 'vitest';
import { joined, orderOf } from '#agent/attempt/rules/stop-rules.ts';
import type { StopOrder } from '#agent/attempt/stop-order.ts';
import { newHost, type HostMessage } from '#agent/host/host-state.ts';
import { LedgerFold } from '#agent/state/ledger-entries.ts';
import type { StopCommand } from '#protocol/messages/run/command.ts';
import { Script, specOf } from './attempt-cases.ts';
import { ended, play, RUN, short, start, stop } from './host-cases.ts';

const ORDER: StopOrder = { command: 's1', by: 'ann', reason: 'why', graceMs: null, now: false };
const PAUSE: StopOrder = { ...ORDER, command: 'p1', by: 'bob', reason: null, isPause: true };
const fresh = { graceMs: 100, arrivedMs: 5 };

const asPause = (message: HostMessage): HostMessage =>
  message.kind === 'stop' ? { ...message, stop: { ...message.stop, pause: true } } : message;

describe('an attempt that is paused', () => {
  it('ends as stopped, of class paused, and says by whom; its teardown runs', () => {
    const script = new Script(specOf(['run', 'teardown']));
    script.begin();
    script.say({ kind: 'stop', stop: PAUSE });
    script.end({ kind: 'signaled', signal: 'SIGTERM', core: false });
    script.end();
    expect(script.started()).toEqual(['run', 'teardown']);
    expect(script.state.verdict).toEqual({
      outcome: 'stopped',
      stage: null,
      class: 'paused',
      reason: 'paused by bob',
    });
  });

  it.each<[string, StopOrder, StopOrder, object]>([
    [
      'stopped, too: it is the stop that is told',
      PAUSE,
      ORDER,
      { by: 'ann', commands: ['s1', 'p1'] },
    ],
    ['paused after a stop: stopped', ORDER, PAUSE, { by: 'ann', commands: ['s1', 'p1'] }],
    ['paused twice', PAUSE, { ...PAUSE, command: 'p2' }, { by: 'bob', isPause: true }],
    [
      'given back, too: paused still',
      PAUSE,
      { ...ORDER, givesBack: true },
      { by: 'bob', isPause: true },
    ],
  ])('%s', (_name, first, second, expected) => {
    const both = joined(joined(null, first, fresh), second, { ...fresh, graceMs: 7 });
    expect(both).toMatchObject({ ...expected, graceMs: 7 });
    if (!('isPause' in expected)) expect(both).not.toHaveProperty('isPause');
  });
});

describe('a host', () => {
  it('gives back a start that a pause has overtaken, also when it is over, and obeys a later one', () => {
    const overtaken = start('t2', 6, { afterStop: 0 });
    const { effects } = play([
      asPause(stop('p1', 5)),
      overtaken,
      ended('t2'),
      start('t3', 7, { afterStop: 5 }),
    ]);
    const stops = effects.flatMap((effect) =>
      effect.kind === 'stop_attempt' ? [effect.stop] : [],
    );
    expect(stops).toMatchObject([{ pause: true, by: 'an earlier pause' }]);
    expect(short(effects)).toContain('begin t3');
    expect(short(effects)).not.toContain('begin t2');
  });

  it('knows it after a restart', () => {
    const command: StopCommand = {
      ...{ run: RUN, task: null, graceMs: null, now: false, by: 'x', reason: null },
      pause: true,
    };
    const before = new LedgerFold();
    before.apply({ t: 'stop', id: 'p1', seq: 5, stop: command });
    before.apply({ t: 'ack', command: 'p1', isDone: true, ev: [] });
    const after = new LedgerFold();
    after.apply({
      t: 'summary',
      ledger: JSON.parse(JSON.stringify(before.summary())) as never,
      ev: [],
    });
    expect(after.floors.get(RUN)).toEqual({ sequence: 5, era: 0, isPause: true });
    const initial = { ...newHost(2, 4), floors: after.floors };
    const { effects } = play([start('t1', 6)], initial);
    expect(effects).toContainEqual(
      expect.objectContaining({
        kind: 'stop_attempt',
        stop: expect.objectContaining({ pause: true }) as object,
      }),
    );
    const stopEffect = effects.find((effect) => effect.kind === 'stop_attempt');
    expect(stopEffect && orderOf('c', stopEffect.stop)).toMatchObject({ isPause: true });
  });
});
