/**
 * One run of many short tasks on the whole fleet: whether each ended exactly once, how fast they were
 * handed out, what that cost, and how full the slots were while there was work to give.
 */
import type { EventRecord } from '#protocol/fold/record.ts';
import { STREAMS } from '#protocol/nats/streams/stream-configs.ts';
import { streamState } from '#protocol/nats/streams/stream-read.ts';
import { until } from '#test/support/until.ts';
import type { FleetMesh } from './fleet-mesh.ts';
import { matrixSuite } from './fleet-suite.ts';
import type { FleetOptions } from './options.ts';
import { CpuMeter, rssMiB } from './process-cpu.ts';
import { busyMs, sharedNowMs, slotTimesIn } from './slot-times.ts';

export interface MatrixFigures {
  readonly run: string;
  readonly tasks: number;
  /** From the submit until every start was with its agent: the queue is empty then. */
  readonly queueMs: number;
  /** From the submit until the last task was over, and until the run's directory was whole. */
  readonly endedMs: number;
  readonly archivedMs: number;
  /** The CLI's submit, from its begin to its end. */
  readonly submitMs: number;
  /** Until each slot had something to do: as many starts as slots. */
  readonly filledMs: number;
  readonly startsPerSecond: number;
  /** Of the first starts, as many as the fleet takes at once: nothing held them up. */
  readonly fillPerSecond: number;
  /** Busy slot-time over slot-time from the submit, and from the first fill, until the queue was empty. */
  readonly utilisation: number;
  readonly utilisationFilled: number;
  /** From the end of an attempt to the begin of the next on its slot, while the queue had tasks. */
  readonly gapsMs: { readonly p50: number; readonly p99: number; readonly most: number };
  /** Shares of a core until the queue was empty. */
  readonly cpu: Readonly<Record<string, number>>;
  /** CPU time until then over the starts, ms: it does not move with what else the machine does, as times do. */
  readonly cpuPerStartMs: Readonly<Record<string, number>>;
  readonly coordinatorMiB: number;
  /** At the empty queue: what is stored of the run, over what the streams may hold. */
  readonly storedShare: { readonly commands: number; readonly events: number };
}

/** Throws an Error where a task did not end exactly once. */
export async function matrixRound(mesh: FleetMesh, options: FleetOptions): Promise<MatrixFigures> {
  const slots = options.agents * options.slots;
  await mesh.reports();
  const meter = new CpuMeter(mesh.pids());
  const submittedMs = sharedNowMs();
  const run = await mesh.submit(matrixSuite(options));
  const submitMs = sharedNowMs() - submittedMs;
  await until(async () => (await mesh.info()).pending === 0, 'the queue to be empty', LONGEST_MS);
  const cpu = meter.shares();
  const usedMs = Object.entries(meter.usedMs());
  const [pid = NaN] = mesh.pids().coordinator;
  const coordinatorMiB = rssMiB(pid);
  const storedShare = {
    commands: await storedShareOf(mesh, STREAMS.commands),
    events: await storedShareOf(mesh, STREAMS.events),
  };
  const tasks = await until(
    () => mesh.archivedLines(run, 'tasks.ndjson'),
    'the directory of the run',
    LONGEST_MS,
  );
  const archivedAtMs = sharedNowMs();
  const reports = await mesh.reports();
  checkTasks(tasks, options.tasks);
  checkEnds((await mesh.archivedLines(run, 'events.ndjson')) ?? [], options.tasks);
  checkBegun(
    reports.flatMap(({ begun }) => begun),
    options.tasks,
  );
  await mesh.cli('audit', run);

  const startsMs = Float64Array.from(reports.flatMap((one) => [...one.startsMs])).sort();
  const times = reports.flatMap((one) => [...slotTimesIn(one.times)]);
  const [firstMs = NaN, emptyMs = NaN] = [startsMs[0], startsMs.at(-1)];
  const filledAtMs = startsMs[Math.min(slots, startsMs.length) - 1] ?? NaN;
  const fill = Math.min(2 * slots, startsMs.length);
  const gaps = Float64Array.from(
    times.filter(({ gapMs, beganMs }) => gapMs >= 0 && beganMs <= emptyMs).map((at) => at.gapMs),
  ).sort();
  const used = (fromMs: number): number =>
    busyMs(times, { fromMs, toMs: emptyMs }) / (slots * (emptyMs - fromMs));
  return {
    run,
    tasks: options.tasks,
    submitMs,
    queueMs: emptyMs - submittedMs,
    endedMs: times.reduce((last, at) => Math.max(last, at.beganMs + at.askedMs), 0) - submittedMs,
    archivedMs: archivedAtMs - submittedMs,
    filledMs: filledAtMs - submittedMs,
    startsPerSecond: (startsMs.length / (emptyMs - firstMs)) * 1_000,
    fillPerSecond: (fill / ((startsMs[fill - 1] ?? NaN) - firstMs)) * 1_000,
    utilisation: used(submittedMs),
    utilisationFilled: used(filledAtMs),
    gapsMs: { p50: quantile(gaps, 0.5), p99: quantile(gaps, 0.99), most: gaps.at(-1) ?? NaN },
    cpu,
    cpuPerStartMs: Object.fromEntries(usedMs.map(([part, ms]) => [part, ms / options.tasks])),
    coordinatorMiB,
    storedShare,
  };
}

async function storedShareOf({ connection }: FleetMesh, stream: string): Promise<number> {
  const { bytes, maxBytes } = await streamState(connection, stream);
  return bytes / maxBytes;
}

/** A bound on hanging. */
const LONGEST_MS = 3_600_000;

/** Of sorted values. */
function quantile(values: Float64Array, share: number): number {
  return values[Math.min(values.length - 1, Math.floor(values.length * share))] ?? NaN;
}

function checkTasks(lines: readonly string[], count: number): void {
  const rows = lines.map(
    (line) => JSON.parse(line) as { id: string; outcome: string; attempts: number },
  );
  if (new Set(rows.map(({ id }) => id)).size !== count || rows.length !== count)
    throw new Error(`${rows.length} tasks are in the results, ${count} were submitted`);
  const odd = rows.find(({ outcome, attempts }) => outcome !== 'passed' || attempts !== 1);
  if (odd !== undefined) throw new Error(`a task did not pass at once: ${JSON.stringify(odd)}`);
}

/** Each task has one end in the log (I4). */
function checkEnds(lines: readonly string[], count: number): void {
  const ends = new Map<string, number>();
  const end = (task: string): void => {
    ends.set(task, (ends.get(task) ?? 0) + 1);
  };
  for (const line of lines) {
    const { subject, message } = JSON.parse(line) as EventRecord;
    if (message.name === 'run.tasks_ended') message.data.tasks.forEach(end);
    if (message.name === 'task.ended') end(subject.split('.').at(-1) ?? '');
  }
  const odd = [...ends].find(([, times]) => times !== 1);
  if (odd !== undefined) throw new Error(`task ${odd[0]} ended ${odd[1]} times`);
  if (ends.size !== count) throw new Error(`${ends.size} of ${count} tasks have ended`);
}

function checkBegun(keys: readonly string[], count: number): void {
  if (keys.length === count && new Set(keys).size === count) return;
  throw new Error(`${keys.length} attempts began on the agents, of ${new Set(keys).size} tasks`);
}
