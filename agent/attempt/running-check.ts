/** A check of an attempt while it runs: the part of a step's handle that an attempt needs. */
import type { StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { Clock } from '#protocol/runtime/clock.ts';
import { toError } from '#protocol/messages/errors.ts';
import { DEFAULT_CHECK_TIMEOUT_MS, runCheck } from '../checks/run-check.ts';
import { failed, type CheckContext, type CheckResult } from '../checks/types.ts';

export interface RunningCheckOptions {
  readonly step: StepSpec;
  /** What is left of the attempt's budget, or the check's own limit. */
  readonly budgetMs: number | null;
  readonly context: Pick<CheckContext, 'cwd' | 'env' | 'lookAtGpus' | 'gpuIds'>;
  readonly clock: Clock;
  readonly onEnd: (result: CheckResult, durationMs: number) => void;
}

export class RunningCheck {
  readonly #abort = new AbortController();
  #isDetached = false;

  constructor({ step, budgetMs, context, clock, onEnd }: RunningCheckOptions) {
    const { check } = step;
    const startedMs = clock.now().monotonicMs;
    const limits = { timeoutMs: budgetMs ?? DEFAULT_CHECK_TIMEOUT_MS, signal: this.#abort.signal };
    const running =
      check === undefined
        ? Promise.resolve(failed(`${step.id} is no check`))
        : runCheck(check, { ...context, ...limits });
    const end = (result: CheckResult): void => {
      if (!this.#isDetached) onEnd(result, clock.now().monotonicMs - startedMs);
    };
    running.then(end, (error: unknown) => {
      end(failed(toError(error).message));
    });
  }

  stop(): void {
    this.#abort.abort();
  }

  /** The agent ends: it is made again by the next one. */
  detach(): void {
    this.#isDetached = true;
    this.#abort.abort();
  }
}
