/** A cordoned agent is handed nothing new, whoever leads, and keeps what it has. */
import { expect, it } from 'vitest';
import { sayCordonsAgain } from '#coordinator/core/hosts/cordon.ts';
import type { Effect } from '#coordinator/core/core-state.ts';
import { explain } from '#coordinator/core/explain/explain.ts';
import { applyToFleet, createFleetFold } from '#protocol/fold/fleet-fold.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { RecordLog } from '#test/support/records.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';
import { Miniature } from './miniature.ts';

const RUN = '2026-02-13_14-30-45-aaaa';
const NEEDS = { slots: 1, cpus: 0, exclusive: false };

/** What is stored is read, by agents too; none of what runs ends. */
function flow(mesh: Miniature): void {
  const reads = (): boolean => mesh.agents.some((_, at) => mesh.agentReads(at, false));
  while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand() || reads());
}

const begunOn = (mesh: Miniature, at: number): number => mesh.agents[at]?.begun.length ?? 0;

it('gets nothing new, under the next leader neither, and all again afterwards', () => {
  const mesh = new Miniature([{ slots: 1 }, { slots: 1 }]);
  const token = mesh.cordon('a0');
  expect(mesh.replies.get(token)).toBeUndefined(); // not before it is stored
  flow(mesh);
  expect(mesh.replies.get(token)).toEqual({
    kind: 'ok',
    reply: { agent: 'a0', cordoned: true, handedOut: 0 },
  });
  mesh.lead();
  mesh.submit(RUN, { axes: { item: Array.from({ length: 40 }, (_, at) => at) }, needs: NEEDS });
  flow(mesh);
  expect([begunOn(mesh, 0), begunOn(mesh, 1) > 0]).toEqual([0, true]);
  expect(explain(mesh.core, { agent: 'a0' })).toMatchObject({
    closed: { kind: 'cordoned', by: 'u@h', reason: 'loud' },
  });
  const back = mesh.cordon('a0', true);
  flow(mesh);
  expect(begunOn(mesh, 0)).toBeGreaterThan(0);
  const again = mesh.cordon('a0', true); // nothing to take back
  const reply = { agent: 'a0', cordoned: false };
  for (const one of [back, again])
    expect(mesh.replies.get(one)).toMatchObject({ kind: 'ok', reply });
});

it('keeps what it has, what waits there too', () => {
  const mesh = new Miniature([{ slots: 1 }]);
  mesh.submit(RUN, { axes: { item: [1, 2, 3, 4, 5, 6] }, needs: NEEDS });
  flow(mesh);
  const had = begunOn(mesh, 0);
  expect(had).toBeGreaterThan(1);
  const token = mesh.cordon('a0');
  mesh.settle();
  expect(mesh.replies.get(token)).toMatchObject({ reply: { handedOut: had } });
  expect(mesh.core.runs.get(RUN)?.counts).toEqual({ passed: had });
  mesh.cordon('a0', true);
  mesh.settle();
  expect(mesh.core.runs.get(RUN)?.counts).toEqual({ passed: 6 });
});

it('keeps its reason when it is asked for again without one, and not once it was taken back', () => {
  const mesh = new Miniature([{ slots: 1 }]);
  const reasonAfter = (undo: boolean, reason: string | null): string | null | undefined => {
    mesh.cordon('a0', undo, reason);
    mesh.settle();
    return mesh.core.fleet.agents.get('a0')?.cordon?.reason;
  };
  expect(reasonAfter(false, 'loud')).toBe('loud');
  expect(reasonAfter(false, null)).toBe('loud');
  expect(reasonAfter(false, 'hot')).toBe('hot');
  expect(reasonAfter(true, null)).toBeUndefined();
  expect(reasonAfter(false, null)).toBeNull();
});

it('is said again before it would be lost among observations, and not more often (I12)', () => {
  const mesh = new Miniature([{ slots: 1 }]);
  mesh.cordon('a0');
  mesh.settle();
  const agent = mesh.core.fleet.agents.get('a0');
  if (agent === undefined) throw new Error('no agent');
  const said = (): Effect[] => {
    const effects: Effect[] = [];
    const now = { wallMs: 0, monotonicMs: 0 };
    sayCordonsAgain({ state: mesh.core, now, effects }, 200);
    return effects;
  };
  expect(said()).toEqual([]);
  agent.observedSince = 100;
  expect(said()).toMatchObject([{ name: 'agent.cordoned', data: { by: 'u@h', reason: 'loud' } }]);
});

it('is seen by who reads a log whose older starts are gone', () => {
  const log = new RecordLog();
  log.add(subjects.fleet('a1'), 'agent.cordoned', { by: 'u@h', reason: null });
  log.add(subjects.hostEvents('a1'), 'agent.started', goldenMessages['agent.started']);
  const fold = createFleetFold();
  for (const record of log.records) applyToFleet(fold, record);
  expect(fold.agents.get('a1')).toMatchObject({ state: 'ready', cordon: { by: 'u@h' } });
});
