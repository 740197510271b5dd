/**
 * Watches one attempt while its run step runs: observations in, changes out. One timer for what is
 * judged by time and one for each check, none without rules and none between steps (I10). A check is
 * made again a while after it was begun, or when it has answered, whichever is later: of one rule
 * there is never more than one on its way.
 */
import type { CheckSpec } from '#protocol/messages/attempt/check-spec.ts';
import type { CheckRule, HealthSpec, TimedRule } from '#protocol/messages/attempt/health.ts';
import type { Clock, Timer } from '#protocol/runtime/clock.ts';
import type { CheckResult } from '../checks/types.ts';
import {
  observe,
  watchedFrom,
  type HealthChange,
  type HealthObservation,
  type HealthState,
} from './health-policy.ts';

/** Makes one check, as `runCheck`: never rejects. */
export type AskHealth = (
  check: CheckSpec,
  limits: { readonly timeoutMs: number; readonly signal: AbortSignal },
) => Promise<CheckResult>;

export interface HealthWatchOptions {
  /** Undefined: nothing is ever watched. */
  readonly spec: HealthSpec | undefined;
  readonly clock: Clock;
  readonly ask: AskHealth;
  readonly post: (message: {
    readonly kind: 'health';
    readonly changes: readonly HealthChange[];
  }) => void;
  readonly onBug: (error: unknown) => void;
}

export class HealthWatch {
  readonly #options: HealthWatchOptions;
  #state: HealthState | null = null;
  /** By rule; that of the timed rules together is ''. */
  readonly #timers = new Map<string, Timer>();
  /** Ends the checks on their way; null while nothing is watched. */
  #abort: AbortController | null = null;

  constructor(options: HealthWatchOptions) {
    this.#options = options;
  }

  /** The run step runs, or was found running. */
  begin(): void {
    const { spec, clock } = this.#options;
    if (spec === undefined || this.#state !== null) return;
    this.#state = watchedFrom(spec.rules, clock.now().monotonicMs);
    const timed = spec.rules.filter((rule): rule is TimedRule => rule.kind !== 'check');
    if (timed.length > 0) this.#tickIn(Math.min(spec.everyMs, ...timed.map(({ forMs }) => forMs)));
    const checks = spec.rules.filter((rule): rule is CheckRule => rule.kind === 'check');
    if (checks.length === 0) return;
    const { signal } = (this.#abort = new AbortController());
    for (const rule of checks) this.#askIn(rule, spec.everyMs, signal);
  }

  /** It has ended. */
  end(): void {
    this.#abort?.abort();
    this.#abort = null;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
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
  #tickIn(everyMs: number): void {
    const timer = this.#options.clock.after(everyMs, () => {
      this.see({ kind: 'tick' });
      if (this.#state !== null) this.#tickIn(everyMs);
    });
    this.#timers.set('', timer);
  }

  #askIn(rule: CheckRule, waitMs: number, signal: AbortSignal): void {
    const { clock, onBug } = this.#options;
    const timer = clock.after(waitMs, () => {
      void this.#ask(rule, signal).catch(onBug);
    });
    this.#timers.set(rule.id, timer);
  }

  async #ask(rule: CheckRule, signal: AbortSignal): Promise<void> {
    const { spec, clock, ask } = this.#options;
    const startedMs = clock.now().monotonicMs;
    const result = await ask(rule.check, { timeoutMs: rule.timeoutMs, signal });
    // Another step may be watched by now, with an abort of its own.
    if (!this.#isOf(signal) || spec === undefined) return;
    this.see({ kind: 'checked', rule: rule.id, result });
    const tookMs = clock.now().monotonicMs - startedMs;
    if (this.#isOf(signal)) this.#askIn(rule, Math.max(0, spec.everyMs - tookMs), signal);
  }

  /** What it belongs to is watched still. */
  #isOf(signal: AbortSignal): boolean {
    return this.#abort?.signal === signal;
  }
}
