/**
 * A rank of a gang that is started in steps (protocol/messages/attempt/ramp.ts). Pure, as attempt-reducer.ts.
 *
 *   go (stage k) -> begins, if it waits -> window of the stage -> measured -> go (stage k + 1) ... -> go (over)
 *
 * 1. A stage is a time of this host's clock: from the common start, which costs a wrong clock no more than
 *    the go says, for as long as the go says.
 * 2. A stage is told once: at its end, or with the end of the run where that comes before.
 * 3. `over` ends the run as it should: its step has done what it was to do, whatever its status says. Who has
 *    not begun leaves the run out, and has nothing to measure.
 */
import { RAMP_STEP } from '#protocol/messages/attempt/ramp.ts';
import type { StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { StepOutcome } from '../../process/types.ts';
import type { AttemptMessage, AttemptState } from '../attempt-state.ts';
import type { Go } from '../go.ts';
import { graceOf } from './service-rules.ts';
import type { Turn } from './turn.ts';

type Of<K extends AttemptMessage['kind']> = Extract<AttemptMessage, { kind: K }>;

/** From the go on; of a stage that is known it changes nothing. */
export function openStage(turn: Turn, { startMs, withinMs, stage }: Go): void {
  const known = turn.state.ramp?.stage ?? 0;
  if (stage === undefined || stage.number <= known) return;
  const { wallMs } = turn.now;
  const fromMs = wallMs + Math.max(0, Math.min(startMs - wallMs, withinMs));
  const toMs = fromMs + stage.measureMs;
  turn.keep({ ramp: { stage: stage.number, fromMs, toMs, isTold: false } });
  watchStage(turn);
}

/** Also by an agent that comes back. */
export function watchStage(turn: Turn): void {
  const { ramp } = turn.state;
  if (ramp === undefined || ramp.isTold) return;
  const forMs = Math.max(
    0,
    Math.min(ramp.toMs - turn.now.wallMs, ramp.toMs - ramp.fromMs + MOST_WAIT_MS),
  );
  turn.effect({ kind: 'stage', stage: ramp, forMs });
}

/** Of a clock that was set back. */
const MOST_WAIT_MS = 1_000;

/** True where the run is left out: the steps are over. */
export function onRampOver(turn: Turn): boolean {
  const { life } = turn.state;
  if (life.kind !== 'barrier' && life.kind !== 'stepping') return false;
  turn.keep({ isRampOver: true });
  if (life.kind === 'barrier') return true;
  const { index } = life;
  turn.effect({ kind: 'stop_step', index, graceMs: graceOf(turn.state, index), now: false });
  return false;
}

export function onStageMeasured(turn: Turn, message: Of<'stage_measured'>): void {
  const { life, spec, ramp } = turn.state;
  const { stage, isWhole, metrics, requests } = message;
  if (life.kind !== 'stepping' || spec.steps[life.index]?.step !== RAMP_STEP) return;
  if (ramp?.stage !== stage || ramp.isTold) return;
  turn.keep({ ramp: { ...ramp, isTold: true } });
  turn.emit('attempt.stage_measured', {
    ...{ elapsedMs: turn.elapsedMs(), stage, isWhole },
    ...{ metrics: [...metrics], requests },
  });
}

/** The step is the run of a ramp that is over, also where it is about to begin. */
export function endsWithRamp(
  { isRampOver }: Pick<AttemptState, 'isRampOver'>,
  step: StepSpec['step'] | null | undefined,
): boolean {
  return isRampOver === true && step === RAMP_STEP;
}

/** The run was ended because the ramp is over, and nothing else is wrong with its end. */
export function isEndOfRamp(
  state: Pick<AttemptState, 'isRampOver'>,
  { step }: StepSpec,
  { end, deadline }: StepOutcome,
): boolean {
  if (!endsWithRamp(state, step) || deadline) return false;
  return end.kind === 'exited' || end.kind === 'signaled';
}
