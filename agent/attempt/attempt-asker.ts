/** What an attempt asks of its host and of its services: its running check, and who is not ready yet. */
import type { StepSpec } from '#protocol/messages/attempt-spec.ts';
import type { CheckContext } from '../checks/types.ts';
import type { AttemptDeps } from './attempt-deps.ts';
import type { AttemptMessage, AttemptState } from './attempt-state.ts';
import { ReadyWatch } from './ready-watch.ts';
import { RunningCheck } from './running-check.ts';

type Deps = Pick<AttemptDeps, 'inheritedEnv' | 'lookAtGpus' | 'clock' | 'onBug'>;

export class AttemptAsker {
  readonly #deps: Deps;
  readonly #context: Omit<CheckContext, 'timeoutMs' | 'signal'>;
  readonly #post: (message: AttemptMessage) => void;
  /** Steps are one after another, so there is one check at most. */
  #check: { readonly index: number; readonly running: RunningCheck } | null = null;
  readonly #watches = new Map<number, ReadyWatch>();

  constructor(deps: Deps, work: string, post: (message: AttemptMessage) => void) {
    const { inheritedEnv: env, lookAtGpus } = deps;
    this.#deps = deps;
    this.#context = { cwd: work, env, lookAtGpus, gpuIds: null };
    this.#post = post;
  }

  check(index: number, step: StepSpec, budgetMs: number | null): void {
    const running = new RunningCheck({
      step,
      budgetMs,
      context: this.#context,
      clock: this.#deps.clock,
      onEnd: (result, durationMs) => {
        this.#check = null;
        this.#post({ kind: 'check_ended', index, result, durationMs });
      },
    });
    this.#check = { index, running };
  }

  stopCheck(index: number): void {
    if (this.#check?.index === index) this.#check.running.stop();
  }

  /** Waits until the step is ready, where it is a service that is not. */
  watch({ life, spec }: AttemptState, index: number, stepDir: string): void {
    const service = spec.steps[index]?.service;
    if (service === undefined || life.kind !== 'stepping' || life.index !== index) return;
    const { clock, onBug } = this.#deps;
    const watch = new ReadyWatch({
      service,
      stepDir,
      context: this.#context,
      clock,
      onReady: (afterMs) => {
        this.#post({ kind: 'service_ready', index, afterMs });
      },
      onUnready: (reason) => {
        this.#post({ kind: 'service_unready', index, reason });
      },
      onBug,
    });
    this.#watches.set(index, watch);
  }

  onOutput(index: number): void {
    this.#watches.get(index)?.onOutput();
  }

  /** The step has ended. */
  forget(index: number): void {
    this.#watches.get(index)?.close();
    this.#watches.delete(index);
  }

  close(): void {
    for (const watch of this.#watches.values()) watch.close();
    this.#check?.running.detach();
  }
}
