/** What has a higher priority takes the room of what can go on later, of no more than it needs, and once. */
import { expect, it } from 'vitest';
import { explain } from '#coordinator/core/explain/explain.ts';
import type { EventRecord } from '#protocol/fold/record.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import { goldenMessages } from '#test/support/golden-messages.ts';
import { messageOf } from './miniature-messages.ts';
import { Miniature } from './miniature.ts';

const LOW = '2026-02-13_14-30-45-aaaa';
const HIGH = '2026-02-13_14-30-45-bbbb';
const NEEDS = { slots: 1, cpus: 0, exclusive: false };
/** Longer than an attempt has to run before it makes room. */
const RIPE_MS = 10_001;

/** What is stored is read, by agents too; none of what runs ends. */
function flow(mesh: Miniature): void {
  const reads = (): boolean => mesh.agents.some((_, at) => mesh.agentReads(at, false));
  while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand() || reads());
}

/** In steps that are no standstill; agents are heard. */
function later(mesh: Miniature, ms: number): void {
  for (let passed = 0; passed < ms; passed += 2_000) {
    for (const { id } of mesh.agents)
      mesh.post({
        kind: 'heartbeat',
        beat: { ...BEAT, agent: id },
      });
    mesh.later(Math.min(2_000, ms - passed));
    flow(mesh);
  }
}

const BEAT = { instance: 'i', incarnation: 1, running: 0, queued: 0, diskFreeBytes: 1 };

/** So many of the agent's attempts as it has slots have begun. */
function begins(mesh: Miniature): void {
  for (const { id, live, slots } of mesh.agents)
    for (const spec of [...live.values()].slice(0, slots)) {
      const sequence = mesh.events.length + 1;
      mesh.events.push({
        subject: subjects.attemptEvents(id, spec),
        sequence,
        timeMs: sequence * 10,
        message: messageOf(
          'attempt.step_started',
          goldenMessages['attempt.step_started'],
          `s${sequence}`,
        ),
      });
    }
  flow(mesh);
}

function meshOf(slots: readonly number[], low: Partial<SuiteSpec> = {}): Miniature {
  const mesh = new Miniature(slots.map((each) => ({ slots: each })));
  const axes = {
    item: slots.flatMap((each, at) =>
      Array(each)
        .fill(0)
        .map((_, i) => at * 10 + i),
    ),
  };
  mesh.submit(LOW, { axes, needs: NEEDS, checkpoints: ['state'], ...low });
  flow(mesh);
  begins(mesh);
  return mesh;
}

function urgent(mesh: Miniature, suite: Partial<SuiteSpec> = {}): void {
  mesh.submit(HIGH, { axes: { item: [1] }, needs: NEEDS, priority: 5, ...suite });
  flow(mesh);
}

const has = (mesh: Miniature, at: number): string[] =>
  [...(mesh.agents[at]?.live.values() ?? [])].map(
    ({ run, n }) => `${run === LOW ? 'low' : 'high'} ${n}`,
  );
const said = (mesh: Miniature, name: string): EventRecord[] =>
  mesh.events.filter(({ message }) => message.name === name);
const ended = (mesh: Miniature): number => said(mesh, 'run.task_requeued').length;

it('takes its room when that has run for a while, and the other goes on later', () => {
  const mesh = meshOf([1]);
  urgent(mesh);
  expect(has(mesh, 0)).toEqual(['low 1']);
  const high = mesh.core.runs.get(HIGH)?.listed[0]?.id ?? '';
  expect(explain(mesh.core, { run: HIGH, task: high })).toMatchObject({
    reason: { kind: 'waiting', mayPreempt: true },
  });
  later(mesh, RIPE_MS);
  later(mesh, 1_000);
  expect(said(mesh, 'run.task_requeued').map(({ message }) => message.data)).toMatchObject([
    { preemptedBy: { run: HIGH, task: high } },
  ]);
  expect(has(mesh, 0)[0]).toBe('high 1');
  mesh.settle();
  for (const id of [LOW, HIGH]) expect(mesh.core.runs.get(id)?.counts).toEqual({ passed: 1 });
  expect(said(mesh, 'task.retrying').map(({ message }) => message.data)).toMatchObject([
    { n: 1, class: 'paused' },
  ]);
  expect(mesh.problems).toEqual([]);
});

it('ends nothing of the same priority, nothing that cannot go on, nothing that wants not to', () => {
  for (const low of [{ priority: 5 }, { checkpoints: [] }, { preemptible: false }]) {
    const mesh = meshOf([1], low);
    urgent(mesh);
    later(mesh, 2 * RIPE_MS);
    expect(ended(mesh)).toBe(0);
  }
  const mesh = meshOf([1], { checkpoints: [], preemptible: true });
  urgent(mesh);
  later(mesh, 2 * RIPE_MS);
  expect(ended(mesh)).toBe(1);
});

it('ends no more than it needs, and none again while one ends', () => {
  const mesh = meshOf([4, 2]);
  urgent(mesh, { needs: { ...NEEDS, slots: 2 } });
  later(mesh, 3 * RIPE_MS);
  expect(ended(mesh)).toBe(2);
  mesh.settle();
  expect(mesh.core.runs.get(LOW)?.counts).toEqual({ passed: 6 });
});

it('ends each once, whoever leads when', () => {
  const mesh = meshOf([1]);
  urgent(mesh);
  later(mesh, RIPE_MS);
  mesh.lead();
  later(mesh, RIPE_MS);
  mesh.lead();
  later(mesh, 2_000);
  expect(ended(mesh)).toBe(1);
  mesh.settle();
  for (const id of [LOW, HIGH]) expect(mesh.core.runs.get(id)?.counts).toEqual({ passed: 1 });
});
