/** A forgotten agent: nobody waits for it, what it had goes on elsewhere, and a newcomer may have its id. */
import { expect, it } from 'vitest';
import { update } from '#coordinator/core/core-reducer.ts';
import { CORE_TIMING } from '#coordinator/core/core-state.ts';
import { AGENT_LEASE_MS } from '#coordinator/fleet/fleet-reducer.ts';
import { onRegistered } from '#coordinator/fleet/fleet-reducer.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import { createFleetFold, applyToFleet } from '#protocol/fold/fleet-fold.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';
import { beatOf } from './miniature-messages.ts';
import { Miniature } from './miniature.ts';

const RUN = '2026-02-13_14-30-45-aaaa';
const NEEDS = { slots: 1, cpus: 0, exclusive: false, locks: { db: 1 } };

function flow(mesh: Miniature, agents: readonly number[]): void {
  const reads = (): boolean => agents.some((at) => mesh.agentReads(at, false));
  while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand() || mesh.sayPassed() || reads());
}

/** Only the second is heard. */
function pass(mesh: Miniature, ms: number): void {
  const heard = mesh.agents[1];
  for (let passedMs = 0; passedMs < ms; passedMs += 4_000) {
    if (heard !== undefined) mesh.post({ kind: 'heartbeat', beat: beatOf(heard) });
    mesh.later(4_000);
    flow(mesh, [1]);
  }
}

/** A task on the first of two agents, which is not heard any more; its run waits for it for ever. */
function meshOf(suite: Partial<SuiteSpec> = {}): Miniature {
  const mesh = new Miniature([{ slots: 1 }, { slots: 1 }]);
  const onLost = { requeueAfterMs: null };
  mesh.submit(RUN, { needs: NEEDS, locks: { db: 1 }, axes: { item: [1] }, onLost, ...suite });
  flow(mesh, [0, 1]);
  pass(mesh, AGENT_LEASE_MS + 8_000);
  return mesh;
}

const TOKEN = 700;

function forget(mesh: Miniature, force = false): void {
  const request = { agent: 'a0', by: 'u@h', reason: 'sold', force };
  mesh.post({ kind: 'forget', token: TOKEN, request });
  flow(mesh, [1]);
}

const begun = (mesh: Miniature): readonly (readonly string[])[] =>
  mesh.agents.map(({ begun: keys }) => keys.map((key) => key.split('#')[1] ?? ''));
const said = (mesh: Miniature, name: string): EventRecord['message']['data'][] =>
  mesh.events.filter(({ message }) => message.name === name).map(({ message }) => message.data);
const runOf = (mesh: Miniature) => mesh.core.runs.get(RUN);

it('has its attempts given up at once, though their run would wait for it', () => {
  const mesh = meshOf();
  pass(mesh, 600_000);
  expect(begun(mesh)).toEqual([['1'], []]);
  forget(mesh);
  expect(mesh.replies.get(TOKEN)).toEqual({ kind: 'ok', reply: { agent: 'a0', lost: 1 } });
  expect(said(mesh, 'task.retrying')).toMatchObject([{ n: 1, superseded: true, avoid: 'a0' }]);
  expect(begun(mesh)).toEqual([['1'], ['2']]);
  mesh.later(1_000);
  expect(mesh.core.fleet.agents.get('a0')).toMatchObject({
    registration: null,
    forgotten: { isFreeing: true },
  });
  mesh.agentExits(1, 'passed', false);
  flow(mesh, [1]);
  expect(runOf(mesh)?.fold).toMatchObject({ state: 'ended', outcome: 'passed' });
});

it('closes the stops that wait for it as unproven, and what they stop ends unverified', () => {
  const mesh = meshOf();
  mesh.stop(RUN, null);
  flow(mesh, [1]);
  pass(mesh, 60_000);
  expect(said(mesh, 'run.stop_closed')).toEqual([]);
  forget(mesh);
  expect(said(mesh, 'run.stop_closed')).toMatchObject([{ result: 'unproven' }]);
  expect(said(mesh, 'task.ended')).toMatchObject([
    {
      outcome: 'stopped',
      n: 1,
      reason: 'agent a0 was forgotten: whether it is dead was not verified',
    },
  ]);
  expect(runOf(mesh)?.fold).toMatchObject({ state: 'ended', outcome: 'stopped' });
});

it('is not waited for by a stop that comes later', () => {
  const mesh = meshOf();
  forget(mesh);
  mesh.stop(RUN, null);
  flow(mesh, [1]);
  expect(said(mesh, 'run.stop_closed')).toMatchObject([{ result: 'unproven' }]);
  expect(runOf(mesh)?.fold.state).toBe('ended');
});

it('keeps its starts until no task counts on one of them', () => {
  const mesh = meshOf();
  const request = { agent: 'a0', by: 'u@h', reason: null, force: false };
  mesh.post({ kind: 'forget', token: TOKEN, request });
  while (said(mesh, 'agent.forgotten').length === 0) mesh.storeOne(0);
  while (mesh.readEvent());
  mesh.later(1_000); // the revoke is on its way
  expect(mesh.core.fleet.agents.get('a0')?.forgotten).toMatchObject({ isFreeing: false });
  flow(mesh, [1]);
  mesh.later(1_000);
  expect(mesh.core.fleet.agents.get('a0')?.forgotten).toMatchObject({ isFreeing: true });
});

it('keeps them too where the starts of its run are dropped in between', () => {
  const mesh = meshOf();
  const startsLeft = (): number => {
    for (const run of mesh.core.runs.values()) run.starts.kept = CORE_TIMING.startsKept;
    mesh.later(1_000);
    const isStart = (one: EventRecord | null): boolean => one?.message.name === 'command.start';
    return mesh.commands.filter(isStart).length;
  };
  const request = { agent: 'a0', by: 'u@h', reason: null, force: false };
  mesh.post({ kind: 'forget', token: TOKEN, request });
  while (said(mesh, 'agent.forgotten').length === 0) mesh.storeOne(0);
  while (mesh.readEvent());
  expect(startsLeft()).toBe(1); // the revoke is on its way
  flow(mesh, [1]);
  expect(begun(mesh)).toEqual([['1'], ['2']]);
  expect(startsLeft()).toBe(1); // that of the second
});

it('ends what it still runs when it is back', () => {
  const mesh = meshOf();
  forget(mesh);
  flow(mesh, [0, 1]);
  expect(said(mesh, 'command.revoke_answered')).toMatchObject([{ n: 1, answer: 'started' }]);
  expect(mesh.agents[0]?.live.size).toBe(0);
  mesh.agentExits(1, 'passed', false);
  flow(mesh, [0, 1]);
  expect(runOf(mesh)?.fold).toMatchObject({ state: 'ended', outcome: 'passed' });
});

it('is not forgotten while it is there, unless somebody insists', () => {
  const mesh = new Miniature([{ slots: 1 }, { slots: 1 }]);
  forget(mesh);
  expect(mesh.replies.get(TOKEN)).toMatchObject({ kind: 'error', code: 'agent_present' });
  expect(said(mesh, 'agent.forgotten')).toEqual([]);
  mesh.replies.clear();
  forget(mesh, true);
  expect(mesh.replies.get(TOKEN)).toMatchObject({ kind: 'ok' });
  expect(mesh.core.fleet.agents.get('a0')).toMatchObject({ registration: null });
});

it('is forgotten once more for whom the first answer did not reach', () => {
  const mesh = meshOf();
  forget(mesh);
  mesh.replies.clear();
  forget(mesh);
  expect(mesh.replies.get(TOKEN)).toEqual({ kind: 'ok', reply: { agent: 'a0', lost: 0 } });
});

it('enrols anew by a registration that is younger; an older one says nothing', () => {
  const mesh = meshOf();
  forget(mesh);
  const { fleet } = mesh.core;
  const { atMs = 0 } = fleet.agents.get('a0')?.forgotten ?? {};
  const { registration } = goldenMessages['agent.started'];
  expect(onRegistered(fleet, { ...registration, agent: 'a0' }, atMs)).toBe(false);
  expect(fleet.agents.get('a0')).toMatchObject({ registration: null });
  expect(onRegistered(fleet, { ...registration, agent: 'a0' }, atMs + 1)).toBe(true);
  expect(fleet.agents.get('a0')).toMatchObject({ forgotten: null, unreachable: false });
});

it('is not shown any more', () => {
  const fold = createFleetFold();
  const names = ['agent.started', 'agent.forgotten'] as const;
  for (const [at, name] of names.entries())
    applyToFleet(fold, {
      subject: at === 0 ? 'bm.v1.evt.agent.a0.host' : 'bm.v1.evt.fleet.a0',
      sequence: at + 1,
      timeMs: at,
      message: { name, data: goldenMessages[name], id: 'x' } as EventRecord['message'],
    });
  expect([...fold.agents.keys()]).toEqual([]);
});

it('is known as forgotten until its id is free and every older run was purged', () => {
  const mesh = meshOf();
  const swept = (sweeps: number): unknown => {
    const now = { wallMs: 0, monotonicMs: mesh.core.nowMs + sweeps * CORE_TIMING.sweepEveryMs };
    const [, effects] = update(mesh.core, { kind: 'tick' }, now);
    return effects.find((effect) => effect.kind === 'sweep')?.forgotten;
  };
  forget(mesh);
  mesh.later(1_000);
  const { atMs = 0, sequence } = mesh.core.fleet.agents.get('a0')?.forgotten ?? {};
  mesh.post({ kind: 'forgotten', agent: 'a0' });
  mesh.post({ kind: 'freed', agent: 'a0', beforeMs: atMs });
  expect(swept(1)).toEqual([]);
  mesh.agentExits(1, 'passed', false);
  flow(mesh, [1]);
  mesh.post({ kind: 'purged', run: RUN });
  expect(swept(3)).toEqual([{ agent: 'a0', sequence }]);
  expect(mesh.core.fleet.agents.has('a0')).toBe(false);
});

it('is known as forgotten while its id is not free', () => {
  const mesh = new Miniature([{ slots: 1 }, { slots: 1 }]);
  pass(mesh, AGENT_LEASE_MS + 8_000);
  forget(mesh);
  const now = { wallMs: 0, monotonicMs: mesh.core.nowMs + CORE_TIMING.sweepEveryMs };
  const [, effects] = update(mesh.core, { kind: 'tick' }, now);
  expect(effects.find((effect) => effect.kind === 'sweep')?.forgotten).toEqual([]);
});
