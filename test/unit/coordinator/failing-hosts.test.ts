/** A host on which one task after the other fails is cordoned, where it is the host and not the suite. */
import { expect, it } from 'vitest';
import { explain } from '#coordinator/core/explain/explain.ts';
import { saysOfHost } from '#coordinator/fleet/failing-policy.ts';
import { packCore, unpackCore } from '#coordinator/snapshot/core-snapshot.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import type { AttemptExited } from '#protocol/messages/attempt/attempt.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { Miniature } from './miniature.ts';

const RUN = '2026-02-13_14-30-45-aaaa';
const ITEMS = Array.from({ length: 60 }, (_, at) => at);
const AFTER = 5;

function meshOf(agents = 2, suite: Partial<SuiteSpec> = {}): Miniature {
  const mesh = new Miniature(Array.from({ length: agents }, () => ({ slots: 1 })));
  const needs = { slots: 1, cpus: 0, exclusive: false };
  mesh.submit(RUN, { axes: { item: ITEMS }, needs, ...suite });
  flow(mesh);
  return mesh;
}

/** What is stored is read, by agents too; none of what runs ends. */
function flow(mesh: Miniature): void {
  const reads = (): boolean => mesh.agents.some((_, at) => mesh.agentReads(at, false));
  while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand() || reads());
}

/** So many of what runs there end, one after the other; agents choose the attempt that is their first. */
function ends(mesh: Miniature, at: number, outcomes: readonly AttemptExited['outcome'][]): void {
  for (const outcome of outcomes) {
    expect(mesh.agentExits(at, outcome, false)).toBe(true);
    flow(mesh);
  }
}

const many = (count: number, outcome: AttemptExited['outcome']): AttemptExited['outcome'][] =>
  Array.from({ length: count }, () => outcome);
const cordons = (mesh: Miniature): EventRecord[] =>
  mesh.events.filter(({ message }) => message.name === 'agent.cordoned');
const begunOn = (mesh: Miniature, at: number): number => mesh.agents[at]?.begun.length ?? 0;

it('is cordoned with the tasks that failed, once, and gets nothing new', () => {
  const mesh = meshOf();
  ends(mesh, 1, many(1, 'failed')); // before the row of the other begins: no witness of it
  ends(mesh, 0, many(AFTER - 1, 'failed'));
  ends(mesh, 1, ['passed']);
  expect(cordons(mesh)).toEqual([]);
  ends(mesh, 0, ['failed']);
  expect(cordons(mesh)).toHaveLength(1);
  const tasks = mesh.core.runs.get(RUN)?.listed.filter(({ phase }) => phase === 'ended') ?? [];
  expect(tasks).toHaveLength(AFTER + 2);
  const data = cordons(mesh)[0]?.message.data as { by: string; reason: string };
  expect(data.by).toBe('coordinator');
  expect(data.reason).toMatch(/^5 different tasks in a row failed there: .*\(exit\).* of run /);
  expect(data.reason).toContain('a1 passed others like them');
  const begun = begunOn(mesh, 0);
  mesh.settle();
  // What it had goes on there.
  expect(begunOn(mesh, 0)).toBe(begun);
  expect(mesh.core.runs.get(RUN)?.counts).toEqual({ failed: AFTER + 1, passed: 60 - AFTER - 1 });
  expect(cordons(mesh)).toHaveLength(1);
});

it('is cordoned with the pass of another that comes later, and the next leader decides nothing anew', () => {
  const mesh = meshOf();
  ends(mesh, 0, many(AFTER + 1, 'failed'));
  expect(cordons(mesh)).toEqual([]);
  expect(explain(mesh.core, { agent: 'a0' })).toMatchObject({
    failing: { cordonAfter: AFTER, others: { passing: [], failing: [] } },
  });
  ends(mesh, 1, ['passed']);
  mesh.later(1_000);
  flow(mesh);
  expect(cordons(mesh)).toHaveLength(1);
  mesh.lead();
  mesh.later(1_000);
  flow(mesh);
  expect(cordons(mesh)).toHaveLength(1);
  const begun = begunOn(mesh, 0);
  mesh.cordon('a0', true);
  flow(mesh);
  expect(begunOn(mesh, 0)).toBeGreaterThanOrEqual(begun);
  ends(mesh, 1, ['passed']);
  mesh.later(1_000);
  flow(mesh);
  // Taken back is forgiven: it takes as many again.
  expect(cordons(mesh)).toHaveLength(1);
  expect(explain(mesh.core, { agent: 'a0' })).not.toHaveProperty('failing');
  ends(mesh, 0, many(AFTER, 'failed'));
  ends(mesh, 1, ['passed']);
  mesh.later(1_000);
  flow(mesh);
  expect(cordons(mesh)).toHaveLength(2);
});

it('a new leader goes on counting where the last has ended, by the events or by a snapshot', () => {
  const mesh = meshOf();
  ends(mesh, 0, many(AFTER - 1, 'failed'));
  mesh.lead();
  const { fleet } = unpackCore(packCore(mesh.core));
  expect(fleet.agents.get('a0')?.failedInARow).toHaveLength(AFTER - 1);
  expect(fleet.agents.get('a0')).toEqual(mesh.core.fleet.agents.get('a0'));
  ends(mesh, 1, ['passed']);
  ends(mesh, 0, ['failed']);
  expect(cordons(mesh)).toHaveLength(1);
});

it('is not to blame where tasks fail elsewhere too, nor alone', () => {
  const everywhere = meshOf(3);
  for (const at of [0, 1]) ends(everywhere, at, many(AFTER, 'failed'));
  ends(everywhere, 2, ['passed']); // one of two says so
  everywhere.later(1_000);
  const alone = meshOf(1);
  ends(alone, 0, many(AFTER, 'failed'));
  for (const mesh of [everywhere, alone]) {
    flow(mesh);
    expect(cordons(mesh)).toEqual([]);
  }
});

it('is not to blame where tasks that fail everywhere came to an end there last', () => {
  const mesh = meshOf(3);
  for (let round = 0; round < AFTER - 1; round += 1)
    for (const at of [0, 1, 2]) ends(mesh, at, ['failed']);
  // Its last one takes longer: the others have gone on to what passes.
  for (const at of [1, 2]) ends(mesh, at, ['failed', ...many(8, 'passed')]);
  ends(mesh, 0, ['failed']);
  mesh.later(1_000);
  flow(mesh);
  expect(cordons(mesh)).toEqual([]);
});

it('is to blame where others fail now and then', () => {
  const mesh = meshOf(3);
  ends(mesh, 0, many(AFTER - 1, 'failed'));
  for (const at of [1, 2]) ends(mesh, at, ['failed', 'passed', 'failed', 'failed', 'passed']);
  ends(mesh, 0, ['failed']);
  expect(cordons(mesh)).toHaveLength(1);
});

it('is not to blame where only it runs what has such needs', () => {
  const needsTemplate = { slots: 1, exclusive: false, host: '{{of}}' };
  const axes = { of: ['a0', 'a1'], item: [1, 2, 3, 4, 5, 6, 7, 8] };
  const mesh = meshOf(2, { axes, needsTemplate });
  for (let round = 0; round < AFTER + 2; round += 1) {
    ends(mesh, 0, ['failed']);
    ends(mesh, 1, ['passed']);
  }
  mesh.later(1_000);
  flow(mesh);
  expect(cordons(mesh)).toEqual([]);
});

it('counts neither what a pass came between, nor the same task again, nor what tells nothing of a host', () => {
  const between = meshOf();
  ends(between, 0, [...many(AFTER - 1, 'failed'), 'passed', ...many(AFTER - 1, 'failed')]);
  const stopped = meshOf();
  ends(stopped, 0, [...many(AFTER - 1, 'failed'), 'skipped', 'lost']);
  const again = meshOf(2, { axes: { item: [1, 2, 3] }, retries: { exit: 20 } });
  for (let round = 0; round < AFTER + 2; round += 1) ends(again, 0, ['failed']);
  for (const mesh of [between, stopped, again]) {
    ends(mesh, 1, ['passed']);
    mesh.later(1_000);
    flow(mesh);
    expect(cordons(mesh)).toEqual([]);
  }
  expect(between.core.fleet.agents.get('a0')?.failedInARow).toHaveLength(AFTER - 1);
  expect(stopped.core.fleet.agents.get('a0')?.failedInARow).toHaveLength(AFTER - 1);
});

it.each([
  ['failed', 'exit', 'failed'],
  ['failed', 'preflight', 'failed'],
  ['timed_out', 'timeout', 'failed'],
  ['failed', 'gang', null],
  ['failed', 'partition', null],
  ['lost', 'lost', null],
  ['stopped', null, null],
  ['skipped', 'preflight', null],
  ['passed', null, 'passed'],
] as const)('an end as %s (%s) says of its host: %s', (outcome, failure, said) => {
  expect(saysOfHost({ outcome, class: failure })).toBe(said);
});
