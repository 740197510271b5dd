/**
 * The step that prepares the host, where an attempt has one: made by one attempt of the run for all that
 * follow, so it counts neither for the attempt's budget nor for its clean-up. Pure.
 */
import {
  HOST_SETUP_STEP,
  type AttemptSpec,
  type StepSpec,
} from '#protocol/messages/attempt/attempt-spec.ts';
import type { StepResult } from '#protocol/messages/attempt/attempt.ts';
import type { AttemptState, Verdict } from '../attempt-state.ts';
import type { Turn } from './turn.ts';

/** Names what is prepared, on this host; undefined where the attempt needs nothing. */
export function setupOf({ run, steps }: Pick<AttemptSpec, 'run' | 'steps'>): string | undefined {
  const [first] = steps;
  return first?.hostSetup === undefined ? undefined : `${run}/${first.hostSetup.id}`;
}

/** Where an attempt begins: behind the step, unless it is the one that makes it. */
export function firstStep({ steps }: AttemptSpec, makesSetup: boolean): number {
  return !makesSetup && steps[0]?.hostSetup !== undefined ? 1 : 0;
}

export function isSettingUp({ life, spec }: Pick<AttemptState, 'life' | 'spec'>): boolean {
  return life.kind === 'stepping' && spec.steps[life.index]?.hostSetup !== undefined;
}

/** Whether an attempt has prepared its host, by the results of its steps. */
export function hasSetUp(steps: readonly StepResult[]): boolean {
  const made = steps.find(({ id }) => id === HOST_SETUP_STEP);
  return made?.code === 0 && !made.deadline;
}

/** The step has ended: the host learns what came of it, but not of one that was only stopped. */
export function tellHost(turn: Turn, step: StepSpec, verdict: Verdict | null): void {
  if (step.hostSetup === undefined) return;
  turn.keep({ hostSetupMs: turn.elapsedMs() });
  if (verdict === null) turn.effect({ kind: 'set_up', failure: null });
  else if (turn.state.verdict === verdict) turn.effect({ kind: 'set_up', failure: verdict });
}
