/** What the stop of a run's budget keeps from beginning ends as what it has ended: timed out. */
import { expect, it } from 'vitest';
import { orderOf } from '#agent/attempt/rules/stop-rules.ts';
import { newHost, type HostEffect, type HostMessage } from '#agent/host/host-state.ts';
import { LedgerFold } from '#agent/state/ledger-entries.ts';
import type { StopCommand } from '#protocol/messages/run/command.ts';
import { Script, specOf } from './attempt-cases.ts';
import { ended, play, RUN, short, start, stop } from './host-cases.ts';

const BUDGET: StopCommand = {
  ...{ run: RUN, task: null, graceMs: null, now: false, by: 'x', reason: null },
  cause: 'budget',
};
const byBudget: HostMessage = { ...stop('b1', 5), stop: BUDGET } as HostMessage;

/** How an attempt ends that these effects stop before it has begun. */
function endOf(effects: readonly HostEffect[]): unknown {
  const effect = effects.find(({ kind }) => kind === 'stop_attempt');
  if (effect?.kind !== 'stop_attempt') throw new Error('nothing is stopped');
  const script = new Script(specOf(['run']));
  script.say({ kind: 'stop', stop: orderOf(effect.command, effect.stop) });
  return script.state.verdict;
}

const TIMED_OUT = {
  outcome: 'timed_out',
  stage: null,
  class: 'timeout',
  reason: "the run's budget was used up",
};

it('a start that comes when the stop is over', () => {
  const { effects } = play([start('t1', 4), byBudget, ended('t1'), start('t2', 6)]);
  expect(short(effects)).toContain('stop_done b1');
  expect(endOf(effects.slice(short(effects).indexOf('stop_done b1')))).toEqual(TIMED_OUT);
});

it('also after a restart', () => {
  const before = new LedgerFold();
  before.apply({ t: 'stop', id: 'b1', seq: 5, stop: BUDGET });
  before.apply({ t: 'stop', id: 'b2', seq: 6, stop: { ...BUDGET, task: 't9', pause: true } });
  const after = new LedgerFold();
  const ledger = JSON.parse(JSON.stringify(before.summary())) as never;
  after.apply({ t: 'summary', ledger, ev: [] });
  expect(after.floors.get(RUN)).toEqual({ sequence: 5, era: 0, cause: 'budget' });
  expect(after.floors).toEqual(before.floors);
  const { effects } = play([start('t1', 6)], { ...newHost(2, 4), floors: after.floors });
  expect(endOf(effects)).toEqual(TIMED_OUT);
});

it('not one that an operator has stopped since', () => {
  const { effects } = play([byBudget, stop('s2', 6), start('t1', 7)]);
  expect(endOf(effects)).toMatchObject({ outcome: 'stopped', class: null });
});
