/** A rank of a gang that is started in steps: when it begins, what it tells of each stage, and how its run ends. */
import { describe, expect, it } from 'vitest';
import { StageReport } from '#agent/report/stage-report.ts';
import type { GangSpec } from '#protocol/messages/attempt/gang.ts';
import { EXITED, Script, specOf, stepOf } from './attempt-cases.ts';

const GANG: GangSpec = {
  rank: 1,
  peers: ['a', 'b'].map((agent) => ({ agent, host: agent, address: '' })),
  port: 29_500,
  barriers: ['run'],
};
const steps = [stepOf('run'), stepOf('collect'), stepOf('teardown')];
const GO = { kind: 'go', barrier: 'run' } as const;
const go = (number: number) =>
  ({ ...GO, startMs: 200, withinMs: 250, stage: { number, measureMs: 5_000 } }) as const;
const OVER = { ...GO, startMs: 0, withinMs: 0, over: { reason: 'all were measured' } } as const;
const measured = (stage: number, isWhole = true) =>
  ({ kind: 'stage_measured', stage, isWhole, metrics: [], requests: null }) as const;
const KILLED = { kind: 'signaled', signal: 'SIGTERM', core: false } as const;

function waiting(): Script {
  const script = new Script(specOf([], { steps, gang: GANG }));
  script.begin();
  expect(script.events().slice(-1)).toEqual(['attempt.ready']);
  return script;
}

function running(): Script {
  const script = waiting();
  script.say(go(2));
  script.say({ kind: 'waited', index: 0 });
  expect(script.started()).toEqual(['run']);
  return script;
}

const stagesIn = (script: Script): unknown[] =>
  script.effects.flatMap((effect) => (effect.kind === 'stage' ? [effect.stage.stage] : []));
const count = (script: Script, name: string): number =>
  script.events().filter((event) => event === name).length;

describe('a rank of a ramp', () => {
  it('begins with its stage, and tells of that one and of each that follows, once', () => {
    const script = running();
    expect(script.state.ramp).toEqual({ stage: 2, fromMs: 200, toMs: 5_200, isTold: false });
    script.say(go(2));
    script.say(measured(1));
    expect(count(script, 'attempt.stage_measured')).toBe(0);
    script.say(measured(2));
    script.say(measured(2));
    expect(count(script, 'attempt.stage_measured')).toBe(1);
    script.say(go(3));
    script.say(measured(3));
    expect(count(script, 'attempt.stage_measured')).toBe(2);
    expect(stagesIn(script)).toEqual([2, 3]);
    expect(script.started()).toEqual(['run']);
  });

  it('ends its run when the ramp is over, whatever its status says, and goes on', () => {
    for (const end of [KILLED, EXITED(1), EXITED(0)]) {
      const script = running();
      script.say(OVER);
      expect(script.effects.at(-1)).toMatchObject({ kind: 'stop_step', index: 0, now: false });
      script.end(end);
      expect(script.started()).toEqual(['run', 'collect']);
      script.end();
      script.end();
      expect(script.state.verdict).toMatchObject({ outcome: 'passed' });
    }
  });

  it('excuses nothing but the run: a failure before, a collect that fails, a time limit', () => {
    const before = running();
    before.end(EXITED(3));
    before.say(OVER);
    expect(before.state.verdict).toMatchObject({ outcome: 'failed', stage: 'run' });

    const after = running();
    after.say(OVER);
    after.end(KILLED);
    after.end(EXITED(2));
    expect(after.state.verdict).toMatchObject({ outcome: 'failed', stage: 'collect' });

    const late = running();
    late.say(OVER);
    late.end(KILLED, { deadline: true });
    expect(late.state.verdict).toMatchObject({ outcome: 'timed_out' });
  });

  it('leaves the run out where it has not joined, and passes with nothing to tear down', () => {
    const script = waiting();
    script.say(OVER);
    expect(script.started()).toEqual([]);
    expect(script.state.verdict).toMatchObject({ outcome: 'passed' });
    expect(script.state.steps).toEqual([]);
    script.say(go(3));
    expect(script.started()).toEqual([]);
  });

  it('comes back to its stage, and to the end of it', () => {
    const script = running();
    script.say({ kind: 'resume', bootId: 'b' });
    expect(stagesIn(script)).toEqual([2, 2]);
    script.say(measured(2));
    script.say({ kind: 'resume', bootId: 'b' });
    expect(stagesIn(script)).toEqual([2, 2]);
    script.say(OVER);
    const { length } = script.effects;
    script.say({ kind: 'step_adopted', index: 0, alive: true, pid: 1 });
    expect(script.effects.slice(length)).toContainEqual(
      expect.objectContaining({ kind: 'stop_step', index: 0 }),
    );
  });

  it('sums up what is read in the time of the stage', () => {
    const spec = { phases: ['warmup', 'measure'], metrics: [], report: { phases: ['measure'] } };
    const stage = new StageReport({ stage: 1, fromMs: 100, toMs: 200 }, { ...spec, gang: GANG }, 1);
    for (const wallMs of [99, 100, 150, 199, 200])
      stage.take(`metric rate ${wallMs}`, { elapsedMs: 0, wallMs });
    stage.take('request 5ms', { elapsedMs: 0, wallMs: 150 });
    const { metrics, requests } = stage.figures();
    expect(metrics.find(({ name }) => name === 'rate')).toMatchObject({
      series: { count: 3, min: 100, max: 199 },
    });
    expect(requests).toMatchObject({ total: 1 });
  });
});
