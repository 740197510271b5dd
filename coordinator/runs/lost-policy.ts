/**
 * What follows when the host of a task's current attempt is lost: another attempt, or the task's end. Pure.
 *
 * Each is counted with the class `lost`. Where `retries` does not name it, a task survives LOST_MOST lost
 * hosts: hosts that are rented by the hour go all the time, but a task that is never done must end.
 */
import type { LostPolicy, SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { backoffMs } from './backoff-policy.ts';
import type { Decision } from './retry-policy.ts';
import type { TaskEntry } from './run-state.ts';

export const REQUEUE_AFTER_MS = 60_000;
/** Further attempts of a task whose suite does not say how many. */
export const LOST_MOST = 5;

/** Null: its attempts wait for their host. */
export function requeueAfterMs({
  onLost,
}: {
  readonly onLost?: LostPolicy | undefined;
}): number | null {
  return onLost === undefined ? REQUEUE_AFTER_MS : onLost.requeueAfterMs;
}

export type LostRules = Pick<SuiteSpec, 'retries' | 'retryRules' | 'crashLimit'>;

/** How many lost hosts a task survives. */
export function lostMost({ retries, crashLimit = 0 }: LostRules): number {
  return retries.lost ?? Math.max(LOST_MOST, crashLimit);
}

/** The same of one rank of a gang, which is to begin anew while the others go on; `lost`: hosts lost, not counted yet. */
export function mayLoseRank(
  rules: LostRules,
  { used, lostWith }: Pick<TaskEntry, 'used' | 'lostWith'>,
  { agent, lost }: { readonly agent: string; readonly lost: number },
): boolean {
  const { crashLimit = Infinity } = rules;
  const agents = new Set([...(lostWith ?? []), agent]);
  return agents.size < crashLimit && (used?.lost ?? 0) + lost < lostMost(rules);
}

export function decideLost(
  rules: LostRules,
  task: Pick<TaskEntry, 'id' | 'n' | 'used' | 'lostWith'>,
  { agent, reason }: { readonly agent: string; readonly reason: string },
): Decision {
  const { n } = task;
  const { crashLimit = Infinity } = rules;
  const lostWith = [...new Set([...(task.lostWith ?? []), agent])];
  const end = { n, stage: null, class: 'lost' as const, without: [agent] };
  if (lostWith.length >= crashLimit) {
    const agents = `${lostWith.length} different agents were lost with it (${lostWith.join(', ')})`;
    return { kind: 'end', data: { ...end, outcome: 'quarantined', reason: agents } };
  }
  const used = task.used?.lost ?? 0;
  if (used >= lostMost(rules)) return { kind: 'end', data: { ...end, outcome: 'lost', reason } };
  const data = { n, class: 'lost' as const, reason, avoid: agent, superseded: true as const };
  const rule = rules.retryRules?.lost;
  if (rule === undefined) return { kind: 'retry', data };
  return { kind: 'retry', data: { ...data, delayMs: backoffMs(rule, used, `${task.id}#${n}`) } };
}
