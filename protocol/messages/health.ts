/**
 * What must hold while a benchmark's run step runs, and what is said when it does not. A rule that fails
 * warns, or ends the attempt as `failed` with class `health` at the step that ran.
 */
import { z } from 'zod';

const then = z.enum(['warn', 'fail']);
const positiveMs = z.number().positive();

export const HealthRule = z.discriminatedUnion('kind', [
  /** No output, no line of the report for so long. */
  z.object({ kind: z.literal('no_progress'), id: z.string(), forMs: positiveMs, then }),
  /** Every value that was reported for so long is below the floor. */
  z.object({
    kind: z.literal('metric'),
    id: z.string(),
    metric: z.string(),
    below: z.number(),
    forMs: positiveMs,
    /** Only values reported in these phases; null: in all. */
    phases: z.array(z.string()).nullable(),
    then,
  }),
]);
export type HealthRule = z.infer<typeof HealthRule>;

export const HealthSpec = z.object({ everyMs: positiveMs, rules: z.array(HealthRule).min(1) });
export type HealthSpec = z.infer<typeof HealthSpec>;

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
