/** `explain RUN` says what is held back, by the reasons that `explain RUN/TASK` gives. */
import { describe, expect, it } from 'vitest';
import { explain } from '#coordinator/core/explain/explain.ts';
import type { RunExplanation } from '#protocol/messages/run/explain.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { Miniature } from './miniature.ts';

const RUN = '2026-02-13_14-30-45-aaaa';

function flow(mesh: Miniature): void {
  const store = (): void => {
    while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand() || mesh.sayPassed());
  };
  store();
  while (mesh.agentReads(0, false));
  store();
}

function meshOf(slots: number, suite: Partial<SuiteSpec> = {}): Miniature {
  const mesh = new Miniature([{ slots }]);
  const needs = { slots: 1, cpus: 0, exclusive: false };
  mesh.submit(RUN, { axes: { item: [1, 2, 3, 4, 5, 6, 7, 8] }, needs, ...suite });
  flow(mesh);
  return mesh;
}

const idOf = (mesh: Miniature, index: number): string =>
  mesh.core.runs.get(RUN)?.listed[index]?.id ?? 'none';

const whyRun = (mesh: Miniature): RunExplanation =>
  explain(mesh.core, { run: RUN }) as RunExplanation;

const whyTask = (mesh: Miniature, task: string): unknown => {
  const why = explain(mesh.core, { run: RUN, task });
  return 'reason' in why ? why.reason : null;
};

describe('a run', () => {
  it('that is paused as a whole says so once, and who did', () => {
    const mesh = meshOf(1);
    mesh.pause(RUN, null);
    flow(mesh);
    const { heldBack, groups, other, handedOut } = whyRun(mesh);
    const paused = { kind: 'paused', by: 'u@h' };
    expect(heldBack).toEqual([{ tasks: 8 - handedOut, reason: paused }]);
    expect([groups, other]).toEqual([[], 0]);
    expect(whyTask(mesh, idOf(mesh, 7))).toEqual(paused);
  });

  it('says which tasks somebody paused by themselves, until they are resumed', () => {
    const mesh = meshOf(1);
    for (const at of [6, 7]) mesh.pause(RUN, idOf(mesh, at));
    flow(mesh);
    const reason = { kind: 'paused', by: 'u@h' };
    expect(whyRun(mesh).heldBack).toEqual([{ tasks: 2, example: idOf(mesh, 6), reason }]);
    expect(whyRun(mesh).other).toBe(0);
    for (const at of [6, 7]) mesh.resume(RUN, idOf(mesh, at));
    flow(mesh);
    expect(whyRun(mesh)).toMatchObject({ heldBack: [], other: 0 });
  });

  it('says which wait for a retry, and which of them is due first', () => {
    const rule = { backoffMs: 10_000, factor: 1, maxMs: 60_000, jitter: 0 };
    const suite = { retries: { exit: 3 }, retryRules: { exit: rule }, axes: { item: [1, 2, 3] } };
    const mesh = meshOf(3, suite);
    mesh.agentExits(0, 'failed', false);
    flow(mesh);
    mesh.later(4_000);
    mesh.agentExits(0, 'failed', false);
    flow(mesh);
    const { heldBack, handedOut, other } = whyRun(mesh);
    expect([handedOut, other]).toEqual([1, 0]);
    const [group, ...others] = heldBack;
    expect(others).toEqual([]);
    expect(group).toMatchObject({ tasks: 2, reason: { kind: 'backing_off', n: 2 } });
    expect(group?.reason).toEqual(whyTask(mesh, group?.example ?? ''));
    const left = group?.reason.kind === 'backing_off' ? group.reason.leftMs : 0;
    expect(left).toBeLessThanOrEqual(6_000);
  });

  it('says what is with agents that are not heard', () => {
    const mesh = meshOf(2, { axes: { item: [1, 2] } });
    expect(whyRun(mesh).heldBack).toEqual([]);
    const agent = mesh.core.fleet.agents.get('a0');
    if (agent === undefined) throw new Error('no agent');
    agent.unreachable = true;
    const { heldBack, handedOut, other } = whyRun(mesh);
    const reason = { kind: 'unknown', agent: 'a0', n: 1 };
    expect(heldBack).toEqual([{ tasks: 2, example: idOf(mesh, 0), reason, agents: ['a0'] }]);
    expect([handedOut, other]).toEqual([2, 0]);
    expect(whyTask(mesh, idOf(mesh, 0))).toEqual(reason);
  });

  it('that is stopped says so, whatever was paused of it', () => {
    const mesh = meshOf(1);
    mesh.pause(RUN, null);
    mesh.readCommand();
    mesh.stop(RUN, null);
    mesh.readCommand();
    const [group, ...others] = whyRun(mesh).heldBack;
    expect(others).toEqual([]);
    expect(group?.reason).toEqual({ kind: 'stopping' });
  });
});
