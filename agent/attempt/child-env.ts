/**
 * The environment of an attempt's processes: the agent's own without what belongs to the mesh, what
 * the attempt is told, and the suite's. Pure. docs/suite.md lists the names.
 */
import type { AttemptSpec, StepSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { AttemptResources } from '#protocol/messages/agent/resources.ts';
import { formatCpuList } from '#protocol/messages/agent/cpu-list.ts';
import { gangEnv } from './gang-env.ts';
import { gpuEnv } from '../gpus/gpu-env.ts';
import { stopFile, type AttemptPaths } from '../state/state-folder.ts';

type Env = Readonly<Record<string, string>>;

/** Names a benchmark must not inherit: the mesh's own, credentials, and what supervisors set. */
const WITHHELD = [
  /^BENCHMESH_/,
  /^NATS_/,
  /^npm_/i,
  /^(CREDENTIALS_DIRECTORY|NOTIFY_SOCKET|WATCHDOG_(PID|USEC)|LISTEN_(PID|FDS|FDNAMES))$/,
  /^(INVOCATION_ID|JOURNAL_STREAM|MAINPID|NODE_CHANNEL_FD|NODE_UNIQUE_ID|INIT_CWD)$/,
];
/** Names a file of the step's own: by it the step's processes are known from all others. */
export const STOP_VARIABLE = 'BENCHMESH_STOP';
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What every attempt inherits; worked out once. */
export function inheritedEnv(own: Readonly<Record<string, string | undefined>>): Env {
  const kept: Record<string, string> = { PATH: DEFAULT_PATH };
  for (const [name, value] of Object.entries(own)) {
    if (value !== undefined && !WITHHELD.some((pattern) => pattern.test(name))) kept[name] = value;
  }
  return kept;
}

export interface ChildEnvInput {
  readonly inherited: Env;
  readonly spec: AttemptSpec;
  readonly step: StepSpec;
  readonly paths: AttemptPaths;
  readonly slot: number;
  /** Of its slot, for the run. */
  readonly scratch: string;
  /** What the host setup of the run has filled; null where there is none. */
  readonly hostSetup: string | null;
  readonly resources?: AttemptResources | undefined;
  readonly budgetMs: number | null;
  /** The task's latest checkpoint from an earlier attempt, in place; null if there is none. */
  readonly checkpoint: string | null;
}

export function childEnv(input: ChildEnvInput): Env {
  const { inherited, spec, step, paths, slot, resources, budgetMs, checkpoint, hostSetup } = input;
  const { gpus = [], cpus = [] } = resources ?? {};
  const env: Record<string, string> = {
    ...inherited,
    PYTHONUNBUFFERED: '1',
    BENCHMESH_RUN: spec.run,
    BENCHMESH_TASK: spec.task,
    BENCHMESH_ATTEMPT: String(spec.n),
    BENCHMESH_SUITE: spec.suite,
    BENCHMESH_REPEAT: String(spec.repeat),
    BENCHMESH_INDEX: String(spec.index),
    BENCHMESH_SLOT: String(slot),
    BENCHMESH_SCRATCH: input.scratch,
    BENCHMESH_SEED: String(spec.seed),
    BENCHMESH_REPORT: paths.report,
    [STOP_VARIABLE]: stopFile(paths.work, step.id),
  };
  Object.assign(env, gpuEnv(spec.needs.gpus === undefined ? null : gpus));
  if (spec.gang !== undefined) Object.assign(env, gangEnv(spec.gang, paths.peers));
  if (cpus.length > 0) env['BENCHMESH_CPUS'] = formatCpuList(cpus);
  const { memoryMiB } = spec.needs;
  if (memoryMiB !== undefined) env['BENCHMESH_MEMORY_MIB'] = String(memoryMiB);
  if (spec.suiteDir !== null) env['BENCHMESH_SUITE_DIR'] = spec.suiteDir;
  if (budgetMs !== null) env['BENCHMESH_BUDGET_MS'] = String(budgetMs);
  if (hostSetup !== null) env['BENCHMESH_HOST_SETUP'] = hostSetup;
  if (checkpoint !== null) env['BENCHMESH_CHECKPOINT'] = checkpoint;
  for (const [axis, value] of Object.entries(spec.axes)) env[axisName(axis)] = String(value);
  return Object.assign(env, step.env);
}

/**
 * Of the health checks' programs: as of the step they watch, without what belongs to it alone. They
 * are the agent's processes, not the step's, and nothing they write is of its report.
 */
export function checkEnv(input: ChildEnvInput): Env {
  const { [STOP_VARIABLE]: _stop, BENCHMESH_REPORT: _report, ...env } = childEnv(input);
  return env;
}

function axisName(axis: string): string {
  return `BENCHMESH_AXIS_${axis.toUpperCase().replaceAll(/[^A-Z0-9_]/g, '_')}`;
}
