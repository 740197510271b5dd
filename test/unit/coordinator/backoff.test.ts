/** Retries that wait: how long, and that they wait whatever becomes of leaders. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { explain } from '#coordinator/core/explain/explain.ts';
import { backoffMs } from '#coordinator/runs/backoff-policy.ts';
import { applyToRun, createRunFold } from '#protocol/fold/run-fold.ts';
import { taskViews } from '#protocol/fold/task-view.ts';
import type { RetryRule, SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { Miniature } from './miniature.ts';

const RUN = '2026-02-13_14-30-45-aaaa';
const RULE: RetryRule = { backoffMs: 10_000, factor: 3, maxMs: 60_000, jitter: 0 };
const SUITE: Partial<SuiteSpec> = {
  axes: { item: [1] },
  needs: { slots: 1, cpus: 0, exclusive: false },
  retries: { exit: 3 },
  retryRules: { exit: RULE },
};

function flow(mesh: Miniature): void {
  while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand() || mesh.sayPassed());
  while (mesh.agentReads(0, false));
  while (mesh.storeOne(0) || mesh.readEvent() || mesh.readCommand() || mesh.sayPassed());
}

function begun(suite: Partial<SuiteSpec> = {}): Miniature {
  const mesh = new Miniature([{ slots: 1 }]);
  mesh.submit(RUN, { ...SUITE, ...suite });
  flow(mesh);
  return mesh;
}

function fail(mesh: Miniature): void {
  mesh.agentExits(0, 'failed', false);
  flow(mesh);
}

function later(mesh: Miniature, ms: number): void {
  mesh.later(ms);
  flow(mesh);
}

const starts = (mesh: Miniature): number => mesh.agents[0]?.begun.length ?? 0;

const viewOf = (mesh: Miniature) => {
  const fold = createRunFold(RUN);
  for (const record of mesh.events) applyToRun(fold, record);
  return taskViews(fold)[0];
};

const reasonOf = (mesh: Miniature): unknown => {
  const task = mesh.core.runs.get(RUN)?.listed[0]?.id ?? '';
  const reply = explain(mesh.core, { run: RUN, task });
  return 'reason' in reply ? reply.reason : null;
};

describe('a retry with a back-off', () => {
  it('begins when it is due and not before, each time later', () => {
    const mesh = begun();
    for (const [retry, waitMs] of [10_000, 30_000, 60_000].entries()) {
      fail(mesh);
      expect(reasonOf(mesh)).toMatchObject({ kind: 'backing_off', n: retry + 2 });
      expect(viewOf(mesh)).toMatchObject({ state: 'pending' });
      expect(viewOf(mesh)?.retryAt).toBeDefined();
      later(mesh, waitMs - 1_000);
      expect(starts(mesh)).toBe(retry + 1);
      later(mesh, 1_000);
      expect(starts(mesh)).toBe(retry + 2);
      expect(viewOf(mesh)?.retryAt).toBeUndefined();
    }
    fail(mesh);
    expect(viewOf(mesh)).toMatchObject({ outcome: 'failed', attempts: 4 });
  });

  it('waits on under the next leader, by the clock of the stream', () => {
    const mesh = begun();
    fail(mesh);
    mesh.lead();
    flow(mesh);
    expect(starts(mesh)).toBe(1);
    later(mesh, 9_000);
    expect(starts(mesh)).toBe(1);
    later(mesh, 1_000);
    expect(starts(mesh)).toBe(2);
    mesh.lead();
    later(mesh, 20_000);
    expect(starts(mesh)).toBe(2);
  });

  it('ends with a stop, and waits for a resume as long as its run is paused', () => {
    const stopped = begun();
    fail(stopped);
    stopped.stop(RUN, null);
    stopped.settle();
    expect(viewOf(stopped)).toMatchObject({ outcome: 'stopped', attempts: 1 });
    const paused = begun();
    fail(paused);
    paused.pause(RUN, null);
    flow(paused);
    later(paused, 20_000);
    expect(starts(paused)).toBe(1);
    paused.resume(RUN, null);
    flow(paused);
    expect(starts(paused)).toBe(2);
  });

  it('is not shortened by a resume, and holds up no other task', () => {
    const mesh = begun({ axes: { item: [1, 2, 3, 4] } });
    fail(mesh);
    mesh.pause(RUN, null);
    flow(mesh);
    mesh.resume(RUN, null);
    flow(mesh);
    const first = viewOf(mesh);
    expect(first).toMatchObject({ state: 'pending', attempts: 1 });
    for (let round = 0; round < 8; round += 1) {
      mesh.agentExits(0, 'passed', false);
      flow(mesh);
    }
    expect(mesh.core.runs.get(RUN)?.counts).toEqual({ passed: 3 });
    later(mesh, 10_000);
    expect(viewOf(mesh)).toMatchObject({ state: 'assigned', attempts: 2 });
  });

  it('is for the classes that have a rule', () => {
    const mesh = begun({ retryRules: { oom: RULE } });
    fail(mesh);
    expect(starts(mesh)).toBe(2);
  });
});

describe('the wait', () => {
  const rule = fc.record({
    backoffMs: fc.integer({ min: 1, max: 600_000 }),
    factor: fc.double({ min: 1, max: 100, noNaN: true }),
    maxMs: fc.integer({ min: 1, max: 3_600_000 }),
    jitter: fc.double({ min: 0, max: 1, noNaN: true }),
  });

  it('grows up to its limit, and is longer by no more than the jitter', () => {
    fc.assert(
      fc.property(rule, fc.nat({ max: 100 }), fc.string(), (of, used, salt) => {
        const plain = backoffMs({ ...of, jitter: 0 }, used, salt);
        const wait = backoffMs(of, used, salt);
        expect(plain).toBe(
          Math.max(1, Math.round(Math.min(of.maxMs, of.backoffMs * of.factor ** used))),
        );
        expect(backoffMs({ ...of, jitter: 0 }, used + 1, salt)).toBeGreaterThanOrEqual(plain);
        expect(wait).toBeGreaterThanOrEqual(plain);
        expect(wait).toBeLessThanOrEqual(Math.ceil(plain * (1 + of.jitter)) + 1);
        expect(backoffMs(of, used, salt)).toBe(wait);
      }),
    );
  });

  it('differs between tasks', () => {
    const waits = Array.from({ length: 1_000 }, (_, at) =>
      backoffMs({ backoffMs: 100_000, factor: 2, maxMs: 1e6, jitter: 1 }, 0, `task${at}#1`),
    );
    const tenths = Array.from(
      { length: 10 },
      (_, at) => waits.filter((ms) => Math.floor(ms / 10_000) === 10 + at).length,
    );
    expect(Math.min(...tenths)).toBeGreaterThan(50);
  });
});
