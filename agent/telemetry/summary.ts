/**
 * Sums up an attempt's samples, and those of its host while it ran, into what its result says. Pure, and
 * of bounded size however long it runs: a sketch for each series, the gaps that matter most.
 */
import type {
  AttemptSample,
  AttemptTelemetry,
  GpuSample,
  HostSample,
  SampleGap,
  SeriesSummary,
} from '#protocol/messages/agent/telemetry.ts';
import { PerturbationTally } from './perturbation-policy.ts';
import { QuantileSketch } from '#protocol/fold/quantile-sketch.ts';

/** Series of that many GPUs: a host with more has them in its samples. */
const MOST_GPUS = 16;
const MOST_GAPS = 32;
const MOST_PROBLEMS = 8;
/** A host's sample counts for an attempt that was there for at least so much of it. */
const LEAST_OVERLAP = 0.5;

type Value = number | null;
/** Name, unit, and where the value is. docs/telemetry.md lists them. */
type Series<From> = readonly [string, string, (from: From) => Value];

const OWN: readonly Series<AttemptSample>[] = [
  ['cpu', 'cores', (sample) => sample.cores],
  ['memory.rss', 'bytes', (sample) => sample.rssBytes],
  ['memory.private', 'bytes', (sample) => sample.privateBytes],
  ['memory.cgroup', 'bytes', (sample) => sample.chargedBytes ?? null],
  ['disk.read', 'bytes/s', (sample) => sample.readBps],
  ['disk.write', 'bytes/s', (sample) => sample.writeBps],
  ['processes', 'count', (sample) => sample.processes],
];
const HOST: readonly Series<HostSample>[] = [
  ['host.cpu.busy', 'ratio', (sample) => sample.cpuBusy],
  ['host.cpu.iowait', 'ratio', (sample) => sample.cpuIowait],
  ['host.cpu.steal', 'ratio', (sample) => sample.cpuSteal],
  ['host.cpu.other', 'cores', (sample) => sample.otherCores],
  ['host.load1', 'count', (sample) => sample.load1],
  ['host.memory.used', 'bytes', (sample) => sample.memoryUsedBytes],
  ['host.swap.used', 'bytes', (sample) => sample.swapUsedBytes],
  ['host.disk.read', 'bytes/s', (sample) => sample.diskReadBps],
  ['host.disk.write', 'bytes/s', (sample) => sample.diskWriteBps],
  ['host.disk.busy', 'ratio', (sample) => sample.diskBusy],
  ['agent.cpu', 'cores', (sample) => sample.agentCores],
  ['agent.memory.rss', 'bytes', (sample) => sample.agentRssBytes],
];
const GPU: readonly Series<HostSample['gpus'][number]>[] = [
  ['utilisation', 'percent', (gpu) => gpu.utilisationPercent],
  ['memory.utilisation', 'percent', (gpu) => gpu.memoryUtilisationPercent],
  ['memory.used', 'MiB', (gpu) => gpu.memoryUsedMiB],
  ['power', 'W', (gpu) => gpu.powerW],
  ['temperature', 'C', (gpu) => gpu.temperatureC],
  ['clock.sm', 'MHz', (gpu) => gpu.smMHz],
  ['clock.memory', 'MHz', (gpu) => gpu.memoryMHz],
];

/** One tick of the sampler for one attempt. */
export interface Tick {
  readonly own: AttemptSample;
  readonly host: HostSample;
  /** Cores of other attempts; null where the attempt does not have the host to itself. */
  readonly neighbourCores: number | null;
  /** Not all of its processes could be looked at. */
  readonly isCut: boolean;
}

export class AttemptSummary {
  readonly #everyMs: number;
  readonly #series = new Map<string, { readonly unit: string; readonly sketch: QuantileSketch }>();
  readonly #prefixes = new Map<string, string>();
  readonly #tally = new PerturbationTally();
  readonly #gaps: SampleGap[] = [];
  readonly #problems = new Set<string>();
  #samples = 0;
  #fromMs = 0;
  #toMs = 0;
  #coveredMs = 0;

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  add({ own, host, neighbourCores, isCut }: Tick): void {
    if (this.#samples === 0) this.#fromMs = Math.max(0, own.elapsedMs - own.spanMs);
    this.#samples += 1;
    this.#toMs = Math.max(this.#toMs, own.elapsedMs);
    this.#coveredMs += own.spanMs;
    for (const [name, unit, value] of OWN) this.#put(name, unit, value(own));
    if (isCut) this.problem('there were more processes or threads than are looked at');
    if (own.spanMs < host.spanMs * LEAST_OVERLAP) return;
    for (const [name, unit, value] of HOST) this.#put(name, unit, value(host));
    host.gpus.slice(0, MOST_GPUS).forEach((gpu, at) => {
      const prefix = this.#prefixOf(gpu, at);
      for (const [name, unit, value] of GPU) this.#put(`${prefix}.${name}`, unit, value(gpu));
    });
    if (host.gpuReason !== null) this.problem(host.gpuReason);
    const { spanMs, cpus, otherCores, cpuSteal, gpus } = host;
    this.#tally.add({ spanMs, cpus, otherCores, cpuSteal, neighbourCores, gpus });
  }

  /** No samples from `fromMs` to `toMs` of the attempt's elapsed time. */
  gap(fromMs: number, toMs: number, reason: string): void {
    const last = this.#gaps.at(-1);
    if (this.#gaps.length >= MOST_GAPS && last !== undefined) {
      // From here on only where they begin and end: never fewer than there were.
      this.#gaps[MOST_GAPS - 1] = { ...last, toMs, reason: 'several' };
    } else this.#gaps.push({ fromMs: whole(fromMs), toMs: whole(toMs), reason });
  }

  problem(text: string): void {
    if (this.#problems.size < MOST_PROBLEMS) this.#problems.add(text);
  }

  /** Null where there is no sample. */
  result(dropped: number): AttemptTelemetry | null {
    if (this.#samples === 0) return null;
    return {
      everyMs: this.#everyMs,
      samples: this.#samples,
      fromMs: whole(this.#fromMs),
      toMs: whole(this.#toMs),
      coveredMs: whole(this.#coveredMs),
      gaps: [...this.#gaps],
      dropped,
      series: Object.fromEntries(
        [...this.#series].flatMap(([name, { unit, sketch }]) => {
          const summary = summaryOf(unit, sketch);
          return summary === null ? [] : [[name, summary]];
        }),
      ),
      problems: [...this.#problems],
      perturbed: this.#tally.verdict(),
    };
  }

  /** By its index; by its id where GPUs of two vendors have the same. */
  #prefixOf({ id, index }: GpuSample, at: number): string {
    const prefix = `gpu.${index ?? at}`;
    const owner = this.#prefixes.get(prefix) ?? id;
    this.#prefixes.set(prefix, owner);
    return owner === id ? prefix : `gpu.${id}`;
  }

  #put(name: string, unit: string, value: Value): void {
    if (value === null) return;
    const series = this.#series.get(name) ?? { unit, sketch: new QuantileSketch() };
    this.#series.set(name, series);
    series.sketch.add(value);
  }
}

function summaryOf(unit: string, sketch: QuantileSketch): SeriesSummary | null {
  const found = sketch.distribution();
  if (found === null) return null;
  const { count, min, mean, max, p95 } = found;
  return { unit, count, min: brief(min), mean: brief(mean), max: brief(max), p95: brief(p95) };
}

/** Six digits are more than a sample has. */
function brief(value: number): number {
  return Number(value.toPrecision(6));
}

const whole = (ms: number): number => Math.max(0, Math.round(ms));
