/**
 * What an attempt asks of its host and of its services: its running check, who is not ready yet, and
 * how its run step is.
 */
import type { StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { HealthSpec } from '#protocol/messages/attempt/health.ts';
import type { Timer } from '#protocol/runtime/clock.ts';
import { runCheck } from '../checks/run-check.ts';
import type { CheckContext } from '../checks/types.ts';
import { HealthWatch } from '../health/health-watch.ts';
import type { AttemptPaths } from '../state/state-folder.ts';
import type { AttemptDeps } from './attempt-deps.ts';
import type { AttemptMessage, AttemptState } from './attempt-state.ts';
import { checkEnv } from './child-env.ts';
import { isLoaded, vramUsed } from './loaded-vram.ts';
import { hostSetupOf } from './prepare-step.ts';
import { ReadyWatch } from './ready-watch.ts';
import { RunningCheck } from './running-check.ts';

/** A tool that hangs does not keep the measurement waiting for longer. */
const LOOK_MOST_MS = 5_000;

type Context = Omit<CheckContext, 'timeoutMs' | 'signal'>;

export interface AskerOptions {
  readonly deps: Pick<
    AttemptDeps,
    'inheritedEnv' | 'lookAtGpus' | 'clock' | 'onBug' | 'scratch' | 'stateDir'
  >;
  readonly health: HealthSpec | undefined;
  readonly paths: AttemptPaths;
  readonly state: () => AttemptState;
  /** The one that is in place for the attempt's programs. */
  readonly checkpoint: () => string | null;
  readonly post: (message: AttemptMessage) => void;
}

export class AttemptAsker {
  readonly #options: AskerOptions;
  /** Steps are one after another, so there is one check at most. */
  #check: { readonly index: number; readonly running: RunningCheck } | null = null;
  readonly #watches = new Map<number, ReadyWatch>();
  readonly health: HealthWatch;

  constructor(options: AskerOptions) {
    this.#options = options;
    const { deps, health: spec, post } = options;
    this.health = new HealthWatch({
      spec,
      clock: deps.clock,
      ask: (check, limits) => runCheck(check, { ...this.#healthContext(), ...limits }),
      post,
      onBug: deps.onBug,
    });
  }

  check(index: number, step: StepSpec, budgetMs: number | null): void {
    const { deps, post } = this.#options;
    const running = new RunningCheck({
      step,
      budgetMs,
      context: this.#context(),
      clock: deps.clock,
      onEnd: (result, durationMs) => {
        this.#check = null;
        post({ kind: 'check_ended', index, result, durationMs });
      },
    });
    this.#check = { index, running };
  }

  stopCheck(index: number): void {
    if (this.#check?.index === index) this.#check.running.stop();
  }

  /** Waits until the step is ready, where it is a service that is not. */
  watch(index: number, stepDir: string): void {
    const { deps, state, post } = this.#options;
    const { life, spec } = state();
    const service = spec.steps[index]?.service;
    if (service === undefined || life.kind !== 'stepping' || life.index !== index) return;
    const watch = new ReadyWatch({
      service,
      stepDir,
      context: this.#context(),
      clock: deps.clock,
      onReady: (afterMs) => {
        post({ kind: 'service_ready', index, afterMs });
      },
      onUnready: (reason) => {
        post({ kind: 'service_unready', index, reason });
      },
      onBug: deps.onBug,
    });
    this.#watches.set(index, watch);
  }

  /** What is to be asked before the step may run; null for nothing. Never rejects. */
  beforeStep(step: StepSpec): Promise<void> | null {
    return isLoaded(this.#options.state(), step) ? this.#measureLoaded() : null;
  }

  /** Takes a look at the attempt's GPUs, for a while at most, and tells what they hold. */
  async #measureLoaded(): Promise<void> {
    const { deps, state, post } = this.#options;
    const ids = (state().resources?.gpus ?? []).map(({ id }) => id);
    const look = deps.lookAtGpus().catch(() => null);
    let timer: Timer | null = null;
    const late = new Promise<null>((resolve) => {
      timer = deps.clock.after(LOOK_MOST_MS, () => {
        resolve(null);
      });
    });
    const seen = await Promise.race([look, late]);
    (timer as Timer | null)?.cancel();
    const metric = seen === null ? null : vramUsed(seen, ids);
    if (metric !== null) post({ kind: 'measured', metric });
  }

  onOutput(index: number): void {
    this.health.see({ kind: 'activity' });
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
    this.health.end();
  }

  /** A GPU check of an attempt that holds GPUs is about these. */
  #context(): Context {
    const { deps, paths, state } = this.#options;
    const { gpus = [] } = state().resources ?? {};
    const gpuIds = gpus.length === 0 ? null : gpus.map(({ id }) => id);
    return { cwd: paths.work, env: deps.inheritedEnv, lookAtGpus: deps.lookAtGpus, gpuIds };
  }

  #healthContext(): Context {
    const { deps, paths, state, checkpoint } = this.#options;
    const { life, spec, resources, slots } = state();
    const context = this.#context();
    const step = life.kind === 'stepping' ? spec.steps[life.index] : undefined;
    if (step === undefined) return context;
    const [slot = 0] = slots;
    const env = checkEnv({
      inherited: deps.inheritedEnv,
      spec,
      step,
      paths,
      slot,
      scratch: deps.scratch.make(spec.run, slot),
      hostSetup: hostSetupOf(deps.stateDir, spec),
      resources,
      budgetMs: null,
      checkpoint: checkpoint(),
    });
    return { ...context, env };
  }
}
