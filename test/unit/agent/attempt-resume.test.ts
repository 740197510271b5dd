/** What an agent that came back makes of the attempts in its journal (I8). */
import { describe, expect, test } from 'vitest';
import { updateAttempt } from '#agent/attempt/attempt-reducer.ts';
import type { AttemptState } from '#agent/attempt/attempt-state.ts';
import { Script, specOf } from './attempt-cases.ts';

describe('after a restart', () => {
  const restored = (script: Script): AttemptState => structuredClone(script.state);

  test('the step is asked of the supervisor, never started again', () => {
    const script = new Script(specOf(['run']));
    script.begin();
    const [, effects] = updateAttempt(
      restored(script),
      { kind: 'resume', bootId: 'b' },
      { wallMs: 0, monotonicMs: 5000 },
    );
    expect(effects.map(({ kind }) => kind)).toEqual(['adopt_step']);
  });

  test('one that never ran is started, unless a stop came', () => {
    const script = new Script(specOf(['run']));
    script.begin();
    script.say({ kind: 'step_not_started', index: 0 });
    expect(script.started()).toEqual(['run', 'run']);
    script.stop();
    script.say({ kind: 'step_not_started', index: 0 });
    expect(script.started()).toEqual(['run', 'run']);
    expect(script.state.verdict?.outcome).toBe('stopped');
  });

  test('elapsed never goes back, whatever the clock says', () => {
    const script = new Script(specOf(['run']));
    script.begin();
    script.say({ kind: 'step_started', index: 0, pid: 1 }, 7000);
    const before = script.state.elapsedMs;
    script.say({ kind: 'step_adopted', index: 0, alive: true, pid: 1 }, -5000);
    expect(script.state.elapsedMs).toBe(before);
  });

  test('elapsed goes on after a reboot', () => {
    const script = new Script(specOf(['run']));
    script.begin();
    script.say({ kind: 'step_started', index: 0, pid: 1 }, 7000);
    const before = script.state.elapsedMs;
    const now = { wallMs: 0, monotonicMs: 3 };
    const [rebooted] = updateAttempt(restored(script), { kind: 'resume', bootId: 'other' }, now);
    const [adopted] = updateAttempt(
      rebooted,
      { kind: 'step_adopted', index: 0, alive: false, pid: null },
      { wallMs: 0, monotonicMs: 13 },
    );
    expect(adopted.elapsedMs).toBe(before + 10);
  });
});
