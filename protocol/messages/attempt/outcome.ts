/** States, outcomes and failure classes: the words of docs/states.md. */
import { z } from 'zod';
import { StepName } from './attempt-spec.ts';
import { RankOperator } from './gang.ts';
import { MetricSeries } from './report.ts';

export const RunState = z.enum(['submitted', 'running', 'paused', 'stopping', 'ended']);
export type RunState = z.infer<typeof RunState>;

/** Of a run: passed when every task passed (or was skipped), stopped when a stop ended it. */
export const RunOutcome = z.enum(['passed', 'failed', 'stopped']);
export type RunOutcome = z.infer<typeof RunOutcome>;

export const TaskState = z.enum(['pending', 'assigned', 'running', 'ended']);
export type TaskState = z.infer<typeof TaskState>;

export const TASK_OUTCOMES = [
  'passed',
  'failed',
  'timed_out',
  'stopped',
  'skipped',
  'lost',
  'quarantined',
] as const;
export const TaskOutcome = z.enum(TASK_OUTCOMES);
export type TaskOutcome = z.infer<typeof TaskOutcome>;

export const AttemptOutcome = z.enum([
  'passed',
  'failed',
  'timed_out',
  'stopped',
  'skipped',
  'lost',
]);
export type AttemptOutcome = z.infer<typeof AttemptOutcome>;

/** Where something failed. */
export const Stage = z.enum(['provision', ...StepName.options]);
export type Stage = z.infer<typeof Stage>;

/**
 * Why something failed, as retries are counted. `drained` and `paused` are no failures: the agent gave
 * the attempt back, or somebody paused it, so another one always follows and none is counted. Nor is `gang`:
 * that rank was ended because another had ended, which decides.
 */
export const FailureClass = z.enum([
  'exit',
  'signal',
  'oom',
  'timeout',
  'lost',
  'preflight',
  'exec',
  'result',
  'disk',
  'health',
  'partition',
  'drained',
  'paused',
  'gang',
]);
export type FailureClass = z.infer<typeof FailureClass>;

/** How the end of a process tree was established: the rung of the ladder (I5). */
export const Proof = z.enum(['cgroup', 'subreaper', 'scan']);
export type Proof = z.infer<typeof Proof>;

/** One measurement. */
export const Metric = z.object({
  name: z.string(),
  value: z.number(),
  unit: z.string(),
  direction: z.enum(['higher', 'lower', 'none']),
  /** Of one that the benchmark reported more than once; of a gang over the samples of all its ranks. */
  series: MetricSeries.optional(),
  /** How values of ranks become that of their gang; absent where the suite does not say. */
  across: RankOperator.optional(),
  /** Of a gang: how many of its ranks have it. */
  ranks: z.number().int().positive().optional(),
});
export type Metric = z.infer<typeof Metric>;
