/** What a host that is cut off does to an attempt whose suite does not want it to go on. Pure. */
import type { Stage } from '#protocol/messages/attempt/outcome.ts';
import type { Verdict } from '../attempt-state.ts';
import { exit } from './exit-rules.ts';
import { graceOf } from './service-rules.ts';
import type { Turn } from './turn.ts';

/**
 * What waits never begins; what runs is ended as by a stop, and its tree proven dead. Where another
 * verdict stands, a stop has come, or only the teardown is left, nothing changes (I3). True where it
 * waited between two steps: they are over.
 */
export function onCutOff(turn: Turn, reason: string): boolean {
  const { life, spec, verdict, stop } = turn.state;
  if (verdict !== null || stop !== null) return false;
  if (life.kind === 'queued') {
    turn.keep({ verdict: verdictOf('provision', reason) });
    exit(turn, { logGaps: [] });
    return false;
  }
  if (life.kind !== 'stepping' && life.kind !== 'barrier') return false;
  const step = spec.steps[life.index];
  if (step === undefined || step.step === 'teardown') return false;
  turn.keep({ verdict: verdictOf(step.step, reason) });
  if (life.kind === 'barrier') return true;
  const { index } = life;
  turn.effect({ kind: 'stop_step', index, graceMs: graceOf(turn.state, index), now: false });
  return false;
}

function verdictOf(stage: Stage, reason: string): Verdict {
  return { outcome: 'failed', stage, class: 'partition', reason };
}
