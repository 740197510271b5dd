/** What the supervisor is told of a step: from the attempt's spec to one process's. Pure. */
import type { KnownStart, StepSpec } from '../process/types.ts';
import { stopFile } from '../state/state-folder.ts';
import { childEnv, STOP_VARIABLE, type ChildEnvInput } from './child-env.ts';

export interface StepSpecInput extends ChildEnvInput {
  /** Of a stop that has come already, else of the step or the suite. */
  readonly graceMs: number;
  /** Of its output, undelivered. */
  readonly logLimitBytes: number;
}

export function stepSpecOf(input: StepSpecInput): StepSpec {
  const { spec, step, paths, budgetMs, graceMs, resources, logLimitBytes } = input;
  const { cpus = [] } = resources ?? {};
  return {
    argv: step.argv,
    env: childEnv(input),
    cwd: step.cwd ?? (step.hostSetup === undefined ? null : input.hostSetup) ?? paths.work,
    make: paths.work,
    stdio: step.stdio,
    budgetMs,
    graceMs,
    stopSignal: step.stopSignal ?? spec.stopSignal,
    stopFile: stopFile(paths.work, step.id),
    logLimitBytes,
    ...(cpus.length === 0 ? {} : { cpus }),
    ...(step.limits === undefined ? {} : { limits: step.limits }),
  };
}

/** What is known of a step that was started, should its processes have removed its record. */
export function knownStart(
  work: string,
  at: { readonly step: string; readonly pid: number | null },
): KnownStart {
  const { step, pid } = at;
  return { pid, variable: { name: STOP_VARIABLE, value: stopFile(work, step) } };
}
