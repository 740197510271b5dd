/**
 * A host that comes back with attempts of its ledger that wait: its process before may have died after it
 * had taken the start, and before it made anything of it.
 */
import { describe, expect, it } from 'vitest';
import type { RestoredHost } from '#agent/host/host-state.ts';
import { key, play, RUN, short, start } from './host-cases.ts';

/** As the ledger has it of a start that was taken in, and nothing else. */
function waitingWith(
  change: Parameters<typeof start>[2],
  floors: RestoredHost['floors'] = new Map(),
): RestoredHost {
  const { state } = play([start('t', 8, change)]);
  const live = [...state.live.values()].map((attempt) => ({
    ...attempt,
    stage: 'queued' as const,
    slots: [],
  }));
  return { live, floors, openStops: [], isDraining: false, setups: new Map() };
}

describe('what waits in the ledger of a host that comes back', () => {
  it('begins once the mailbox was read: what ends it may wait there', () => {
    const restored = waitingWith({});
    const { state, effects } = play([{ kind: 'restore', restored }]);
    expect(short(effects)).toEqual([]);
    expect(short(play([{ kind: 'mail_read' }], state).effects)).toEqual(['begin t']);
  });

  it.each([
    ['its run', RUN],
    ['its task', `${RUN}/t`],
  ])('never begins where a stop of %s that is over has overtaken it (I6)', (_name, target) => {
    const restored = waitingWith({}, new Map([[target, { sequence: 5, era: 0 }]]));
    expect(short(play([{ kind: 'restore', restored }]).effects)).toEqual(['stop_attempt t']);
  });

  it('begins after a stop that its start knew of', () => {
    const floors = new Map([[RUN, { sequence: 5, era: 0 }]]);
    const restored = waitingWith({ afterStop: 5 }, floors);
    const { effects } = play([{ kind: 'restore', restored }, { kind: 'mail_read' }]);
    expect(short(effects)).toEqual(['begin t']);
  });

  it('ends where the host can never run it, and holds up nobody', () => {
    const [large] = waitingWith({ needs: { slots: 3 } }).live;
    const [small] = waitingWith({}).live;
    if (large === undefined || small === undefined) throw new Error('nothing waits');
    const other = { ...small, key: key('u'), ref: { ...small.ref, task: 'u' }, sequence: 9 };
    const restored = { ...waitingWith({}), live: [large, other] };
    const { effects } = play([{ kind: 'restore', restored }, { kind: 'mail_read' }]);
    expect(short(effects)).toEqual(['refuse t', 'begin u']);
  });
});
