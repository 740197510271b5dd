/** What attempts tell the sampler, and what they have from it. */
import type { AttemptRef } from '#protocol/messages/ids.ts';
import type { AttemptTelemetry } from '#protocol/messages/telemetry.ts';

export interface MeasuredAttempt {
  readonly ref: AttemptRef;
  /** It has the host to itself. */
  readonly isExclusive: boolean;
  /** An agent process before this one had it. */
  readonly isResumed: boolean;
  /** Of the attempt, as in its events. */
  readonly elapsedMs: () => number;
}

export interface Telemetry {
  /** The processes of a step have begun, or were found. */
  begin(attempt: MeasuredAttempt, stepDir: string): void;
  /** They have ended, having used so much CPU time; null where that is not known. */
  end(key: string, stepDir: string, usedMs: number | null): void;
  /** What was measured so far; null for nothing. */
  summary(key: string): AttemptTelemetry | null;
  /** Nothing more is asked of the attempt. */
  forget(key: string): void;
}
