/** The suite's `health`: its form, and from there to the wire form. */
import { z } from 'zod';
import type { HealthCheckTemplate, HealthTemplate } from '../messages/attempt/health.ts';
import { checkTemplateOf } from './check-values.ts';
import { ASKED, asked, contains, programKeys } from './command-form.ts';
import { filled, hasOneOf, templatedLimit } from './form-parts.ts';
import { parseDuration } from './units.ts';

const DURATION = 'must be a duration with a unit, more than 0, such as 30s, 1m30s or 2h';
const duration = z
  .string({ error: DURATION })
  .refine((value) => (parseDuration(value) ?? 0) > 0, DURATION);
const then = z
  .enum(['warn', 'fail'])
  .optional()
  .meta({ description: 'warn, or fail (default): ends the attempt' });

const HealthMetric = z.strictObject({
  metric: z.string().min(1).meta({ description: 'Name of a metric that the benchmark reports' }),
  below: z.number().meta({ description: 'The floor' }),
  for: duration.meta({ description: 'How long every value must be below it' }),
  phases: z
    .array(z.string())
    .min(1, 'must name a phase; leave the key out for all')
    .optional()
    .meta({ description: 'Only values reported in these phases' }),
  then,
});

const HealthCheck = z
  .strictObject({
    ...programKeys,
    ...asked,
    contains: contains.optional(),
    timeout: templatedLimit.optional().meta({ description: 'Time limit of one look; default 10s' }),
    failures: z
      .number()
      .int()
      .positive()
      .optional()
      .meta({ description: 'How many in a row count as failing; default 1' }),
    message: filled.optional().meta({ description: 'The line to show when it fails' }),
    then,
  })
  .superRefine(hasOneOf('exec', 'shell', ...ASKED))
  .refine((check) => check.contains === undefined || check.http !== undefined, {
    path: ['contains'],
    error: 'belongs to http only; remove it',
  })
  .meta({ id: 'healthCheck' });

export const HealthForm = z
  .strictObject({
    every: duration.optional().meta({ description: 'How often it is looked at; default 30s' }),
    noProgress: z
      .union([duration, z.strictObject({ for: duration, then })])
      .optional()
      .meta({ description: 'No output and no line of the report for so long' }),
    metrics: z.array(HealthMetric).optional().meta({ description: 'Floors of reported metrics' }),
    checks: z
      .array(HealthCheck)
      .optional()
      .meta({ description: 'Looked at again and again: http, exec, gpu, port, file, disk' }),
  })
  .refine(
    ({ noProgress, metrics = [], checks = [] }) =>
      noProgress !== undefined || metrics.length + checks.length > 0,
    'needs noProgress, metrics or checks: without a rule nothing is watched',
  );
type HealthForm = z.infer<typeof HealthForm>;

const DEFAULT_EVERY_MS = 30_000;

export function healthOf(form: HealthForm): HealthTemplate {
  const { noProgress, metrics = [], checks = [] } = form;
  const limit = typeof noProgress === 'string' ? { for: noProgress } : noProgress;
  const rules: HealthTemplate['rules'] = [
    ...(limit === undefined
      ? []
      : [
          {
            kind: 'no_progress' as const,
            id: 'noProgress',
            forMs: millis(limit.for),
            then: limit.then ?? 'fail',
          },
        ]),
    ...metrics.map((rule, i) => ({
      kind: 'metric' as const,
      id: `metrics[${i}]`,
      metric: rule.metric,
      below: rule.below,
      forMs: millis(rule.for),
      phases: rule.phases ?? null,
      then: rule.then ?? ('fail' as const),
    })),
  ];
  const everyMs = form.every === undefined ? DEFAULT_EVERY_MS : millis(form.every);
  return { everyMs, rules, ...(checks.length === 0 ? {} : { checks: checks.map(checkOf) }) };
}

function checkOf(form: z.infer<typeof HealthCheck>, i: number): HealthCheckTemplate {
  const { exec, shell, timeout } = form;
  const argv = shell === undefined ? exec?.map(String) : ['/bin/sh', '-c', shell];
  return {
    id: `checks[${i}]`,
    failures: form.failures ?? 1,
    message: form.message ?? null,
    then: form.then ?? 'fail',
    ...(argv === undefined ? checkTemplateOf(form) : { argv }),
    ...(timeout === undefined ? {} : { timeout }),
  };
}

/** Of a text that the form has checked. */
function millis(text: string): number {
  return parseDuration(text) ?? 0;
}
