/** Has an attempt's processes measured while its steps run, and puts what was measured into its end. */
import { attemptKey } from '#protocol/messages/ids.ts';
import type { StepEvents } from '../process/types.ts';
import type { MeasuredAttempt, Telemetry } from '../telemetry/telemetry.ts';
import type { AttemptDeps } from './attempt-deps.ts';
import type { AttemptEvent, AttemptState } from './attempt-state.ts';

export class AttemptMeter {
  readonly #telemetry: Telemetry;
  readonly #attempt: MeasuredAttempt;
  readonly #key: string;
  /** Of the attempt, now. */
  readonly elapsedMs: () => number;

  constructor(
    { telemetry, clock }: Pick<AttemptDeps, 'telemetry' | 'clock'>,
    { spec, originMs: firstOriginMs }: AttemptState,
    state: () => AttemptState,
  ) {
    const { run, task, n, needs } = spec;
    this.elapsedMs = () => {
      const { originMs, elapsedMs } = state();
      const sinceMs = originMs === null ? 0 : clock.now().monotonicMs - originMs;
      return Math.max(elapsedMs, Math.round(sinceMs * 1_000) / 1_000);
    };
    this.#telemetry = telemetry;
    this.#key = attemptKey(spec);
    this.#attempt = {
      ref: { run, task, n },
      isExclusive: needs.exclusive,
      gpus: () => state().resources?.gpus ?? [],
      isResumed: firstOriginMs !== null,
      elapsedMs: this.elapsedMs,
    };
  }

  /** The same events, with the step measured from its start to its end. */
  watch(stepDir: string, events: StepEvents): StepEvents {
    return {
      ...events,
      onStarted: (pid) => {
        this.begin(stepDir);
        events.onStarted?.(pid);
      },
      onEnd: (outcome) => {
        const { usage } = outcome;
        const usedMs = usage === null ? null : usage.userMs + usage.systemMs;
        this.#telemetry.end(this.#key, stepDir, usedMs);
        events.onEnd(outcome);
      },
    };
  }

  /** A step that an earlier agent started is running. */
  begin(stepDir: string): void {
    this.#telemetry.begin(this.#attempt, stepDir);
  }

  withSummary(event: AttemptEvent): AttemptEvent {
    if (event.name !== 'attempt.exited') return event;
    const telemetry = this.#telemetry.summary(this.#key);
    this.close();
    return telemetry === null ? event : { ...event, data: { ...event.data, telemetry } };
  }

  close(): void {
    this.#telemetry.forget(this.#key);
  }
}
