/**
 * A suite after its profile and overrides: what `run.submitted` carries. Templates are still in it;
 * expanding it to tasks is pure (protocol/suite), so 10,000 tasks are this one value.
 */
import { z } from 'zod';
import { CheckpointRules } from '../attempt/checkpoint.ts';
import {
  Axes,
  AxisValueSchema,
  MetricSpec,
  Needs,
  PartitionPolicy,
  ReportRules,
  StepName,
} from '../attempt/attempt-spec.ts';
import { HealthTemplate } from '../attempt/health.ts';
import { CheckTemplate } from '../attempt/check-spec.ts';
import { StepLimits } from '../attempt/limits.ts';
import { Token } from '../ids.ts';
import { FailureClass } from '../attempt/outcome.ts';
import { FileRule } from '../attempt/stored-file.ts';

/** A step as written: strings may hold `{{axis}}`. */
export const StepTemplate = z.object({
  step: StepName,
  id: z.string(),
  argv: z.array(z.string()).min(1),
  env: z.record(z.string(), z.string()),
  cwd: z.string().nullable(),
  stdio: z.enum(['pipe', 'pty']),
  timeoutMs: z.number().positive().nullable(),
  onFail: z.enum(['fail', 'skip']),
  message: z.string().nullable(),
  /** Where it holds `{{axis}}`, and `timeoutMs` is then null. */
  timeout: z.string().optional(),
  grace: z.string().optional(),
  stopSignal: z.string().optional(),
  limits: StepLimits.optional(),
  /** Of the step that prepares a host. Without a key: the command itself, with its environment. */
  hostSetup: z.object({ key: z.string().nullable() }).optional(),
  check: CheckTemplate.optional(),
  ready: CheckTemplate.optional(),
});
export type StepTemplate = z.infer<typeof StepTemplate>;

/** Which of a run's waiting tasks is served first; absent in a suite: as listed. */
export const TaskOrder = z.discriminatedUnion('by', [
  z.object({ by: z.enum(['longest-first', 'failed-first']) }),
  z.object({ by: z.literal('random'), seed: z.number().int() }),
]);
export type TaskOrder = z.infer<typeof TaskOrder>;

export const SuiteSpec = z.object({
  name: z.string(),
  description: z.string().nullable(),
  /** Absolute folder of the suite file on the submitter's host; null when read from stdin. */
  dir: z.string().nullable(),
  profile: z.string().nullable(),
  vars: Axes,
  axes: z.record(z.string(), z.array(AxisValueSchema)),
  include: z.array(Axes),
  exclude: z.array(Axes),
  /** `--only`: a cell stays if each named axis has one of the values. */
  only: z.record(z.string(), z.array(AxisValueSchema)),
  repeats: z.number().int().positive(),
  /** Only these, by id; absent: every task of the matrix. */
  tasks: z.array(Token).optional(),
  seed: z.number().int(),
  /** Higher first. */
  priority: z.number().int(),
  /** By axis and value: added to the priority of tasks of that value. Absent: nothing is. */
  priorityBy: z.record(z.string(), z.record(z.string(), z.number().int())).optional(),
  order: TaskOrder.optional(),
  env: z.record(z.string(), z.string()),
  steps: z.array(StepTemplate).min(1),
  phases: z.array(z.string()),
  needs: Needs,
  budgetMs: z.number().positive().nullable(),
  /** Of the whole run, from its first start; absent: none. */
  runBudgetMs: z.number().positive().optional(),
  graceMs: z.number().nonnegative(),
  stopSignal: z.string(),
  /** How many further attempts, by the class of the failure; a class not named is not retried. */
  retries: z.partialRecord(FailureClass, z.number().int().nonnegative()),
  metrics: z.array(MetricSpec),
  files: z.array(z.string()),
  /** Of those of `files` that have limits or are required; absent where none has. */
  fileRules: z.array(FileRule).optional(),
  checkpoints: z.array(z.string()),
  checkpointRules: CheckpointRules.optional(),
  logLimitBytes: z.number().int().positive(),
  maxParallel: z.number().int().positive().nullable(),
  /** What the agent measures of every attempt stands in tables of results, too; absent: it does not. */
  automatic: z.boolean().optional(),
  report: ReportRules.optional(),
  health: HealthTemplate.optional(),
  onPartition: PartitionPolicy.optional(),
});
export type SuiteSpec = z.infer<typeof SuiteSpec>;
