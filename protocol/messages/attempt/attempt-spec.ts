/**
 * What an agent needs to know to run one attempt: fully expanded, no template left, nothing to look
 * up. It travels in the `start` command, is written to the attempt's `spec.json` and archived.
 */
import { z } from 'zod';
import { CheckSpec, ReadySpec } from './check-spec.ts';
import { CheckpointRules, ResumePoint } from './checkpoint.ts';
import { FileRule } from './stored-file.ts';
import { GangSpec, RankOperator } from './gang.ts';
import { HealthSpec } from './health.ts';
import { RunId, Token } from '../ids.ts';
import { StepLimits } from './limits.ts';
import { Needs } from './needs.ts';
import { SeriesFigure } from './report.ts';

export const AxisValueSchema = z.union([z.string(), z.number(), z.boolean()]);
export const Axes = z.record(z.string(), AxisValueSchema);

/** The steps of an attempt, in the order of their starts; a service goes on until the teardown. */
export const STEPS = [
  'preflight',
  'setup',
  'service',
  'load',
  'run',
  'collect',
  'teardown',
] as const;
export const StepName = z.enum(STEPS);
export type StepName = z.infer<typeof StepName>;

/** The step that prepares a host; the first in the list where there is one. */
export const HOST_SETUP_STEP = 'host-setup';
export const HostSetup = z.object({
  /** Names its folder on the host; the same for the same key. */
  id: Token,
});
export type HostSetup = z.infer<typeof HostSetup>;

export const StepSpec = z.object({
  step: StepName,
  /** Name of the step's folder, unique in the attempt: `run`, `setup-2`. */
  id: Token,
  /**
   * The command as argv; a `shell:` of the suite arrives as `/bin/sh -c ...`. Never empty: with a
   * `check` it names no program, so that an agent which knows no checks fails there.
   */
  argv: z.array(z.string()).min(1),
  env: z.record(z.string(), z.string()),
  /** Absolute, or null for the attempt's own work folder. */
  cwd: z.string().nullable(),
  stdio: z.enum(['pipe', 'pty']),
  /** Time limit of this step alone, ms; null for none. */
  timeoutMs: z.number().positive().nullable(),
  /** For preflight: what a failure means, and the line to show instead of the bare exit status. */
  onFail: z.enum(['fail', 'skip']),
  message: z.string().nullable(),
  /** Of this step; absent: the attempt's. */
  graceMs: z.number().nonnegative().optional(),
  stopSignal: z.string().optional(),
  /** Absent: none. */
  limits: StepLimits.optional(),
  /** For preflight: what the agent itself checks, instead of running a command. */
  check: CheckSpec.optional(),
  /** Made once on a host for all attempts of the run that have the same id, before the first of them. */
  hostSetup: HostSetup.optional(),
  /** For service: when it counts as ready, and the time it has for that. */
  service: z.object({ ready: ReadySpec, readyMs: z.number().positive() }).optional(),
});
export type StepSpec = z.infer<typeof StepSpec>;

/** Where a metric's value is read from, once the run step has ended. */
export const MetricSource = z.discriminatedUnion('kind', [
  /**
   * A regular expression over the lines of a stream. Named groups: `value` (required), `unit` and
   * `name` (override), every match is one measurement.
   */
  z.object({
    kind: z.literal('regex'),
    pattern: z.string(),
    flags: z.string(),
    stream: z.enum(['stdout', 'stderr']),
  }),
  /** A JSON file (relative to the work folder) and a path in it: `results[0].tokens_per_second`. */
  z.object({ kind: z.literal('json_file'), file: z.string(), path: z.string() }),
  /** The last line of stdout that is a JSON value, and a path in it. */
  z.object({ kind: z.literal('json_last_line'), path: z.string() }),
  /** The benchmark's own report: which figure of the samples is the value, in which phases (null: as all). */
  z.object({
    kind: z.literal('report'),
    figure: SeriesFigure,
    phases: z.array(z.string()).nullable(),
  }),
]);
export type MetricSource = z.infer<typeof MetricSource>;

export const MetricSpec = z.object({
  name: z.string(),
  unit: z.string(),
  direction: z.enum(['higher', 'lower', 'none']),
  /** Whether an attempt without this metric has failed at stage collect. */
  required: z.boolean(),
  /** Of a gang: how those of its ranks become one. */
  across: RankOperator.optional(),
  from: MetricSource,
});
export type MetricSpec = z.infer<typeof MetricSpec>;

/** What becomes of an attempt whose host is cut off from the server. */
export const PartitionPolicy = z.object({
  /** It is ended when that has lasted so long. */
  stopAfterMs: z.number().positive(),
});
export type PartitionPolicy = z.infer<typeof PartitionPolicy>;

/** How the report is summed up. */
export const ReportRules = z.object({
  /** Only what is reported in these phases counts. */
  phases: z.array(z.string()),
});
export type ReportRules = z.infer<typeof ReportRules>;

export const AttemptSpec = z.object({
  run: RunId,
  task: Token,
  n: z.number().int().positive(),
  suite: z.string(),
  axes: Axes,
  repeat: z.number().int().positive(),
  /** Position of the task in the expanded matrix, from 0. */
  index: z.number().int().nonnegative(),
  seed: z.number().int(),
  /** The suite's folder on the submitter's host, or null when it came from standard input. */
  suiteDir: z.string().nullable(),
  steps: z.array(StepSpec).min(1),
  /** Phases in their declared order; a report of another name is a malformed line. */
  phases: z.array(z.string()),
  needs: Needs,
  /** Budget of the whole attempt, ms; null for none. */
  budgetMs: z.number().positive().nullable(),
  graceMs: z.number().nonnegative(),
  stopSignal: z.string(),
  metrics: z.array(MetricSpec),
  /** Globs in the work folder: stored in the run's directory at the end. */
  files: z.array(z.string()),
  /** Of those of `files` that have limits or are required; absent where none has. */
  fileRules: z.array(FileRule).optional(),
  /** Globs in the work folder of checkpoint files; the task's next attempt finds the last one. */
  checkpoints: z.array(z.string()),
  /** Absent in specs of before, and where there are no checkpoints. */
  checkpointRules: CheckpointRules.optional(),
  /** Checkpoints of earlier attempts, newest first: the first that can be had is put in place. */
  resume: z.array(ResumePoint).optional(),
  /** Undelivered log bytes an attempt may spool on the host. */
  logLimitBytes: z.number().int().positive(),
  /** Absent: everything counts. */
  report: ReportRules.optional(),
  /** Absent: nothing is watched. */
  health: HealthSpec.optional(),
  /** Absent: it goes on. */
  onPartition: PartitionPolicy.optional(),
  /** Of a rank of a gang. */
  gang: GangSpec.optional(),
});
export type AttemptSpec = z.infer<typeof AttemptSpec>;
