/** What the end of anything of an attempt leaves in its state: results, and the first verdict (I3). Pure. */
import type { StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { StepOutcome } from '../../process/types.ts';
import type { AttemptState } from '../attempt-state.ts';
import { fence } from './fence-rules.ts';
import { resultOf } from './step-rules.ts';
import type { Turn } from './turn.ts';

/** Its processes are gone: what they came to is kept, for the result and for the stop (I5). */
export function settle(turn: Turn, step: StepSpec, outcome: StepOutcome): void {
  const { stop } = turn.state;
  if (stop !== null) {
    turn.set({
      stop: {
        ...stop,
        processes: stop.processes + outcome.gone.processes,
        signal: outcome.gone.signal ?? stop.signal,
        goneMs: Math.max(stop.goneMs, turn.now.monotonicMs - stop.arrivedMs),
      },
    });
  }
  turn.keep({ steps: [...turn.state.steps, resultOf(step, outcome)] });
  fence(turn, step.id, outcome);
}

/** The first verdict stands (I3). */
export function decide(turn: Turn, verdict: NonNullable<AttemptState['verdict']>): void {
  if (turn.state.verdict === null) turn.keep({ verdict });
}

/** The same for the failure of a step, with the end of its stderr. */
export function decideFailed(
  turn: Turn,
  verdict: NonNullable<AttemptState['verdict']>,
  tail: { readonly step: string; readonly text: string | undefined },
): void {
  const { step, text } = tail;
  if (turn.state.verdict === null && text !== undefined) turn.keep({ stderrTail: { step, text } });
  decide(turn, verdict);
}

export function decideStopped(turn: Turn): void {
  const {
    reason = null,
    by = 'unknown',
    givesBack,
    isPause,
    isRequeue,
    isSuperseded,
    cause,
  } = turn.state.stop ?? {};
  if (isSuperseded === true) {
    decide(turn, { outcome: 'lost', stage: null, class: 'lost', reason });
    return;
  }
  if (cause === 'budget') {
    decide(turn, { outcome: 'timed_out', stage: null, class: 'timeout', reason });
    return;
  }
  if (cause === 'gang') {
    decide(turn, { outcome: 'stopped', stage: null, class: 'gang', reason });
    return;
  }
  const verb = isRequeue === true ? 'requeued' : isPause === true ? 'paused' : 'stopped';
  const what = `${verb} by ${by}`;
  decide(turn, {
    outcome: 'stopped',
    stage: null,
    class: givesBack === true ? 'drained' : isPause === true ? 'paused' : null,
    reason: reason === null ? what : `${what}: ${reason}`,
  });
}
