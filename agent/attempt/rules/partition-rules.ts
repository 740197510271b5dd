/** What a host that is cut off does to an attempt whose suite does not want it to go on. Pure. */
import type { Stage } from '#protocol/messages/attempt/outcome.ts';
import type { Verdict } from '../attempt-state.ts';
import { exit } from './exit-rules.ts';
import { graceOf } from './service-rules.ts';
import type { Turn } from './turn.ts';

/**
 * What waits never begins; what runs is ended as by a stop, and its tree proven dead. Where another
 * verdict stands, a stop has come, or only the teardown is left, nothing changes (I3).
 */
export function onCutOff(turn: Turn, reason: string): void {
  const { life, spec, verdict, stop } = turn.state;
  if (verdict !== null || stop !== null) return;
  if (life.kind === 'queued') {
    turn.keep({ verdict: verdictOf('provision', reason) });
    exit(turn, { logGaps: [] });
    return;
  }
  if (life.kind !== 'stepping') return;
  const step = spec.steps[life.index];
  if (step === undefined || step.step === 'teardown') return;
  turn.keep({ verdict: verdictOf(step.step, reason) });
  const { index } = life;
  turn.effect({ kind: 'stop_step', index, graceMs: graceOf(turn.state, index), now: false });
}

function verdictOf(stage: Stage, reason: string): Verdict {
  return { outcome: 'failed', stage, class: 'partition', reason };
}
