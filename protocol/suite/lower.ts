/** From the file's form to the wire form: defaults filled in, shorthands spelled out, units in ms and bytes. */
import { DEFAULT_CHECKPOINT_RULES } from '../messages/attempt/checkpoint.ts';
import { HOST_SETUP_STEP, type StepName, STEPS } from '../messages/attempt/attempt-spec.ts';
import type { AxisValue } from '../messages/ids.ts';
import type { StepTemplate, SuiteSpec } from '../messages/run/suite-spec.ts';
import { hasTemplate } from './form-parts.ts';
import { checkTemplateOf, readyTemplateOf } from './check-values.ts';
import type { CommandForm, MetricForm, SuiteForm } from './form.ts';
import { gangOf } from './gang-form.ts';
import { healthOf } from './health-form.ts';
import type { JsonSchema } from './schema/json-schema.ts';
import { limitsOf } from './limits-form.ts';
import { lostOf } from './lost-form.ts';
import { needsOf } from './needs-form.ts';
import { retriesOf } from './retries-form.ts';
import { needsTemplateOf } from './task-needs.ts';
import { parseDuration, parseSignal, parseSize } from './units.ts';

export interface Given {
  readonly defaultName: string;
  readonly dir: string | null;
  readonly profile: string | null;
  /** Of result files, by their place in `files`. */
  readonly schemas: ReadonlyMap<number, JsonSchema>;
  readonly only: Readonly<Record<string, readonly AxisValue[]>>;
}

const DEFAULT_GRACE_MS = 10_000;
const DEFAULT_LOG_LIMIT_BYTES = 256 * 1024 * 1024;

export function lower(form: SuiteForm, given: Given): SuiteSpec {
  return {
    name: form.name ?? given.defaultName,
    description: form.description ?? null,
    dir: given.dir,
    profile: given.profile,
    vars: form.vars ?? {},
    axes: axesOf(form),
    include: form.include ?? [],
    exclude: form.exclude ?? [],
    only: Object.fromEntries(
      Object.entries(given.only).map(([axis, values]) => [axis, [...values]]),
    ),
    repeats: form.repeats ?? 1,
    seed: form.seed ?? 1,
    ...priorityOf(form),
    ...(form.preemptible === undefined ? {} : { preemptible: form.preemptible }),
    ...orderOf(form),
    env: textValues(form.env),
    steps: [...hostSetupOf(form), ...STEPS.flatMap((step) => stepsOf(step, form))],
    phases: form.phases ?? [],
    ...needsIn(form),
    ...(form.locks === undefined ? {} : { locks: form.locks }),
    budgetMs: durationOf(form.budget),
    ...budgetOf(form),
    graceMs: durationOf(form.grace) ?? DEFAULT_GRACE_MS,
    stopSignal: parseSignal(form.stopSignal ?? 'TERM') ?? 'SIGTERM',
    ...retriesOf(form.retries),
    metrics: (form.metrics ?? []).map(metricOf),
    ...filesOf(form.files ?? [], given.schemas),
    ...checkpointsOf(form),
    logLimitBytes: parseSize(form.logLimit ?? '') ?? DEFAULT_LOG_LIMIT_BYTES,
    maxParallel: form.maxParallel ?? null,
    ...(form.automatic === undefined ? {} : { automatic: form.automatic }),
    ...(form.report === undefined ? {} : { report: { phases: form.report.phases } }),
    ...(form.health === undefined ? {} : { health: healthOf(form.health) }),
    ...onPartitionOf(form),
    ...lostOf(form),
    ...(form.gang === undefined ? {} : { gang: gangOf(form.gang) }),
  };
}

function budgetOf(form: SuiteForm): Pick<SuiteSpec, 'runBudgetMs' | 'atBudget' | 'untilBudget'> {
  const { runBudget, atBudget, repeat, maxCycles = null } = form;
  return {
    ...(runBudget === undefined ? {} : { runBudgetMs: durationOf(runBudget) ?? 0 }),
    ...(atBudget === undefined ? {} : { atBudget }),
    ...(repeat === undefined ? {} : { untilBudget: { maxCycles } }),
  };
}

function priorityOf({ priority = 0 }: SuiteForm): Pick<SuiteSpec, 'priority' | 'priorityBy'> {
  if (typeof priority === 'number') return { priority };
  return { priority: priority.base ?? 0, priorityBy: priority.by };
}

function orderOf({ order, seed = 1 }: SuiteForm): Pick<SuiteSpec, 'order'> {
  if (order === undefined || order === 'listed') return {};
  if (order === 'random') return { order: { by: 'random', seed } };
  return {
    order: typeof order === 'string' ? { by: order } : { by: 'random', seed: order.random },
  };
}

/** Where a suite has no `axes`, the names in `include` that are no vars are its axes. */
export function axesOf(
  form: Pick<SuiteForm, 'axes' | 'include' | 'vars'>,
): Record<string, AxisValue[]> {
  if (form.axes !== undefined) return form.axes;
  const names = (form.include ?? []).flatMap((entry) => Object.keys(entry));
  const axes = names.filter((name) => !Object.hasOwn(form.vars ?? {}, name));
  return Object.fromEntries(axes.map((name) => [name, []]));
}

/** With templates, what the wire form says without them: each task has its own. */
function needsIn({ needs = {} }: SuiteForm): Pick<SuiteSpec, 'needs' | 'needsTemplate'> {
  const template = needsTemplateOf(needs);
  if (template === null) return { needs: needsOf(needs) };
  return { needs: needsOf(template.fixed), needsTemplate: { ...needs } };
}

function onPartitionOf({ onPartition }: SuiteForm): Pick<SuiteSpec, 'onPartition'> {
  const stopAfterMs = durationOf(onPartition?.stopAfter);
  return stopAfterMs === null ? {} : { onPartition: { stopAfterMs } };
}

function durationOf(text: string | undefined): number | null {
  return text === undefined ? null : parseDuration(text);
}

function textValues(values: Readonly<Record<string, unknown>> | undefined): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values ?? {}).map(([key, value]) => [key, String(value)]),
  );
}

function stepsOf(step: StepName, form: SuiteForm): StepTemplate[] {
  const written = form[step];
  if (written === undefined) return [];
  return commandsOf(written).map((command, i) => ({
    step,
    id: i === 0 ? step : `${step}-${i + 1}`,
    ...templateOf(command, form),
  }));
}

function hostSetupOf(form: SuiteForm): StepTemplate[] {
  const { hostSetup: written } = form;
  if (written === undefined) return [];
  const isWords = isList(written);
  const key = isWords ? null : (written.key ?? null);
  const [command] = commandsOf(written);
  if (command === undefined) return [];
  const template = templateOf(command, form);
  return [{ step: 'setup', id: HOST_SETUP_STEP, ...template, hostSetup: { key } }];
}

function templateOf(command: CommandForm, form: SuiteForm): Omit<StepTemplate, 'step' | 'id'> {
  return {
    argv: argvOf(command),
    env: textValues(command.env),
    cwd: command.cwd ?? form.cwd ?? null,
    stdio: command.stdio ?? form.stdio ?? 'pipe',
    timeoutMs: durationOf(command.timeout),
    onFail: command.onFail ?? 'fail',
    message: command.message ?? null,
    ...(command.timeout !== undefined && hasTemplate(command.timeout)
      ? { timeout: command.timeout }
      : {}),
    ...(command.grace === undefined ? {} : { grace: command.grace }),
    ...signalOf(command.stopSignal),
    ...(isAsked(command) ? {} : limitsOf(form.limits, command.limits)),
    ...checkTemplateOf(command),
    ...readyTemplateOf(command),
  };
}

/** The agent itself makes it: there is nothing to limit. */
function isAsked(command: CommandForm): boolean {
  return command.exec === undefined && command.shell === undefined;
}

function signalOf(text: string | undefined): { stopSignal?: string } {
  const stopSignal = parseSignal(text ?? '');
  return stopSignal === null ? {} : { stopSignal };
}

function argvOf(command: CommandForm): string[] {
  if (command.exec !== undefined) return command.exec.map(String);
  if (command.shell !== undefined) return ['/bin/sh', '-c', command.shell];
  return ['benchmesh-check', checkTemplateOf(command).check?.kind ?? ''];
}

type Word = string | number | boolean;
type Written = readonly Word[] | CommandForm | readonly (readonly Word[] | CommandForm)[];

/** One command, or a list of them: a list of words is one command. */
function commandsOf(written: Written): CommandForm[] {
  if (!isList(written)) return [written];
  const commands: CommandForm[] = [];
  const words: Word[] = [];
  for (const item of written) {
    if (isList(item)) commands.push({ exec: [...item] });
    else if (typeof item === 'object') commands.push(item);
    else words.push(item);
  }
  return words.length > 0 ? [{ exec: words }] : commands;
}

function isList<T>(value: T): value is Extract<T, readonly unknown[]> {
  return Array.isArray(value);
}

function filesOf(
  written: NonNullable<SuiteForm['files']>,
  schemas: Given['schemas'],
): Pick<SuiteSpec, 'files' | 'fileRules'> {
  const files = written.map((file) => (typeof file === 'string' ? file : file.path));
  const fileRules = written.flatMap((file, at) => {
    if (typeof file === 'string') return [];
    const { path, maxSize, required = false } = file;
    const maxBytes = maxSize === undefined ? null : parseSize(maxSize);
    const schema = schemas.get(at);
    return [{ path, maxBytes, required, ...(schema === undefined ? {} : { schema }) }];
  });
  return fileRules.length === 0 ? { files } : { files, fileRules };
}

function checkpointsOf({
  checkpoint,
  checkpoints,
}: SuiteForm): Pick<SuiteSpec, 'checkpoints' | 'checkpointRules'> {
  if (checkpoint === undefined) return { checkpoints: checkpoints ?? [] };
  const { everyMs, keep, maxBytes } = DEFAULT_CHECKPOINT_RULES;
  return {
    checkpoints: [...(checkpoints ?? []), ...checkpoint.files],
    checkpointRules: {
      everyMs: durationOf(checkpoint.every) ?? everyMs,
      keep: checkpoint.keep ?? keep,
      maxBytes: parseSize(checkpoint.maxSize ?? '') ?? maxBytes,
    },
  };
}

function metricOf(metric: MetricForm): SuiteSpec['metrics'][number] {
  const { name, unit = '', direction = 'none', required = true, across } = metric;
  const ranks = across === undefined ? {} : { across };
  return { name, unit, direction, required, ...ranks, from: sourceOf(metric) };
}

function sourceOf(metric: MetricForm): SuiteSpec['metrics'][number]['from'] {
  if (metric.report !== undefined)
    return { kind: 'report', figure: metric.report, phases: metric.phases ?? null };
  if (metric.regex !== undefined)
    return {
      kind: 'regex',
      pattern: metric.regex,
      flags: metric.flags ?? '',
      stream: metric.stream ?? 'stdout',
    };
  if (metric.json !== undefined)
    return { kind: 'json_file', file: metric.json, path: metric.path ?? '' };
  return { kind: 'json_last_line', path: metric.lastLine ?? '' };
}
