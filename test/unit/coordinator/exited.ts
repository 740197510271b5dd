/** The end of an attempt, as its agent tells it. */
import type { AttemptExited } from '#protocol/messages/attempt/attempt.ts';

export const exited = (
  outcome: AttemptExited['outcome'],
  failure: AttemptExited['class'] = null,
): AttemptExited => ({
  // Given back before it had its slots.
  elapsedMs: failure === 'drained' ? 0 : 5,
  outcome,
  stage: outcome === 'failed' ? 'run' : null,
  class: outcome === 'failed' ? 'exit' : failure,
  reason: null,
  stop: null,
  steps: [],
  metrics: [],
  logBytes: 0,
  logGaps: [],
  teardownFailure: null,
  proven: true,
  survivors: [],
});
