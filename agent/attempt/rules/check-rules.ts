/** What a check means for its attempt. Pure, as attempt-reducer.ts. */
import type { StepResult } from '#protocol/messages/attempt/attempt.ts';
import type { StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { Proof } from '#protocol/messages/attempt/outcome.ts';
import type { CheckResult } from '../../checks/types.ts';
import type { Verdict } from '../attempt-state.ts';

/** It had no process of its own, or one that ended with it: nothing of it is left. */
export function checkResultOf(
  step: StepSpec,
  { ok }: CheckResult,
  of: { readonly durationMs: number; readonly proof: Proof },
): StepResult {
  return {
    step: step.step,
    id: step.id,
    end: 'exited',
    code: ok ? 0 : 1,
    signal: null,
    deadline: false,
    durationMs: of.durationMs,
    userMs: 0,
    systemMs: 0,
    maxRssKiB: 0,
    logBytes: 0,
    proof: of.proof,
    proven: true,
    processes: 0,
    survivors: [],
    check: step.check?.kind ?? 'unknown',
  };
}

/** Null when it passed. */
export function checkVerdictOf(step: StepSpec, result: CheckResult): Verdict | null {
  if (result.ok) return null;
  return {
    outcome: step.onFail === 'skip' ? 'skipped' : 'failed',
    stage: step.step,
    class: 'preflight',
    reason: step.message ?? result.reason,
  };
}
