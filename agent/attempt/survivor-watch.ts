/**
 * Learns when the survivors of an attempt's ended steps are gone (I5): from meshrun, which tells; after
 * a scan, and after a restart of the agent, by asking the supervisor for the step again.
 */
import type { Log } from '#protocol/runtime/log.ts';
import type { StepHandle, StepOutcome } from '../process/types.ts';
import { stepDir } from '../state/state-folder.ts';
import type { AttemptDeps } from './attempt-deps.ts';
import { knownStart } from './step-spec.ts';

/** How often survivors that nobody reports on are looked for. */
const LOOK_MS = 5_000;

export interface SurvivorOptions {
  readonly deps: Pick<AttemptDeps, 'supervisor' | 'clock' | 'onBug'>;
  readonly log: Log;
  readonly work: string;
  /** No survivor of the step is left. */
  readonly onGone: (step: string) => void;
}

export class SurvivorWatch {
  readonly #options: SurvivorOptions;
  /** Of ended steps with survivors, by step id. */
  readonly #handles = new Map<string, StepHandle>();
  #isClosed = false;

  constructor(options: SurvivorOptions) {
    this.#options = options;
  }

  /** A step has ended; its handle tells of survivors, if it is there. */
  onEnd(step: string, outcome: StepOutcome, handle: StepHandle | null): void {
    const { survivors, proof } = outcome.gone;
    if (survivors.length === 0) return;
    this.#options.log.warn({ step, survivors }, 'processes cannot be killed: the claim is kept');
    if (proof === 'scan' || handle === null) this.onGone(step, outcome);
    else this.#handles.set(step, handle);
  }

  /** The last that a handle tells of a step with survivors. */
  onGone(step: string, { gone }: StepOutcome): void {
    this.#handles.delete(step);
    if (gone.survivors.length === 0) {
      this.#options.onGone(step);
      return;
    }
    this.#options.deps.clock.after(LOOK_MS, () => {
      this.look(step);
    });
  }

  /** Asks the supervisor. */
  look(step: string): void {
    if (!this.#isClosed) void this.#look(step).catch(this.#options.deps.onBug);
  }

  close(): void {
    this.#isClosed = true;
    for (const handle of this.#handles.values()) handle.detach();
  }

  async #look(step: string): Promise<void> {
    const { deps, work } = this.#options;
    const onGone = (outcome: StepOutcome): void => {
      this.onGone(step, outcome);
    };
    const onEnd = (outcome: StepOutcome): void => {
      const { survivors, proof } = outcome.gone;
      if (survivors.length === 0 || proof === 'scan') onGone(outcome);
    };
    const found = await deps.supervisor.adopt(
      stepDir(work, step),
      { onEnd, onGone },
      knownStart(work, { step, pid: null }),
    );
    if (this.#isClosed) {
      if (found.kind === 'alive') found.handle.detach();
    } else if (found.kind === 'alive') this.#handles.set(step, found.handle);
    else if (found.kind === 'ended') onGone(found.outcome);
    else this.#options.onGone(step);
  }
}
