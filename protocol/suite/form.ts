/**
 * The suite file's own form: what may be written. docs/suite.md documents every key of it, and
 * suite.schema.json is made from it for editors. Meaning is added in lower.ts.
 */
import { z } from 'zod';
import { AxisValueSchema } from '../messages/attempt/attempt-spec.ts';
import { RankOperator } from '../messages/attempt/gang.ts';
import { SeriesFigure } from '../messages/attempt/report.ts';
import {
  checks,
  hostSetup,
  step,
  services,
  type Check,
  type Command,
  type Service,
} from './command-form.ts';
import { parseJsonPath } from './extract/json-path.ts';
import {
  duration,
  env,
  filled,
  hasOneOf,
  positiveDuration,
  someDuration,
  signal,
  stdio,
  text,
} from './form-parts.ts';
import { GangForm } from './gang-form.ts';
import { HealthForm } from './health-form.ts';
import { LimitsForm } from './limits-form.ts';
import { CrashLimitForm, OnLostForm } from './lost-form.ts';
import { NeedsForm } from './needs-form.ts';
import { RetriesForm } from './retries-form.ts';
import { parseSize } from './units.ts';

const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;

const name = z
  .string()
  .regex(NAME, 'must start with a letter and hold up to 64 of A-Z a-z 0-9 _ -');
const SIZE = 'must be a size with a unit, such as 500kB, 64MiB or 1GiB';
const size = z.string({ error: SIZE }).refine((value) => (parseSize(value) ?? 0) > 0, SIZE);
const REPEAT = 'must be until-budget (repeats is for a number of times)';
const positive = z.number().int().positive();
const values = z.record(name, AxisValueSchema);
const phaseNames = z.array(name).min(1, 'must name a phase; leave the key out for all');

const Metric = z
  .strictObject({
    name: filled.meta({ description: 'Name of the metric' }),
    unit: text
      .optional()
      .meta({ description: 'Its unit; may come from the group `unit` of the regex instead' }),
    direction: z
      .enum(['higher', 'lower', 'none'])
      .optional()
      .meta({ description: 'Which values are better' }),
    required: z
      .boolean()
      .optional()
      .meta({ description: 'Without it the task has failed; default true' }),
    across: RankOperator.optional().meta({
      description:
        'Of a task on several hosts: how the values of its ranks become one; default merge with report, else mean',
    }),
    regex: filled
      .optional()
      .meta({ description: 'Regular expression with a group (?<value>...), tried on each line' }),
    flags: z.enum(['i', 'u', 'iu']).optional().meta({ description: 'Flags of the regex: i, u' }),
    stream: z
      .enum(['stdout', 'stderr'])
      .optional()
      .meta({ description: 'Where the regex reads; default stdout' }),
    json: filled.optional().meta({ description: 'JSON file, relative to the work folder' }),
    path: z
      .string()
      .optional()
      .refine(isJsonPath, 'must look like results[0].rate or ["a key"].rate')
      .meta({ description: 'Path of the value in the JSON file' }),
    lastLine: z
      .string()
      .optional()
      .refine(isJsonPath, 'must look like results[0].rate or ["a key"].rate')
      .meta({ description: 'Path of the value in the last JSON line of stdout' }),
    report: SeriesFigure.optional().meta({
      description: 'The benchmark reports it: which figure of all its samples is the value',
    }),
    phases: phaseNames
      .optional()
      .meta({ description: 'With report: only samples of these phases count' }),
  })
  .superRefine(hasOneOf('regex', 'json', 'lastLine', 'report'))
  .superRefine(checkMetric)
  .meta({ id: 'metric' });

const TEMPLATES = /\{\{[^}]*\}\}/g;

function isJsonPath(value: string | undefined): boolean {
  if (value === undefined) return true;
  // A template may stand for an index or for a key.
  return ['0', 'x'].some((part) => parseJsonPath(value.replace(TEMPLATES, part)) !== null);
}

interface MetricKeys {
  readonly regex?: string | undefined;
  readonly flags?: string | undefined;
  readonly stream?: string | undefined;
  readonly unit?: string | undefined;
  readonly json?: string | undefined;
  readonly path?: string | undefined;
  readonly report?: string | undefined;
  readonly across?: string | undefined;
  readonly phases?: readonly string[] | undefined;
}

function checkMetric(metric: MetricKeys, context: z.RefinementCtx): void {
  const say = (path: string[], message: string) => {
    context.addIssue({ code: 'custom', path, message });
  };
  for (const key of ['flags', 'stream'] as const)
    if (metric.regex === undefined && metric[key] !== undefined)
      say([key], 'belongs to regex only; remove it');
  if (metric.json === undefined && metric.path !== undefined)
    say(['path'], 'belongs to json only; remove it, or write lastLine: PATH');
  if (metric.json !== undefined && metric.path === undefined)
    say(['json'], 'needs path: where the value is in the file');
  if (metric.report === undefined && metric.phases !== undefined)
    say(['phases'], 'belongs to report only; remove it');
  if (metric.report === undefined && metric.across === 'merge')
    say(['across'], 'merge belongs to report only: write sum, mean, max or min');
  let groups = '';
  if (metric.regex !== undefined) {
    try {
      new RegExp(metric.regex.replace(TEMPLATES, 'x'), metric.flags ?? '');
      groups = metric.regex;
      if (!groups.includes('(?<value>'))
        say(['regex'], 'has no group (?<value>...) around the number');
    } catch (error) {
      say(['regex'], `is not a regular expression: ${String(error).replace(/^SyntaxError: /, '')}`);
      return;
    }
  }
  if (metric.unit === undefined && !groups.includes('(?<unit>'))
    say([], 'needs unit ("" for none), or a group (?<unit>...) in the regex');
}

const ResultFile = z
  .strictObject({
    path: filled.meta({ description: 'Glob in the work folder' }),
    maxSize: size.optional().meta({ description: 'Of each file; default: no limit' }),
    required: z
      .boolean()
      .optional()
      .meta({ description: 'Without one the task has failed at stage collect; default false' }),
    schema: z
      .union([filled, z.record(z.string(), z.unknown())], {
        error: 'must be a JSON Schema, or the path of a file that holds one',
      })
      .optional()
      .meta({ description: 'JSON Schema of each file, or the path of its file beside the suite' }),
  })
  .meta({ id: 'file' });

/** The map first: of what is neither, the problem is then that of the nearest. */
const order = z.union([
  z.strictObject({ random: z.number().int().meta({ description: 'Seed of the order' }) }),
  z.enum(['listed', 'longest-first', 'failed-first', 'random']),
]);

const whole = z.number().int();
const priority = z.union([
  whole,
  z.strictObject({
    base: whole.optional().meta({ description: 'Priority of the run; higher first; default 0' }),
    by: z
      .record(name, z.record(z.string(), whole))
      .meta({ description: 'By axis and value: what is added for tasks of that value' }),
  }),
]);

const suiteKeys = {
  name: name.optional().meta({ description: 'Name of the suite; default: the file name' }),
  description: z.string().optional().meta({ description: 'One line for people' }),
  vars: values.optional().meta({ description: 'Names with a value, for templates and --set' }),
  axes: z
    .record(name, z.array(AxisValueSchema))
    .optional()
    .meta({ description: 'The matrix: each axis and its values' }),
  include: z.array(values).optional().meta({ description: 'Cells to add, or vars for some cells' }),
  exclude: z.array(values).optional().meta({ description: 'Cells to leave out' }),
  repeats: positive.optional().meta({ description: 'How often each cell is measured; default 1' }),
  repeat: z
    .string({ error: REPEAT })
    .refine((value) => value === 'until-budget', REPEAT)
    .optional()
    .meta({ description: 'Every cell is measured again and again until runBudget is used up' }),
  maxCycles: positive
    .optional()
    .meta({ description: 'With repeat: how often each cell is measured at most' }),
  seed: z.number().int().optional().meta({ description: 'Seed of the first repeat; default 1' }),
  priority: priority.optional().meta({ description: 'Higher first; default 0' }),
  preemptible: z.boolean().optional().meta({
    description:
      'Attempts may be ended to make room for a higher priority; default with checkpoints',
  }),
  order: order.optional().meta({
    description: 'Which task goes first; default listed; random: SEED for a seed of its own',
  }),
  env: env.optional().meta({ description: 'Environment of every command' }),
  cwd: filled
    .optional()
    .meta({ description: 'Folder of every command; default: the work folder of the attempt' }),
  stdio: stdio.optional().meta({ description: 'pipe (default) or pty, for every command' }),
  hostSetup: hostSetup
    .optional()
    .meta({ description: 'Command that prepares a host, once for all attempts of the run there' }),
  preflight: checks.optional().meta({ description: 'Checks before anything else' }),
  setup: step.optional().meta({ description: 'Commands that prepare' }),
  service: services
    .optional()
    .meta({ description: 'Servers that load, run and collect need; ended before teardown' }),
  load: step.optional().meta({ description: 'Commands that load data or models' }),
  run: step.meta({ description: 'The benchmark' }),
  collect: step.optional().meta({ description: 'Commands that gather results' }),
  teardown: step.optional().meta({ description: 'Commands that clean up, always run' }),
  needs: NeedsForm.optional().meta({ description: 'What a task takes and wants of its host' }),
  locks: z
    .record(name, positive)
    .optional()
    .meta({ description: 'By name, how many of a lock there are in the mesh: needs.locks' }),
  gang: GangForm.optional().meta({ description: 'How the ranks of one task go together' }),
  budget: positiveDuration.optional().meta({ description: 'Time limit of a whole attempt' }),
  runBudget: positiveDuration.optional().meta({ description: 'Time limit of the whole run' }),
  atBudget: z
    .enum(['stop', 'finish'])
    .optional()
    .meta({ description: 'What becomes of what runs when runBudget is used up; default stop' }),
  grace: duration.optional().meta({ description: 'From the stop signal to the kill; default 10s' }),
  stopSignal: signal
    .optional()
    .meta({ description: 'Signal that asks the benchmark to end; default TERM' }),
  limits: LimitsForm.optional().meta({ description: 'What each command may take' }),
  retries: RetriesForm.optional().meta({
    description: 'Further attempts after a failure: a number, or a number or a rule per class',
  }),
  maxParallel: positive.optional().meta({ description: 'At most so many tasks at once' }),
  phases: z.array(name).optional().meta({ description: 'Phases the benchmark reports, in order' }),
  report: z
    .strictObject({
      phases: phaseNames.meta({ description: 'Only what is reported in these phases counts' }),
    })
    .optional()
    .meta({ description: 'How the report of the benchmark is summed up' }),
  onPartition: z
    .strictObject({
      stopAfter: someDuration.meta({
        description: 'End its attempts when their host has been cut off for so long',
      }),
    })
    .optional()
    .meta({ description: 'What happens where a host is cut off; default: attempts go on' }),
  onLost: OnLostForm.optional().meta({
    description: 'What happens where a host is lost; default: tried again elsewhere after 60s',
  }),
  crashLimit: CrashLimitForm.optional().meta({
    description: 'A task that so many different agents were lost with is quarantined',
  }),
  automatic: z
    .boolean()
    .optional()
    .meta({ description: 'Automatic metrics stand in tables of results; default false' }),
  health: HealthForm.optional().meta({ description: 'What must hold while it runs' }),
  metrics: z.array(Metric).optional().meta({ description: 'What to measure and where it is read' }),
  files: z
    .array(z.union([filled, ResultFile]))
    .optional()
    .meta({ description: 'Files of the work folder to keep' }),
  checkpoints: z
    .array(filled)
    .optional()
    .meta({ description: 'Files the next attempt resumes from; short for checkpoint.files' }),
  checkpoint: z
    .strictObject({
      files: z
        .array(filled)
        .min(1, 'must not be empty')
        .meta({ description: 'Files the next attempt resumes from' }),
      every: someDuration.optional().meta({ description: 'Least time between two; default 10s' }),
      keep: positive
        .max(20)
        .optional()
        .meta({ description: 'How many of a task stay stored; default 3' }),
      maxSize: size.optional().meta({ description: 'Of all files of one together; default 64MiB' }),
    })
    .optional()
    .meta({ description: 'Which files are checkpoints, how often and how many are kept' }),
  logLimit: size
    .optional()
    .meta({ description: 'Undelivered log kept on the host; default 256MiB' }),
};

/** A profile: any part of the suite, over it. Maps merge key by key, everything else is replaced. */
const Profile = z.object(suiteKeys).partial();

/**
 * A profile is checked where it is merged (a part of a map need not be whole by itself), so here it
 * only has to be a map.
 */
export const SuiteForm = z.strictObject({
  ...suiteKeys,
  profiles: z
    .record(name, z.looseObject({}))
    .optional()
    .meta({ description: 'Named overrides, chosen with --profile' }),
});
export type SuiteForm = z.infer<typeof SuiteForm>;
export type CommandForm = z.infer<typeof Command> &
  Partial<z.infer<typeof Check>> &
  Partial<z.infer<typeof Service>>;
export type MetricForm = z.infer<typeof Metric>;

/** For editors: the same with the keys of profiles. */
export const EditorForm = SuiteForm.extend({
  profiles: z
    .record(name, Profile.strict())
    .optional()
    .meta({ description: 'Named overrides, chosen with --profile' }),
});
