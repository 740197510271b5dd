/** Work ahead goes where it begins sooner; what has begun stays, and nothing counts as tried. */
import { expect, it } from 'vitest';
import { runView } from '#protocol/fold/run-view.ts';
import { taskViews } from '#protocol/fold/task-view.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import { Miniature } from './miniature.ts';

const RUN = '2026-02-13_14-30-45-aaaa';
const URGENT = '2026-02-13_14-30-45-bbbb';
const NEEDS = { slots: 1, cpus: 0, exclusive: false };
/** Longer than work ahead is meant to wait. */
const LATE_MS = 300;

/** What is stored is read, by agents too; none of what runs ends. */
function flow(mesh: Miniature): void {
  const reads = (): boolean => mesh.agents.some((_, at) => mesh.agentReads(at, false));
  while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand() || reads());
}

function meshOf(
  slots: readonly number[],
  items: number,
  suite: Partial<SuiteSpec> = {},
): Miniature {
  const mesh = new Miniature(slots.map((each) => ({ slots: each })));
  const axes = { item: Array.from({ length: items }, (_, at) => at) };
  mesh.submit(RUN, { axes, needs: NEEDS, ...suite });
  flow(mesh);
  return mesh;
}

const has = (mesh: Miniature, at: number): string[] => [...(mesh.agents[at]?.live.keys() ?? [])];
const revokes = (mesh: Miniature): string[] =>
  mesh.commands.flatMap((record) =>
    record?.message.name === 'command.revoke' ? [record.message.id] : [],
  );
const said = (mesh: Miniature, name: string): EventRecord[] =>
  mesh.events.filter(({ message }) => message.name === name);

/** All that the agent has ends. */
function ends(mesh: Miniature, at: number): void {
  while (mesh.agentExits(at, 'passed', false));
  flow(mesh);
}

function later(mesh: Miniature): void {
  mesh.later(LATE_MS);
  flow(mesh);
}

it('goes to the agent that has nothing to do, and counts as no attempt', () => {
  const mesh = meshOf([1, 1], 4);
  expect([has(mesh, 0).length, has(mesh, 1).length]).toEqual([2, 2]);
  ends(mesh, 1);
  expect(has(mesh, 1)).toEqual([]); // it has not waited for long enough
  later(mesh);
  expect([has(mesh, 0).length, has(mesh, 1).length]).toEqual([1, 1]);
  expect(said(mesh, 'task.retrying').map(({ message }) => message.data)).toMatchObject([
    { n: 1, class: 'drained', avoid: 'a0' },
  ]);
  expect(revokes(mesh)).toEqual([]); // what asked for it went with the answer
  mesh.settle();
  const { fold } = mesh.core.runs.get(RUN) ?? {};
  if (fold === undefined) throw new Error('no run');
  expect(runView(fold)).toMatchObject({ outcome: 'passed' });
  expect(taskViews(fold).map(({ attempts }) => attempts)).toEqual([1, 1, 1, 1]);
  expect(mesh.problems).toEqual([]);
});

it('stays where it has begun before it is asked for, and is asked for once', () => {
  const mesh = meshOf([1, 1], 4);
  ends(mesh, 1);
  mesh.later(LATE_MS);
  while (mesh.storeOne(0)); // asked for, and not read yet
  mesh.agentExits(0, 'passed', false); // the first ends, the second begins
  flow(mesh);
  expect(said(mesh, 'task.retrying')).toEqual([]);
  expect([has(mesh, 0).length, has(mesh, 1).length]).toEqual([1, 0]);
  for (let round = 0; round < 5; round += 1) later(mesh);
  expect(said(mesh, 'task.retrying')).toEqual([]);
  mesh.settle();
  expect(mesh.core.runs.get(RUN)?.counts).toEqual({ passed: 4 });
});

it('is asked for by no more than a few at a time', () => {
  const mesh = meshOf([8, 8], 32);
  ends(mesh, 1);
  mesh.later(LATE_MS);
  while (mesh.storeOne(0));
  expect(revokes(mesh)).toHaveLength(4);
  flow(mesh);
  expect([has(mesh, 0).length, has(mesh, 1).length]).toEqual([8, 8]);
});

it('goes on under a new leader, which asks again', () => {
  const mesh = meshOf([1, 1], 4);
  ends(mesh, 1);
  mesh.later(LATE_MS);
  while (mesh.storeOne(0));
  mesh.lead();
  later(mesh);
  expect([has(mesh, 0).length, has(mesh, 1).length]).toEqual([1, 1]);
  expect(said(mesh, 'task.retrying')).toHaveLength(1);
  expect(revokes(mesh)).toEqual([]);
});

it('makes room for what has a higher priority', () => {
  const mesh = meshOf([1], 4);
  mesh.submit(URGENT, { axes: { item: [1] }, needs: NEEDS, priority: 5 });
  flow(mesh);
  expect(has(mesh, 0).filter((key) => key.startsWith(URGENT))).toEqual([]);
  later(mesh);
  expect(has(mesh, 0).map((key) => key.split('/')[0])).toEqual([RUN, URGENT]);
  for (let round = 0; round < 5; round += 1) later(mesh);
  expect(said(mesh, 'task.retrying')).toHaveLength(1);
});

it('leaves an agent that is cordoned, where another could run it', () => {
  const mesh = meshOf([1, 1], 4);
  mesh.cordon('a0');
  flow(mesh);
  expect([has(mesh, 0).length, has(mesh, 1).length]).toEqual([1, 2]);
  mesh.settle();
  expect(mesh.core.runs.get(RUN)?.counts).toEqual({ passed: 4 });
});
