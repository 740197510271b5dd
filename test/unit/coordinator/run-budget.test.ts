/** A run that is over its budget: stopped once, whatever becomes of leaders, and `timed_out`. */
import { describe, expect, it } from 'vitest';
import { Miniature } from './miniature.ts';

const RUN = '2026-02-13_14-30-45-aaaa';
const NEEDS = { slots: 1, cpus: 0, exclusive: false };
const SUITE = { axes: { item: [1, 2, 3, 4, 5, 6, 7, 8] }, needs: NEEDS, runBudgetMs: 5_000 };

/** With some of its tasks begun, and some that wait. */
function begun(suite: Parameters<Miniature['submit']>[1] = SUITE): Miniature {
  const mesh = new Miniature([{ slots: 1 }]);
  mesh.submit(RUN, suite);
  while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand());
  while (mesh.agentReads(0, false));
  while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand());
  expect(mesh.agents[0]?.begun.length).toBeGreaterThan(0);
  return mesh;
}

const stops = (mesh: Miniature): unknown[] =>
  [...mesh.outgoing.map((effect) => ({ name: effect.name, id: effect.id })), ...named(mesh)].filter(
    ({ name }) => name === 'command.stop',
  );

const budgetStops = (mesh: Miniature): number =>
  stops(mesh).filter((stop) => (stop as { id: string }).id === `budget-${RUN}`).length;

const named = (mesh: Miniature): { name: string; id: string }[] =>
  mesh.commands.flatMap((record) =>
    record === null ? [] : [{ name: record.message.name, id: record.message.id }],
  );

const ofRun = <T>(mesh: Miniature, name: string): T[] =>
  mesh.events.flatMap(({ message }) => (message.name === name ? [message.data as T] : []));

describe('the budget of a run', () => {
  it('stops it once when it is over, and nothing before', () => {
    const mesh = begun();
    mesh.later(4_000);
    expect(stops(mesh)).toEqual([]);
    mesh.later(1_000);
    mesh.later(1_000);
    expect(stops(mesh)).toEqual([{ name: 'command.stop', id: `budget-${RUN}` }]);
    mesh.settle();
    const reason = "the run's budget of 5 s was used up";
    expect(ofRun(mesh, 'run.stopping')).toMatchObject([
      { by: 'the coordinator', reason, cause: 'budget' },
    ]);
    expect(ofRun(mesh, 'run.ended')).toEqual([
      { outcome: 'stopped', counts: { timed_out: 8 }, reason },
    ]);
    expect(ofRun(mesh, 'run.tasks_ended')).toMatchObject([{ outcome: 'timed_out', reason }]);
    expect(ofRun(mesh, 'run.stop_closed')).toMatchObject([{ result: 'dead' }]);
    expect(mesh.archived).toEqual([RUN]);
  });

  it('is looked at when it ends, and not with the next tick', () => {
    const mesh = new Miniature([{ slots: 1 }]);
    mesh.submit(RUN, SUITE);
    while (mesh.storeOne(0) || mesh.readEvent());
    const run = mesh.core.runs.get(RUN);
    expect(mesh.wakesAtMs).toBe((run?.startedMs ?? 0) + 5_000);
    mesh.later((mesh.wakesAtMs ?? 0) - mesh.core.nowMs - 2);
    expect(stops(mesh)).toEqual([]);
    mesh.post({ kind: 'wake' });
    expect(stops(mesh)).toHaveLength(1);
  });

  it('counts on under the next leader, who gives no second stop', () => {
    const mesh = begun();
    mesh.later(3_000);
    mesh.lead();
    mesh.later(1_500);
    expect(stops(mesh)).toEqual([]);
    mesh.later(500);
    expect(stops(mesh)).toHaveLength(1);
    while (mesh.storeOne(0));
    mesh.lead();
    mesh.later(10_000);
    expect(stops(mesh)).toHaveLength(1);
    mesh.settle();
    expect(ofRun(mesh, 'run.ended')).toMatchObject([{ counts: { timed_out: 8 } }]);
  });

  it("leaves an operator's stop alone, and a run without a budget", () => {
    const mesh = begun();
    mesh.stop(RUN, null);
    mesh.readCommand();
    mesh.later(9_000);
    mesh.settle();
    expect(ofRun(mesh, 'run.ended')).toMatchObject([
      { outcome: 'stopped', counts: { stopped: 8 }, reason: null },
    ]);
    const { runBudgetMs: _none, ...free } = SUITE;
    const other = begun(free);
    other.later(1e9);
    expect(stops(other)).toEqual([]);
  });

  it('does not count while the whole run is paused, whoever leads', () => {
    const mesh = begun();
    mesh.later(3_000);
    mesh.pause(RUN, null);
    mesh.settle();
    mesh.later(60_000);
    mesh.lead();
    mesh.later(60_000);
    mesh.resume(RUN, null);
    mesh.settle();
    expect(stops(mesh)).toEqual([]);
    expect(ofRun(mesh, 'run.ended')).toMatchObject([{ outcome: 'passed', counts: { passed: 8 } }]);
  });

  it('counts on when a paused run is resumed', () => {
    const mesh = begun();
    mesh.later(3_000);
    mesh.pause(RUN, null);
    while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand());
    mesh.later(60_000);
    mesh.resume(RUN, null);
    while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand());
    mesh.later(1_900);
    expect(stops(mesh)).toHaveLength(1);
    mesh.later(200);
    expect(stops(mesh)).toHaveLength(2);
  });

  it('has what was left of it after a pause that one leader saw begin, and another end', () => {
    const mesh = begun();
    mesh.later(3_000);
    mesh.pause(RUN, null);
    while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand());
    mesh.later(60_000);
    mesh.lead();
    mesh.later(60_000);
    mesh.resume(RUN, null);
    while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand());
    expect(budgetStops(mesh)).toBe(0);
    mesh.later(1_500);
    expect(budgetStops(mesh)).toBe(0);
    mesh.later(500);
    expect(budgetStops(mesh)).toBe(1);
  });

  it('is no longer for a pause before its first start, whoever leads', () => {
    const mesh = new Miniature([{ slots: 1 }]);
    mesh.submit(RUN, SUITE);
    mesh.pause(RUN, null);
    mesh.readCommand();
    while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand());
    expect(mesh.core.runs.get(RUN)?.startedMs).toBeNull();
    mesh.later(60_000);
    mesh.resume(RUN, null);
    while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand());
    mesh.later(3_000);
    mesh.lead();
    mesh.later(1_500);
    expect(budgetStops(mesh)).toBe(0);
    mesh.later(500);
    expect(budgetStops(mesh)).toBe(1);
  });

  it('begins with the first start: waiting for a host costs none of it', () => {
    const mesh = new Miniature([]);
    mesh.submit(RUN, SUITE);
    mesh.settle();
    mesh.later(60_000);
    expect(stops(mesh)).toEqual([]);
  });
});
