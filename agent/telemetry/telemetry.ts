/** What attempts tell the sampler, and what they have from it. */
import type { AttemptRef } from '#protocol/messages/ids.ts';
import type { AttemptTelemetry, GpuSample } from '#protocol/messages/agent/telemetry.ts';
import type { GpuUsers } from './gpu-feed.ts';
import type { GivenGpu } from './gpu-scope.ts';

export interface MeasuredAttempt {
  readonly ref: AttemptRef;
  /** It has the host to itself. */
  readonly isExclusive: boolean;
  /** GPUs it was given: known from its first step on. */
  readonly gpus: () => readonly GivenGpu[];
  /** An agent process before this one had it. */
  readonly isResumed: boolean;
  /** Of the attempt, as in its events. */
  readonly elapsedMs: () => number;
}

/** The GPUs when they were last asked. */
export interface GpuView {
  readonly samples: readonly GpuSample[];
  readonly users: GpuUsers | null;
  readonly reason: string | null;
}

export interface Telemetry {
  /** The processes of a step have begun, or were found. */
  begin(attempt: MeasuredAttempt, stepDir: string): void;
  /** They have ended, having used so much CPU time; null where that is not known. */
  end(key: string, stepDir: string, usedMs: number | null): void;
  /** What was measured so far; null for nothing. */
  summary(key: string): AttemptTelemetry | null;
  /** Null while nothing is sampled. */
  gpus(): GpuView | null;
  /** Nothing more is asked of the attempt. */
  forget(key: string): void;
}
