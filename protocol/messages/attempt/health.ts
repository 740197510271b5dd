/**
 * What must hold while a benchmark's run step runs, and what is said when it does not. A rule that fails
 * warns, or ends the attempt as `failed` with class `health` at the step that ran.
 */
import { z } from 'zod';
import { CheckSpec, CheckTemplate } from './check-spec.ts';

const then = z.enum(['warn', 'fail']);
const positiveMs = z.number().positive();

/** No output, no line of the report for so long. */
const noProgress = z.object({
  kind: z.literal('no_progress'),
  id: z.string(),
  forMs: positiveMs,
  then,
});

/** Every value that was reported for so long is below the floor. */
const floor = z.object({
  kind: z.literal('metric'),
  id: z.string(),
  metric: z.string(),
  below: z.number(),
  forMs: positiveMs,
  /** Only values reported in these phases; null: in all. */
  phases: z.array(z.string()).nullable(),
  then,
});

const checkKeys = {
  id: z.string(),
  /** So many in a row count as failing. */
  failures: z.number().int().positive(),
  /** Shown instead of what the check says. */
  message: z.string().nullable(),
  then,
};

export const HealthRule = z.discriminatedUnion('kind', [
  noProgress,
  floor,
  /** Made every `everyMs`; it has failed when it takes longer than its limit. */
  z.object({ kind: z.literal('check'), check: CheckSpec, timeoutMs: positiveMs, ...checkKeys }),
]);
export type HealthRule = z.infer<typeof HealthRule>;
export type CheckRule = Extract<HealthRule, { kind: 'check' }>;
/** Judged by time, not by an answer. */
export type TimedRule = Exclude<HealthRule, CheckRule>;

export const HealthSpec = z.object({ everyMs: positiveMs, rules: z.array(HealthRule).min(1) });
export type HealthSpec = z.infer<typeof HealthSpec>;

/** A check as written: every text may hold `{{axis}}`. */
export const HealthCheckTemplate = z.object({
  ...checkKeys,
  /** Absent: a program, which is then in `argv`. */
  check: CheckTemplate.optional(),
  argv: z.array(z.string()).min(1).optional(),
  timeout: z.string().optional(),
});
export type HealthCheckTemplate = z.infer<typeof HealthCheckTemplate>;

/** In a suite. */
export const HealthTemplate = z.object({
  everyMs: positiveMs,
  rules: z.array(z.discriminatedUnion('kind', [noProgress, floor])),
  checks: z.array(HealthCheckTemplate).optional(),
});
export type HealthTemplate = z.infer<typeof HealthTemplate>;

/** A rule fails, or holds again. */
export const AttemptHealth = z.object({
  elapsedMs: z.number().nonnegative(),
  rule: z.string(),
  state: z.enum(['failing', 'recovered']),
  then,
  /** One line for people. */
  reason: z.string(),
});
export type AttemptHealth = z.infer<typeof AttemptHealth>;
