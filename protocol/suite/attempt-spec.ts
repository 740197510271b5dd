/**
 * One attempt of one task, spelled out for its agent: templates expanded, paths resolved.
 *
 * Paths resolve against the suite's folder: arguments that begin with `./` or `../` (after
 * expansion), a program name with a slash in it, and `cwd`. Everything else stays as written.
 */
import { posix } from 'node:path';
import type { AttemptSpec, MetricSource, StepSpec } from '../messages/attempt/attempt-spec.ts';
import type { CheckTemplate } from '../messages/attempt/check-spec.ts';
import type {
  HealthCheckTemplate,
  HealthRule,
  HealthTemplate,
} from '../messages/attempt/health.ts';
import type { LimitsTemplate } from '../messages/attempt/limits.ts';
import type { Needs } from '../messages/attempt/needs.ts';
import type { StepTemplate, SuiteSpec } from '../messages/run/suite-spec.ts';
import { hostSetupId } from '../messages/ids.ts';
import { checkSpecOf, readySpecOf } from './check-values.ts';
import type { PlannedTask } from './expand.ts';
import { taskNeeds } from './task-needs.ts';
import { compileTemplate, render, type Template } from './template.ts';
import { parseDuration } from './units.ts';

export interface AttemptOf {
  readonly run: string;
  readonly task: PlannedTask;
  readonly n: number;
  /** Where they were raised since; else as the suite says. */
  readonly needs?: Needs | null;
}

/** The same for every attempt of a suite, so templates are compiled once per suite. */
const COMPILED = new WeakMap<SuiteSpec, Compiled>();

export function attemptSpec(suite: SuiteSpec, of: AttemptOf): AttemptSpec {
  const { run, task, n } = of;
  const needs = of.needs ?? taskNeeds(suite, task);
  let compiled = COMPILED.get(suite);
  if (compiled === undefined) COMPILED.set(suite, (compiled = compile(suite)));
  const seed = suite.seed + task.repeat - 1;
  const own: Readonly<Record<string, string>> = {
    'suite.dir': suite.dir ?? '',
    run,
    task: task.id,
    attempt: String(n),
    index: String(task.index),
    repeat: String(task.repeat),
    seed: String(seed),
  };
  const valueOf = (name: string): string => {
    for (const values of [own, task.vars, task.axes, suite.vars])
      if (Object.hasOwn(values, name)) return String(values[name]);
    throw new Error(`no value for {{${name}}} in a parsed suite`);
  };
  return {
    run,
    task: task.id,
    n,
    suite: suite.name,
    axes: task.axes,
    repeat: task.repeat,
    index: task.index,
    seed,
    suiteDir: suite.dir,
    steps: compiled.steps.map((step, at) =>
      withLimits(step(valueOf), suite.steps[at]?.limits, needs),
    ),
    phases: suite.phases,
    needs,
    budgetMs: suite.budgetMs,
    graceMs: suite.graceMs,
    stopSignal: suite.stopSignal,
    metrics: compiled.metrics(valueOf),
    files: compiled.files(valueOf),
    ...compiled.fileRules(valueOf),
    checkpoints: compiled.checkpoints(valueOf),
    ...(suite.checkpointRules === undefined ? {} : { checkpointRules: suite.checkpointRules }),
    logLimitBytes: suite.logLimitBytes,
    ...(suite.report === undefined ? {} : { report: suite.report }),
    ...compiled.health(valueOf),
    ...(suite.onPartition === undefined ? {} : { onPartition: suite.onPartition }),
  };
}

/** A limit that follows the needs is as high as these are now. */
function withLimits(
  step: StepSpec,
  template: LimitsTemplate | undefined,
  { memoryMiB }: Needs,
): StepSpec {
  if (template === undefined) return step;
  const { memory, ...limits } = template;
  const isFollowing = memory === 'needs' && memoryMiB !== undefined;
  return {
    ...step,
    limits: { ...limits, ...(isFollowing ? { memoryBytes: memoryMiB * 1024 ** 2 } : {}) },
  };
}

type ValueOf = (name: string) => string;
type Make<T> = (valueOf: ValueOf) => T;

interface Compiled {
  readonly steps: readonly Make<StepSpec>[];
  readonly metrics: Make<AttemptSpec['metrics']>;
  readonly files: Make<string[]>;
  readonly fileRules: Make<Pick<AttemptSpec, 'fileRules'>>;
  readonly checkpoints: Make<string[]>;
  readonly health: Make<Pick<AttemptSpec, 'health'>>;
}

function compile(suite: SuiteSpec): Compiled {
  return {
    steps: suite.steps.map((step) => compileStep(suite, step)),
    metrics: compileMetrics(suite.metrics),
    files: texts(suite.files),
    fileRules: compileFileRules(suite.fileRules),
    checkpoints: texts(suite.checkpoints),
    health: compileHealth(suite.dir, suite.health),
  };
}

function compileStep(suite: SuiteSpec, step: SuiteSpec['steps'][number]): Make<StepSpec> {
  const argv = compileArgv(suite.dir, step.argv);
  const env = Object.entries({ ...suite.env, ...step.env }).map(
    ([key, value]) => [key, compileTemplate(value)] as const,
  );
  const cwd = step.cwd === null ? null : compileTemplate(step.cwd);
  const message = step.message === null ? null : compileTemplate(step.message);
  const { dir } = suite;
  const more = compileMore(dir, step);
  const setup = step.hostSetup;
  const key = setup === undefined || setup.key === null ? null : compileTemplate(setup.key);
  const whole: Make<StepSpec> = (valueOf) => {
    return {
      step: step.step,
      id: step.id,
      argv: argv(valueOf),
      env: Object.fromEntries(env.map(([key, value]) => [key, render(value, valueOf)])),
      cwd: cwd === null ? null : absolute(dir, render(cwd, valueOf)),
      stdio: step.stdio,
      timeoutMs: step.timeoutMs,
      onFail: step.onFail,
      message: message === null ? null : render(message, valueOf),
      ...more(valueOf),
    };
  };
  if (setup === undefined) return whole;
  return (valueOf) => {
    const made = whole(valueOf);
    const named = key === null ? [made.argv, made.env, made.cwd] : [render(key, valueOf)];
    return { ...made, hostSetup: { id: hostSetupId(named) } };
  };
}

function compileArgv(dir: string | null, written: readonly string[]): Make<string[]> {
  const argv = texts(written);
  // The text of a `shell:` is no path, whatever it begins with.
  const isShell = written[0] === '/bin/sh' && written[1] === '-c';
  if (dir === null || isShell) return argv;
  return (valueOf) => argv(valueOf).map((word, i) => resolveWord(dir, word, i === 0));
}

/** A check of the health without a `timeout` of its own. */
const DEFAULT_CHECK_MS = 10_000;

function compileHealth(
  dir: string | null,
  health: HealthTemplate | undefined,
): Make<Pick<AttemptSpec, 'health'>> {
  if (health === undefined) return () => ({});
  const { everyMs, rules, checks = [] } = health;
  const made = checks.map((check) => compileHealthCheck(dir, check));
  return (valueOf) => ({
    health: { everyMs, rules: [...rules, ...made.map((check) => check(valueOf))] },
  });
}

function compileHealthCheck(dir: string | null, of: HealthCheckTemplate): Make<HealthRule> {
  const { id, failures, then } = of;
  const argv = compileArgv(dir, of.argv ?? []);
  const asked = of.check === undefined ? null : compileCheck(dir, of.check, checkSpecOf);
  const timeout = of.timeout === undefined ? null : compileTemplate(of.timeout);
  const message = of.message === null ? null : compileTemplate(of.message);
  return (valueOf) => ({
    kind: 'check',
    id,
    check: asked === null ? { kind: 'exec', argv: argv(valueOf) } : asked(valueOf),
    timeoutMs: timeout === null ? DEFAULT_CHECK_MS : durationOf(render(timeout, valueOf)),
    failures,
    message: message === null ? null : render(message, valueOf),
    then,
  });
}

type MoreKeys = 'timeoutMs' | 'graceMs' | 'stopSignal' | 'check' | 'service';

/** Until when a service must be ready. */
const DEFAULT_READY_MS = 300_000;

/** What few steps have: nothing of it is in the spec of a step without. */
function compileMore(
  dir: string | null,
  step: StepTemplate,
): Make<Pick<Partial<StepSpec>, MoreKeys>> {
  const { stopSignal } = step;
  const timeout = step.timeout === undefined ? null : compileTemplate(step.timeout);
  const grace = step.grace === undefined ? null : compileTemplate(step.grace);
  const check = step.check === undefined ? null : compileCheck(dir, step.check, checkSpecOf);
  const ready = step.ready === undefined ? null : compileCheck(dir, step.ready, readySpecOf);
  return (valueOf) => {
    const timeoutMs = timeout === null ? step.timeoutMs : durationOf(render(timeout, valueOf));
    return {
      ...(timeout === null ? {} : { timeoutMs }),
      ...(grace === null ? {} : { graceMs: durationOf(render(grace, valueOf)) }),
      ...(stopSignal === undefined ? {} : { stopSignal }),
      ...(check === null ? {} : { check: check(valueOf) }),
      ...(ready === null
        ? {}
        : {
            // Its time limit is until it is ready; it then lives as long as it is needed.
            timeoutMs: null,
            service: { ready: ready(valueOf), readyMs: timeoutMs ?? DEFAULT_READY_MS },
          }),
    };
  };
}

/** Parsing has tried every value of the suite: what fails here was never parsed. */
function durationOf(text: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw new Error(`no duration in a parsed suite: ${text}`);
  return ms;
}

function compileCheck<T>(
  dir: string | null,
  { kind, values }: CheckTemplate,
  specOf: (kind: CheckTemplate['kind'], values: Record<string, string>) => T,
): Make<T> {
  const templates = Object.entries(values).map(
    ([key, value]) => [key, compileTemplate(value)] as const,
  );
  return (valueOf) => {
    const rendered = templates.map(([key, template]) => {
      const value = render(template, valueOf);
      return [key, key === 'path' && dir !== null ? resolveWord(dir, value, false) : value];
    });
    return specOf(kind, Object.fromEntries(rendered) as Record<string, string>);
  };
}

function resolveWord(dir: string, word: string, isProgram: boolean): string {
  const isRelative = word.startsWith('./') || word.startsWith('../');
  return isRelative || (isProgram && word.includes('/')) ? absolute(dir, word) : word;
}

function absolute(dir: string | null, path: string): string {
  return posix.isAbsolute(path) || dir === null ? path : posix.join(dir, path);
}

function compileMetrics(metrics: SuiteSpec['metrics']): Make<AttemptSpec['metrics']> {
  const made = metrics.map((metric) => ({ metric, from: compileSource(metric.from) }));
  if (made.every(({ from }) => from === null)) return () => metrics;
  return (valueOf) =>
    made.map(({ metric, from }) => (from === null ? metric : { ...metric, from: from(valueOf) }));
}

/** Null when there is nothing to expand. Values stand for themselves in a regular expression. */
function compileSource(source: MetricSource): Make<MetricSource> | null {
  switch (source.kind) {
    case 'report':
      return null;
    case 'regex': {
      const pattern = compileTemplate(source.pattern);
      if (isFixed(pattern))
        return pattern === source.pattern ? null : () => ({ ...source, pattern });
      return (valueOf) => ({
        ...source,
        pattern: render(pattern, (name) => escapeRegex(valueOf(name))),
      });
    }
    case 'json_file': {
      const file = compileTemplate(source.file);
      const path = compileTemplate(source.path);
      return (valueOf) => ({ ...source, file: render(file, valueOf), path: render(path, valueOf) });
    }
    case 'json_last_line': {
      const path = compileTemplate(source.path);
      return (valueOf) => ({ ...source, path: render(path, valueOf) });
    }
  }
}

function compileFileRules(rules: SuiteSpec['fileRules']): Make<Pick<AttemptSpec, 'fileRules'>> {
  if (rules === undefined) return () => ({});
  const paths = texts(rules.map(({ path }) => path));
  return (valueOf) => {
    const rendered = paths(valueOf);
    return { fileRules: rules.map((rule, i) => ({ ...rule, path: rendered[i] ?? rule.path })) };
  };
}

function escapeRegex(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&').replaceAll('-', '\\x2d');
}

function isFixed(template: Template): template is string {
  return typeof template === 'string';
}

function texts(values: readonly string[]): Make<string[]> {
  const templates = values.map(compileTemplate);
  const fixed = templates.filter(isFixed);
  if (fixed.length === templates.length) return () => fixed;
  return (valueOf) => templates.map((template) => render(template, valueOf));
}
