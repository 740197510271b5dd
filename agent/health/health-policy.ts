/**
 * Whether a benchmark is well, from what was observed of it: pure, a state for each rule.
 *
 *   holding --its condition has lasted--> failing --the condition is over--> holding (recovered)
 *                                            \-- `fail`: said once, and the attempt ends
 *
 * 1. A rule is judged only by time that was watched: an agent that comes back begins anew, so nothing is
 *    ended for what happened while nobody looked.
 * 2. No value is no judgement: a metric that is not reported any more is a matter for `no_progress`.
 */
import type { HealthRule } from '#protocol/messages/health.ts';

export type HealthObservation =
  /** Output, or a line of the report. */
  | { readonly kind: 'activity' }
  | {
      readonly kind: 'value';
      readonly metric: string;
      readonly value: number;
      readonly phase: string | null;
    }
  /** Time has passed. */
  | { readonly kind: 'tick' };

export interface HealthChange {
  readonly rule: string;
  readonly state: 'failing' | 'recovered';
  readonly then: HealthRule['then'];
  readonly reason: string;
}

interface RuleState {
  /** When the condition began; null: it does not hold. */
  readonly sinceMs: number | null;
  readonly isFailing: boolean;
}

export interface HealthState {
  readonly rules: readonly RuleState[];
}

export function watchedFrom(rules: readonly HealthRule[], nowMs: number): HealthState {
  return {
    rules: rules.map(({ kind }) => ({
      sinceMs: kind === 'no_progress' ? nowMs : null,
      isFailing: false,
    })),
  };
}

export function observe(
  rules: readonly HealthRule[],
  state: HealthState,
  { observation, nowMs }: { readonly observation: HealthObservation; readonly nowMs: number },
): readonly [HealthState, readonly HealthChange[]] {
  const changes: HealthChange[] = [];
  const next = rules.map((rule, at): RuleState => {
    const before = state.rules[at] ?? { sinceMs: null, isFailing: false };
    const sinceMs = conditionSince(rule, before, { observation, nowMs });
    const isFailing = sinceMs !== null && nowMs - sinceMs >= rule.forMs;
    if (isFailing !== before.isFailing) changes.push(changeOf(rule, isFailing));
    return sinceMs === before.sinceMs && isFailing === before.isFailing
      ? before
      : { sinceMs, isFailing };
  });
  return [{ rules: next }, changes];
}

function conditionSince(
  rule: HealthRule,
  { sinceMs }: RuleState,
  { observation, nowMs }: { readonly observation: HealthObservation; readonly nowMs: number },
): number | null {
  if (rule.kind === 'no_progress') return observation.kind === 'tick' ? sinceMs : nowMs;
  if (observation.kind !== 'value' || observation.metric !== rule.metric) return sinceMs;
  const { phase, value } = observation;
  const counts = rule.phases === null || (phase !== null && rule.phases.includes(phase));
  // In another phase the floor does not apply, and what was seen of this one is over.
  if (!counts || value >= rule.below) return null;
  return sinceMs ?? nowMs;
}

function changeOf(rule: HealthRule, isFailing: boolean): HealthChange {
  const { id, then } = rule;
  return {
    rule: id,
    state: isFailing ? 'failing' : 'recovered',
    then,
    reason: isFailing ? failureOf(rule) : recoveryOf(rule),
  };
}

function failureOf(rule: HealthRule): string {
  const lasted = `for ${rule.forMs / 1_000} s`;
  return rule.kind === 'no_progress'
    ? `no output and no line of the report ${lasted}`
    : `${rule.metric} was below ${rule.below} ${lasted}`;
}

function recoveryOf(rule: HealthRule): string {
  return rule.kind === 'no_progress'
    ? 'output or a line of the report came again'
    : `${rule.metric} is not below ${rule.below} any more`;
}
