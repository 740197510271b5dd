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
  PartitionPolicy,
  ReportRules,
  StepName,
} from '../attempt/attempt-spec.ts';
import { GangRules } from '../attempt/gang.ts';
import { HealthTemplate } from '../attempt/health.ts';
import { Needs } from '../attempt/needs.ts';
import { CheckTemplate } from '../attempt/check-spec.ts';
import { LimitsTemplate } from '../attempt/limits.ts';
import { Token } from '../ids.ts';
import { Raises } from './raise.ts';
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
  limits: LimitsTemplate.optional(),
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

/** How soon an attempt follows after failures of one class. */
export const RetryRule = z.object({
  /** Before the first further attempt. */
  backoffMs: z.number().positive(),
  /** Each further wait is so many times the one before, up to `maxMs`. */
  factor: z.number().min(1),
  maxMs: z.number().positive(),
  /** A wait is longer by up to this share of it, by task and attempt; 0 to 1. */
  jitter: z.number().min(0).max(1),
});
export type RetryRule = z.infer<typeof RetryRule>;

/** What becomes of attempts on a host that is lost. Absent: they are tried again after a minute. */
export const LostPolicy = z.object({
  /** Once it has been unreachable for so long; null: they wait for it. */
  requeueAfterMs: z.number().nonnegative().nullable(),
});
export type LostPolicy = z.infer<typeof LostPolicy>;

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
  /** Its attempts may have to make room for a higher priority; absent: where they have checkpoints. */
  preemptible: z.boolean().optional(),
  /** By axis and value: added to the priority of tasks of that value. Absent: nothing is. */
  priorityBy: z.record(z.string(), z.record(z.string(), z.number().int())).optional(),
  order: TaskOrder.optional(),
  env: z.record(z.string(), z.string()),
  steps: z.array(StepTemplate).min(1),
  phases: z.array(z.string()),
  /** Of every task; with `needsTemplate`, what is the same for all. */
  needs: Needs,
  /** As the suite file has them, where something of them differs from task to task. */
  needsTemplate: z.record(z.string(), z.unknown()).optional(),
  /** By name: how many of a lock there are. Mesh-wide: of live runs the smallest number counts. */
  locks: z.record(z.string(), z.number().int().positive()).optional(),
  budgetMs: z.number().positive().nullable(),
  /** Of the whole run, from its first start; absent: none. */
  runBudgetMs: z.number().positive().optional(),
  /** What becomes of what runs when that is used up; absent: `stop`. */
  atBudget: z.enum(['stop', 'finish']).optional(),
  /** Every cell is measured again and again until then; cycle k is repeat k. `maxCycles` null: no limit. */
  untilBudget: z.object({ maxCycles: z.number().int().positive().nullable() }).optional(),
  graceMs: z.number().nonnegative(),
  stopSignal: z.string(),
  /** How many further attempts, by the class of the failure; a class not named is not retried. */
  retries: z.partialRecord(FailureClass, z.number().int().nonnegative()),
  /** Of the classes whose retries wait; of the others they follow at once. */
  retryRules: z.partialRecord(FailureClass, RetryRule).optional(),
  /** Of the classes after which a further attempt needs more. */
  retryRaises: z.partialRecord(FailureClass, Raises).optional(),
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
  onLost: LostPolicy.optional(),
  /** A task that as many different agents were lost with is not tried again. Absent: it is. */
  crashLimit: z.number().int().positive().optional(),
  /** For tasks on several hosts. */
  gang: GangRules.optional(),
});
export type SuiteSpec = z.infer<typeof SuiteSpec>;
