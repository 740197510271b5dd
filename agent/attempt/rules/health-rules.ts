/** What a change of an attempt's health does to it. Pure. */
import type { HealthChange } from '../../health/health-policy.ts';
import { graceOf } from './service-rules.ts';
import type { Turn } from './turn.ts';

/**
 * Each change is an event. The first failing rule that says `fail` is the verdict, unless there is one
 * already (I3): the step is then ended as by a stop, and its tree proven dead.
 */
export function onHealth(turn: Turn, changes: readonly HealthChange[]): void {
  const { life, spec, verdict, stop } = turn.state;
  if (life.kind !== 'stepping') return;
  const step = spec.steps[life.index];
  if (step?.step !== 'run') return;
  for (const change of changes)
    turn.emit('attempt.health', { elapsedMs: turn.elapsedMs(), ...change });
  const fatal = changes.find(({ state, then }) => state === 'failing' && then === 'fail');
  if (fatal === undefined || verdict !== null || stop !== null) return;
  turn.keep({
    verdict: {
      outcome: 'failed',
      stage: step.step,
      class: 'health',
      reason: `health ${fatal.rule}: ${fatal.reason}`,
    },
  });
  const { index } = life;
  turn.effect({ kind: 'stop_step', index, graceMs: graceOf(turn.state, index), now: false });
}
