/**
 * What follows when the current attempt of a task has ended: another attempt, or the task's end.
 * Pure. A deliberate stop never leads to a retry and is never counted. What a draining agent gave back,
 * begun or not, and what was paused is tried again however often, and never counted either. A further attempt
 * that would need more than any host could give is not made.
 */
import type { AttemptExited } from '#protocol/messages/attempt/attempt.ts';
import type { FailureClass } from '#protocol/messages/attempt/outcome.ts';
import type { MessageData } from '#protocol/messages/catalog.ts';
import type { TaskEnded } from '#protocol/messages/run/run.ts';
import type { RetryRule, SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { unplaceableText } from '#protocol/messages/agent/fit.ts';
import type { Raises } from '#protocol/messages/run/raise.ts';
import type { RaisedTo } from '#protocol/suite/raised-needs.ts';
import { backoffMs } from './backoff-policy.ts';

/** Of `attempt.exited`, what the decision needs. */
export type AttemptEnd = Pick<AttemptExited, 'outcome' | 'stage' | 'class' | 'reason'>;

export type Decision =
  | { readonly kind: 'retry'; readonly data: MessageData<'task.retrying'> }
  | { readonly kind: 'end'; readonly data: TaskEnded };

export interface DecisionInput {
  readonly n: number;
  readonly end: AttemptEnd;
  readonly retries: SuiteSpec['retries'];
  /** Classes not named are tried again at once. */
  readonly retryRules?: SuiteSpec['retryRules'];
  /** What further attempts need more, by the class of the failure before them; and what comes of it. */
  readonly retryRaises?: SuiteSpec['retryRaises'];
  readonly raise?: (raises: Raises) => RaisedTo;
  /** Id of the task: what its waits differ by from those of others. */
  readonly task?: string;
  /** Further attempts the task has had, by the class of the failure before them. */
  readonly used: Partial<Record<FailureClass, number>>;
  /** A stop of the task or its run has been read. */
  readonly stopped: boolean;
  /** A pause or a requeue of them has been read, whether they were resumed since or not. */
  readonly wasPaused: boolean;
}

/**
 * An agent may know of a pause before the coordinator has read it, and gives back what comes meanwhile:
 * a moment. A pause that the server has lost, or that came before its run was known, is never read: this often,
 * with growing waits of less than a minute together, then the task ends.
 */
const UNKNOWN_PAUSE_MOST = 16;
const UNKNOWN_PAUSE: RetryRule = { backoffMs: 20, factor: 2, maxMs: 4_000, jitter: 0.5 };

export function decide(input: DecisionInput): Decision {
  const { n, end, retries, used, stopped } = input;
  const failure = classOf(end, input.wasPaused && !stopped);
  if (failure === 'drained' || failure === 'paused') return decideGivenBack(input, failure);
  if (failure !== null && !stopped && (used[failure] ?? 0) < (retries[failure] ?? 0)) {
    const raises = input.retryRaises?.[failure];
    const raised = raises === undefined ? undefined : input.raise?.(raises);
    if (raised?.kind === 'unplaceable') {
      const why = unplaceableText({ tasks: 1, ...raised.nearest });
      const reason = `${end.reason ?? failure}; not tried again, it would be unplaceable: ${why}`;
      const { outcome, stage } = end;
      return { kind: 'end', data: { outcome, n, stage, class: failure, reason } };
    }
    const needs = raised?.kind === 'raised' ? { needs: raised.needs } : {};
    const data = { n, class: failure, reason: end.reason, ...needs };
    const rule = input.retryRules?.[failure];
    if (rule === undefined) return { kind: 'retry', data };
    const delayMs = backoffMs(rule, used[failure] ?? 0, `${input.task ?? ''}#${n}`);
    return { kind: 'retry', data: { ...data, delayMs } };
  }
  return {
    kind: 'end',
    data: { outcome: end.outcome, n, stage: end.stage, class: failure, reason: end.reason },
  };
}

/** Nothing of it runs any more, nobody meant it to end: unless a stop has been read since. */
function decideGivenBack(
  { n, end, used, stopped, wasPaused, task = '' }: DecisionInput,
  failure: 'drained' | 'paused',
): Decision {
  const { reason } = end;
  const isLost = failure === 'paused' && !wasPaused && (used.paused ?? 0) >= UNKNOWN_PAUSE_MOST;
  if (stopped || isLost)
    return { kind: 'end', data: { outcome: 'stopped', n, stage: null, class: null, reason } };
  const data = { n, class: failure, reason };
  if (failure !== 'paused' || wasPaused) return { kind: 'retry', data };
  const delayMs = backoffMs(UNKNOWN_PAUSE, used.paused ?? 0, `${task}#${n}`);
  return { kind: 'retry', data: { ...data, delayMs } };
}

/**
 * The class a retry is counted under; null for what is no failure. An agent that knows no pauses calls
 * what it ended for one stopped.
 */
function classOf(end: AttemptEnd, mayBePaused: boolean): FailureClass | null {
  switch (end.outcome) {
    case 'failed':
      return end.class;
    case 'timed_out':
      return end.class ?? 'timeout';
    case 'lost':
      return end.class ?? 'lost';
    case 'skipped':
      return end.class === 'drained' ? 'drained' : null;
    case 'stopped':
      if (end.class === 'drained' || end.class === 'paused') return end.class;
      return mayBePaused ? 'paused' : null;
    case 'passed':
      return null;
  }
}
