/**
 * Watches one attempt while its run step runs: observations in, changes out. One timer while there is
 * something to watch, none without rules and none between steps (I10).
 */
import type { HealthSpec } from '#protocol/messages/health.ts';
import type { Clock, Timer } from '#protocol/runtime/clock.ts';
import {
  observe,
  watchedFrom,
  type HealthChange,
  type HealthObservation,
  type HealthState,
} from './health-policy.ts';

export interface HealthWatchOptions {
  /** Undefined: nothing is ever watched. */
  readonly spec: HealthSpec | undefined;
  readonly clock: Clock;
  readonly post: (message: {
    readonly kind: 'health';
    readonly changes: readonly HealthChange[];
  }) => void;
}

export class HealthWatch {
  readonly #options: HealthWatchOptions;
  #state: HealthState | null = null;
  #timer: Timer | null = null;

  constructor(options: HealthWatchOptions) {
    this.#options = options;
  }

  /** The run step runs, or was found running. */
  begin(): void {
    const { spec, clock } = this.#options;
    if (spec === undefined || this.#state !== null) return;
    this.#state = watchedFrom(spec.rules, clock.now().monotonicMs);
    this.#schedule(spec);
  }

  /** It has ended. */
  end(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#state = null;
  }

  see(observation: HealthObservation): void {
    const { spec, clock, post } = this.#options;
    if (spec === undefined || this.#state === null) return;
    const nowMs = clock.now().monotonicMs;
    const [next, changes] = observe(spec.rules, this.#state, { observation, nowMs });
    this.#state = next;
    if (changes.length > 0) post({ kind: 'health', changes });
  }

  /** A rule's own time may be shorter than the interval: it is not to be late by a whole one. */
  #schedule(spec: HealthSpec): void {
    const everyMs = Math.min(spec.everyMs, ...spec.rules.map(({ forMs }) => forMs));
    this.#timer = this.#options.clock.after(everyMs, () => {
      this.see({ kind: 'tick' });
      if (this.#state !== null) this.#schedule(spec);
    });
  }
}
