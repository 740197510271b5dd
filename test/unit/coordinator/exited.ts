/** The end of an attempt, as its agent tells it. */
import type { AttemptExited } from '#protocol/messages/attempt/attempt.ts';

export const exited = (outcome: AttemptExited['outcome']): AttemptExited => ({
  elapsedMs: 5,
  outcome,
  stage: outcome === 'failed' ? 'run' : null,
  class: outcome === 'failed' ? 'exit' : null,
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

export type EndKind = 'paused' | 'drained' | false;

/** As a pause ends it, or as it is given back before it had its slots. */
export function endOf(outcome: AttemptExited['outcome'], kind: EndKind): AttemptExited {
  const end = exited(outcome);
  if (kind === false) return end;
  return { ...end, class: kind, ...(kind === 'drained' ? { elapsedMs: 0 } : {}) };
}
