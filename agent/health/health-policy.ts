/**
 * Whether a benchmark is well, from what was observed of it: pure, a state for each rule.
 *
 *   holding --its condition has lasted--> failing --the condition is over--> holding (recovered)
 *                                            \-- `fail`: said once, and the attempt ends
 *
 * 1. A rule is judged only by what was watched: an agent that comes back begins anew, so nothing is
 *    ended for what happened while nobody looked.
 * 2. No value is no judgement: a metric that is not reported any more is a matter for `no_progress`.
 * 3. The condition of a check lasts as long as its answers are failures, and is counted in them.
 */
import type { CheckRule, HealthRule, TimedRule } from '#protocol/messages/attempt/health.ts';
import type { CheckResult } from '../checks/types.ts';

export type HealthObservation =
  /** Output, or a line of the report. */
  | { readonly kind: 'activity' }
  | {
      readonly kind: 'value';
      readonly metric: string;
      readonly value: number;
      readonly phase: string | null;
    }
  /** A check has answered; `rule` is the id of its rule. */
  | { readonly kind: 'checked'; readonly rule: string; readonly result: CheckResult }
  /** Time has passed. */
  | { readonly kind: 'tick' };

export interface HealthChange {
  readonly rule: string;
  readonly state: 'failing' | 'recovered';
  readonly then: HealthRule['then'];
  readonly reason: string;
}

interface RuleState {
  /** When the condition began; null: it does not hold. Of a check always null. */
  readonly sinceMs: number | null;
  /** Of a check: failures in a row. */
  readonly failures: number;
  readonly isFailing: boolean;
}

export interface HealthState {
  readonly rules: readonly RuleState[];
}

const HOLDING: RuleState = { sinceMs: null, failures: 0, isFailing: false };

export function watchedFrom(rules: readonly HealthRule[], nowMs: number): HealthState {
  return {
    rules: rules.map(({ kind }) =>
      kind === 'no_progress' ? { ...HOLDING, sinceMs: nowMs } : HOLDING,
    ),
  };
}

interface Seen {
  readonly observation: HealthObservation;
  readonly nowMs: number;
}

export function observe(
  rules: readonly HealthRule[],
  state: HealthState,
  seen: Seen,
): readonly [HealthState, readonly HealthChange[]] {
  const changes: HealthChange[] = [];
  const next = rules.map((rule, at): RuleState => {
    const before = state.rules[at] ?? HOLDING;
    const after = rule.kind === 'check' ? checked(rule, before, seen) : timed(rule, before, seen);
    if (after.isFailing !== before.isFailing)
      changes.push(changeOf(rule, after.isFailing, seen.observation));
    return after;
  });
  return [{ rules: next }, changes];
}

function timed(rule: TimedRule, before: RuleState, seen: Seen): RuleState {
  const sinceMs = conditionSince(rule, before, seen);
  const isFailing = sinceMs !== null && seen.nowMs - sinceMs >= rule.forMs;
  const isSame = sinceMs === before.sinceMs && isFailing === before.isFailing;
  return isSame ? before : { ...before, sinceMs, isFailing };
}

function checked(rule: CheckRule, before: RuleState, { observation }: Seen): RuleState {
  if (observation.kind !== 'checked' || observation.rule !== rule.id) return before;
  if (observation.result.ok) return HOLDING;
  const failures = before.failures + 1;
  return { ...before, failures, isFailing: failures >= rule.failures };
}

function conditionSince(
  rule: TimedRule,
  { sinceMs }: RuleState,
  { observation, nowMs }: Seen,
): number | null {
  if (rule.kind === 'no_progress') {
    const isProgress = observation.kind === 'activity' || observation.kind === 'value';
    return isProgress ? nowMs : sinceMs;
  }
  if (observation.kind !== 'value' || observation.metric !== rule.metric) return sinceMs;
  const { phase, value } = observation;
  const counts = rule.phases === null || (phase !== null && rule.phases.includes(phase));
  // In another phase the floor does not apply, and what was seen of this one is over.
  if (!counts || value >= rule.below) return null;
  return sinceMs ?? nowMs;
}

function changeOf(
  rule: HealthRule,
  isFailing: boolean,
  observation: HealthObservation,
): HealthChange {
  const { id, then } = rule;
  return {
    rule: id,
    state: isFailing ? 'failing' : 'recovered',
    then,
    reason: isFailing ? failureOf(rule, observation) : recoveryOf(rule),
  };
}

function failureOf(rule: HealthRule, observation: HealthObservation): string {
  switch (rule.kind) {
    case 'no_progress':
      return `no output and no line of the report for ${rule.forMs / 1_000} s`;
    case 'metric':
      return `${rule.metric} was below ${rule.below} for ${rule.forMs / 1_000} s`;
    case 'check': {
      const said = observation.kind === 'checked' && !observation.result.ok;
      const reason = rule.message ?? (said ? observation.result.reason : 'it failed');
      return rule.failures === 1 ? reason : `${reason} (${rule.failures} times in a row)`;
    }
  }
}

function recoveryOf(rule: HealthRule): string {
  switch (rule.kind) {
    case 'no_progress':
      return 'output or a line of the report came again';
    case 'metric':
      return `${rule.metric} is not below ${rule.below} any more`;
    case 'check':
      return `the ${rule.check.kind} check passes again`;
  }
}
