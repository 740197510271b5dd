import { describe, expect, it } from 'vitest';
import {
  AGENT_LEASE_MS,
  availableAgents,
  createFleet,
  listenFrom,
  observe,
  onAgentStarted,
  onAgentStopping,
  onAgentUndrained,
  onHeard,
  onHostSaid,
  onMailbox,
  onObserved,
  onRegistered,
  onStored,
  onTermBegun,
  takeSuperseded,
  type FleetState,
} from '#coordinator/fleet/fleet-reducer.ts';
import { registrationOf } from './miniature-messages.ts';

const registration = registrationOf({ id: 'a', hostId: 'h', slots: 2 });

function enrolled(): FleetState {
  const state = createFleet();
  expect(onRegistered(state, registration)).toBe(true);
  onMailbox(state, 'a', true);
  return state;
}
const available = (state: FleetState): string[] => availableAgents(state).map(({ id }) => id);

describe('an agent', () => {
  it('is available once it is registered, has its mailbox, and was heard', () => {
    const state = createFleet();
    onHeard(state, { agent: 'a', incarnation: 1 }, 1);
    expect(available(state)).toEqual([]);
    onRegistered(state, registration);
    expect(available(state)).toEqual([]);
    expect(onMailbox(state, 'a', true)).toBe(true);
    expect(available(state)).toEqual(['a']);
  });

  it('that drains is not available, until it says that it takes work again', () => {
    const state = enrolled();
    onHeard(state, { agent: 'a', incarnation: 1 }, 1);
    onAgentStopping(state, 'a', { incarnation: 1, ended: false });
    onHeard(state, { agent: 'a', incarnation: 1 }, 2);
    expect(available(state)).toEqual([]);
    expect(onAgentUndrained(state, 'a')).toBe(true);
    expect(available(state)).toEqual(['a']);
  });

  it('has its mailbox made once, and again when that failed', () => {
    const state = createFleet();
    expect([onRegistered(state, registration), onRegistered(state, registration)]).toEqual([
      true,
      false,
    ]);
    onMailbox(state, 'a', false);
    expect(onRegistered(state, registration)).toBe(true);
  });

  it('that stored something just before the term counts as heard, a silent one does not', () => {
    const recent = enrolled();
    onStored(recent, 'a', 9_000);
    onTermBegun(recent, 8_000, 50);
    expect(available(recent)).toEqual(['a']);
    const old = enrolled();
    onStored(old, 'a', 7_000);
    onTermBegun(old, 8_000, 50);
    expect(available(old)).toEqual([]);
  });

  it('silent past its lease is said to be unreachable, once; heard again, returned', () => {
    const state = enrolled();
    onHeard(state, { agent: 'a', incarnation: 1 }, 100);
    expect(observe(state, 100 + AGENT_LEASE_MS)).toEqual([]);
    const late = 101 + AGENT_LEASE_MS;
    expect(observe(state, late)).toMatchObject([{ agent: 'a', kind: 'unreachable' }]);
    expect(observe(state, late)).toEqual([]);
    expect(available(state)).toEqual(['a']); // the flag changes by the stored event alone
    onObserved(state, 'a', { unreachable: true, atMs: 0 });
    expect(available(state)).toEqual([]);
    onHeard(state, { agent: 'a', incarnation: 1 }, late + 1);
    expect(observe(state, late + 2)).toMatchObject([{ kind: 'returned' }]);
    expect(onObserved(state, 'a', { unreachable: false, atMs: 0 })).toBe(true);
  });

  it('is not called silent for a time in which nobody listened', () => {
    const state = enrolled();
    onHeard(state, { agent: 'a', incarnation: 1 }, 100);
    listenFrom(state, 100_000);
    expect(observe(state, 100_000 + AGENT_LEASE_MS)).toEqual([]);
    expect(observe(state, 100_001 + AGENT_LEASE_MS)).toHaveLength(1);
  });

  it('that has said it ends gets nothing until it begins again', () => {
    const state = enrolled();
    onHeard(state, { agent: 'a', incarnation: 3 }, 1);
    onAgentStopping(state, 'a', { incarnation: 3, ended: true });
    onHeard(state, { agent: 'a', incarnation: 3 }, 2);
    expect(available(state)).toEqual([]);
    onAgentStarted(state, 'a', 4);
    expect(available(state)).toEqual(['a']);
  });
});

describe('what a host said of itself', () => {
  const said = (
    state: FleetState,
    kinds: readonly Parameters<typeof onHostSaid>[2]['kind'][],
  ): void => {
    kinds.forEach((kind, index) => {
      onHostSaid(state, 'a', { sequence: index + 1, kind });
    });
  };

  it('a change that another one or a start has replaced may go; the newest never', () => {
    const state = enrolled();
    said(state, ['start', 'change', 'other', 'change', 'change']);
    expect(takeSuperseded(state, 0)).toEqual([2, 4]);
    expect(takeSuperseded(state, 0)).toEqual([]);
    onHostSaid(state, 'a', { sequence: 6, kind: 'start' });
    expect(takeSuperseded(state, 0)).toEqual([5]);
    expect(state.agents.get('a')).toMatchObject({ startedSequence: 6, saidSince: 0 });
  });

  it('what no view is made of goes too, and replaces nothing', () => {
    const state = enrolled();
    said(state, ['start', 'change', 'passing', 'passing', 'passing']);
    expect(takeSuperseded(state, 1)).toEqual([3, 4]);
    expect(state.agents.get('a')?.changedSequence).toBe(2);
  });

  it('the last of those replaced stay for people', () => {
    const state = enrolled();
    said(state, ['start', 'change', 'change', 'change', 'change']);
    expect(takeSuperseded(state, 2)).toEqual([2]);
  });
});
