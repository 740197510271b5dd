/** `retries`: how often, how soon and with what needs a failed task is tried again, by class of failure. */
import { z } from 'zod';
import { FailureClass } from '../messages/attempt/outcome.ts';
import type { RetryRule, SuiteSpec } from '../messages/run/suite-spec.ts';
import { RaiseForms, raisesOf } from './raise-form.ts';
import { someDuration } from './form-parts.ts';
import { parseDuration } from './units.ts';

/** What an agent gives back and what was paused is always tried again: nothing to be set. */
const RetriedClass = FailureClass.exclude(['drained', 'paused', 'gang']);

const retryLimit = z.number().int().nonnegative().max(100);

const DEFAULT_FACTOR = 2;
const DEFAULT_MAX_MS = 3_600_000;
const DEFAULT_JITTER = 0.1;

const RetryForm = z
  .strictObject({
    most: retryLimit.meta({ description: 'Further attempts after failures of this class' }),
    backoff: someDuration
      .optional()
      .meta({ description: 'Wait before the first of them; default: none' }),
    factor: z
      .number()
      .min(1)
      .max(100)
      .optional()
      .meta({ description: 'Each further wait is so many times the one before; default 2' }),
    max: someDuration.optional().meta({ description: 'The longest wait; default 1h' }),
    jitter: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .meta({ description: 'Share by which a wait may be longer, by task; default 0.1' }),
    ...RaiseForms,
  })
  .superRefine((rule, context) => {
    if (rule.backoff !== undefined) return;
    for (const key of ['factor', 'max', 'jitter'] as const)
      if (rule[key] !== undefined)
        context.addIssue({
          code: 'custom',
          path: [key],
          message: 'belongs to backoff: give backoff too, or remove it',
        });
  })
  .meta({ id: 'retry' });

export const RetriesForm = z.union([
  retryLimit,
  z.partialRecord(RetriedClass, z.union([RetryForm, retryLimit])),
]);
export type RetriesForm = z.infer<typeof RetriesForm>;

/** A bare number counts for what may be different the next time; a wrong preflight or result is not. */
const BY_NUMBER = ['exit', 'signal', 'timeout', 'lost', 'oom', 'partition'] as const;

export function retriesOf(
  form: RetriesForm | undefined,
): Pick<SuiteSpec, 'retries' | 'retryRules' | 'retryRaises'> {
  if (form === undefined) return { retries: {} };
  if (typeof form === 'number')
    return { retries: Object.fromEntries(BY_NUMBER.map((name) => [name, form])) };
  const retries: SuiteSpec['retries'] = {};
  const retryRules: NonNullable<SuiteSpec['retryRules']> = {};
  const retryRaises: NonNullable<SuiteSpec['retryRaises']> = {};
  for (const name of RetriedClass.options) {
    const written = form[name];
    if (written === undefined) continue;
    retries[name] = typeof written === 'number' ? written : written.most;
    const rule = typeof written === 'number' ? null : ruleOf(written);
    if (rule !== null) retryRules[name] = rule;
    const { memory, vram, cpus, slots } = typeof written === 'number' ? {} : written;
    const raises = raisesOf({ memory, vram, cpus, slots });
    if (raises !== null) retryRaises[name] = raises;
  }
  return {
    retries,
    ...(Object.keys(retryRules).length === 0 ? {} : { retryRules }),
    ...(Object.keys(retryRaises).length === 0 ? {} : { retryRaises }),
  };
}

function ruleOf(form: z.infer<typeof RetryForm>): RetryRule | null {
  const backoffMs = parseDuration(form.backoff ?? '');
  if (backoffMs === null) return null;
  return {
    backoffMs,
    factor: form.factor ?? DEFAULT_FACTOR,
    maxMs: parseDuration(form.max ?? '') ?? DEFAULT_MAX_MS,
    jitter: form.jitter ?? DEFAULT_JITTER,
  };
}
