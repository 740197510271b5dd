/**
 * An attempt as it is now, for whoever looks inside. Two looks at its processes, half a second apart:
 * a share of a CPU is of a time. Nothing is measured, and nobody waits, for the sake of an attempt that
 * nobody asks for (I10).
 */
import type { InspectedGpu, InspectedStep, InspectReply } from '#protocol/messages/agent/agent-api.ts';
import type { GpuProcess } from '#protocol/messages/agent/hardware.ts';
import type { Clock } from '#protocol/runtime/clock.ts';
import type { AttemptState } from '../attempt/attempt-state.ts';
import { LogSegments } from '../process/spool/log-segments.ts';
import { attemptPaths, stepDir } from '../state/state-folder.ts';
import type { ProcFiles } from '../telemetry/proc-reader.ts';
import type { GpuView } from '../telemetry/telemetry.ts';
import { lookAt, processRows, type Look } from './process-rows.ts';
import { processesOf, type StepProcesses } from './step-processes.ts';

const SPAN_MS = 500;
/** More would not fit into one message. */
const PROCESSES_MOST = 500;

export interface Inspected {
  readonly state: AttemptState;
  readonly waitsFor: string | null;
}

export interface InspectContext {
  readonly agent: string;
  readonly stateDir: string;
  readonly clock: Clock;
  readonly files: ProcFiles;
  readonly gpus: () => GpuView | null;
}

/** `look` is asked twice: what it says last counts, unless the attempt is gone by then. */
export async function inspectAttempt(
  context: InspectContext,
  look: () => Inspected | null,
): Promise<InspectReply | null> {
  const first = look();
  if (first === null) return null;
  const before = pidsIn(context, first.state);
  const then = lookAt(context.files, before.keys(), context.clock.now().monotonicMs);
  if (before.size > 0) await pause(context.clock);
  return describe(context, look() ?? first, then);
}

function pause(clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    clock.after(SPAN_MS, resolve);
  });
}

function stepsIn(
  { files, stateDir }: InspectContext,
  { spec }: AttemptState,
): Map<string, StepProcesses> {
  const { work } = attemptPaths(stateDir, spec);
  const found = new Map<string, StepProcesses>();
  for (const { id } of spec.steps) {
    const processes = processesOf(files, stepDir(work, id));
    if (processes !== null) found.set(id, processes);
  }
  return found;
}

/** Step by pid. */
function pidsIn(
  context: InspectContext,
  state: AttemptState,
  steps = stepsIn(context, state),
): Map<number, string> {
  const pids = new Map<number, string>();
  for (const [id, step] of steps) for (const pid of step.pids) pids.set(pid, id);
  return pids;
}

function describe(
  context: InspectContext,
  { state, waitsFor }: Inspected,
  before: Look,
): InspectReply {
  const { agent, stateDir, clock, files } = context;
  const { spec, life, stop, slots, resources, checkpoints = [], resumed } = state;
  const { work } = attemptPaths(stateDir, spec);
  const now = clock.now();
  const found = stepsIn(context, state);
  const pids = pidsIn(context, state, found);
  const told = [...pids.keys()].slice(0, PROCESSES_MOST);
  const after = lookAt(files, told, now.monotonicMs);
  const running = new Map(
    [...found.keys()].map((id) => [id, new LogSegments(stepDir(work, id)).extent()]),
  );
  const ended = state.steps.filter(({ id }) => !running.has(id));
  const sum = (counts: Iterable<number>): number => [...counts].reduce((all, one) => all + one, 0);
  const last = checkpoints.at(-1);
  return {
    agent,
    run: spec.run,
    task: spec.task,
    n: spec.n,
    time: new Date(now.wallMs).toISOString(),
    state: stateText(state),
    step: life.kind === 'stepping' ? (spec.steps[life.index]?.id ?? null) : null,
    elapsedMs: elapsedOf(state, now.monotonicMs),
    phase: spec.phases[state.phase] ?? null,
    progress: state.progress > 0 ? state.progress : null,
    waitsFor,
    stopping: stop !== null,
    slots: [...slots],
    cpus: [...(resources?.cpus ?? [])],
    steps: [...found].map(([id, step]) => stepOf(id, step, running.get(id) ?? 0)),
    processes: processRows(files, { before, after }, (pid) => pids.get(pid) ?? ''),
    isCut: pids.size > told.length || [...found.values()].some(({ isCut }) => isCut),
    ...gpusOf(context, state, pids),
    logBytes: sum(ended.map(({ logBytes }) => logBytes)) + sum(running.values()),
    checkpoint:
      last === undefined
        ? null
        : {
            number: last.number,
            files: last.files.length,
            bytes: sum(last.files.map(({ bytes }) => bytes)),
          },
    resumedWith: resumed?.path ?? null,
  };
}

function stateText({ life, spec }: AttemptState): string {
  if (life.kind === 'stepping') return spec.steps[life.index]?.step ?? life.kind;
  return life.kind === 'new' || life.kind === 'queued' ? 'accepted' : life.kind;
}

function elapsedOf({ originMs, elapsedMs }: AttemptState, nowMs: number): number {
  return originMs === null ? elapsedMs : Math.max(elapsedMs, Math.round(nowMs - originMs));
}

function stepOf(id: string, step: StepProcesses, logBytes: number): InspectedStep {
  const { rung, main: pid, meshrun, cgroup } = step;
  return { id, rung, pid, meshrun, cgroup, logBytes };
}

function gpusOf(
  { gpus: view }: InspectContext,
  { resources }: AttemptState,
  own: ReadonlyMap<number, string>,
): { readonly gpus: InspectedGpu[]; readonly gpuReason: string | null } {
  const given = resources?.gpus ?? [];
  if (given.length === 0) return { gpus: [], gpuReason: null };
  const seen = view();
  const gpus = given.map(({ id, index, name, memoryMiB }) => ({
    id,
    index,
    name,
    memoryMiB,
    sample: seen?.samples.find((sample) => sample.id === id) ?? null,
    users: usersOf(seen, id)?.map((user) => ({ ...user, own: own.has(user.pid) })) ?? null,
  }));
  return { gpus, gpuReason: seen?.reason ?? (seen === null ? 'nothing was sampled yet' : null) };
}

/** Null where nobody tells. */
function usersOf(seen: GpuView | null, id: string): readonly GpuProcess[] | null {
  if (seen === null || seen.users === null) return null;
  const users = seen.users.get(id);
  return users === undefined ? [] : users;
}
