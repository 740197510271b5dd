/**
 * Whether an attempt was measured in peace (I10): what counts as something else using the host, or as
 * throttled clocks, and from where on it is said. Pure. docs/telemetry.md gives the reasons for each.
 *
 * What lies below is what a quiet host does anyway: kernel threads, a metrics daemon, a clock change.
 * Each is judged over the whole attempt and, for what comes in bursts, over the time it was strong.
 */
import type { GpuSample, Perturbation, PerturbationReason } from '#protocol/messages/agent/telemetry.ts';
import { THROTTLING } from './clock-reasons.ts';

export const THRESHOLDS = {
  /** Mean over the attempt, in cores: the larger of the two. */
  otherMeanCores: 0.1,
  otherMeanShare: 0.02,
  /** A burst: so many cores or such a share of the host, whichever is more, for so long together. */
  otherBurstCores: 0.5,
  otherBurstShare: 0.1,
  otherBurstSeconds: 3,
  stolenMean: 0.01,
  stolenBurst: 0.05,
  stolenBurstSeconds: 3,
  /** Of other attempts beside one that has the host to itself. */
  neighbourCores: 0.05,
  neighbourSeconds: 1,
  /** Both must be reached: a change of clocks may show a reason for a moment. */
  throttledSeconds: 2,
  throttledShare: 0.01,
  foreignSeconds: 1,
} as const;

/** Of one reason; the others are as bad. */
const MOST_NAMED = 8;

/** One second of the host, as an attempt sees it. */
export interface Surroundings {
  readonly spanMs: number;
  readonly cpus: number;
  readonly otherCores: number | null;
  readonly cpuSteal: number | null;
  /** Cores of other attempts of this agent; null where they are welcome. */
  readonly neighbourCores: number | null;
  readonly gpus: readonly Pick<GpuSample, 'id' | 'clockReasons' | 'foreign'>[];
}

/** How much and how long. */
class Extent {
  #weightedSum = 0;
  #knownMs = 0;
  max = 0;
  seenMs = 0;

  add(value: number | null, spanMs: number, isSeen: boolean): void {
    if (value === null) return;
    this.#weightedSum += value * spanMs;
    this.#knownMs += spanMs;
    this.max = Math.max(this.max, value);
    if (isSeen) this.seenMs += spanMs;
  }

  get mean(): number {
    return this.#knownMs === 0 ? 0 : this.#weightedSum / this.#knownMs;
  }
}

interface Named {
  ms: number;
  readonly what: Set<string>;
}

export class PerturbationTally {
  #spanMs = 0;
  #cpus = 1;
  readonly #other = new Extent();
  readonly #stolen = new Extent();
  readonly #neighbour = new Extent();
  readonly #throttled = new Map<string, Named>();
  readonly #foreign = new Map<string, Named>();

  add(seen: Surroundings): void {
    const { spanMs, cpus, otherCores, cpuSteal, neighbourCores } = seen;
    this.#spanMs += spanMs;
    this.#cpus = cpus;
    const burst = Math.max(THRESHOLDS.otherBurstCores, THRESHOLDS.otherBurstShare * cpus);
    this.#other.add(otherCores, spanMs, (otherCores ?? 0) >= burst);
    this.#stolen.add(cpuSteal, spanMs, (cpuSteal ?? 0) >= THRESHOLDS.stolenBurst);
    const isBeside = (neighbourCores ?? 0) >= THRESHOLDS.neighbourCores;
    this.#neighbour.add(neighbourCores, spanMs, isBeside);
    for (const gpu of seen.gpus) {
      const throttling = gpu.clockReasons?.filter((reason) => THROTTLING.has(reason)) ?? [];
      note(this.#throttled, gpu.id, { spanMs, what: throttling });
      const foreign = gpu.foreign?.map(({ pid, name }) => `${name} (${pid})`) ?? [];
      note(this.#foreign, gpu.id, { spanMs, what: foreign });
    }
  }

  /** The verdict so far; null for peace. */
  verdict(): Perturbation[] | null {
    const found = [
      ...this.#ofHost('other_cpu', this.#other, 'cores', this.#isOther()),
      ...this.#ofHost('cpu_stolen', this.#stolen, 'ratio', this.#isStolen()),
      ...this.#ofHost('neighbour', this.#neighbour, 'cores', this.#isNeighbour()),
      ...Array.from(this.#throttled, ([gpu, named]) => this.#ofGpu('gpu_throttled', gpu, named)),
      ...Array.from(this.#foreign, ([gpu, named]) => this.#ofGpu('gpu_foreign', gpu, named)),
    ].filter((one) => one !== null);
    return found.length === 0 ? null : found;
  }

  #isOther(): boolean {
    const mean = Math.max(THRESHOLDS.otherMeanCores, THRESHOLDS.otherMeanShare * this.#cpus);
    return this.#other.mean >= mean || this.#other.seenMs >= THRESHOLDS.otherBurstSeconds * 1_000;
  }

  #isStolen(): boolean {
    const { stolenMean, stolenBurstSeconds } = THRESHOLDS;
    return this.#stolen.mean >= stolenMean || this.#stolen.seenMs >= stolenBurstSeconds * 1_000;
  }

  #isNeighbour(): boolean {
    return this.#neighbour.seenMs >= THRESHOLDS.neighbourSeconds * 1_000;
  }

  #ofHost(
    reason: PerturbationReason,
    extent: Extent,
    unit: string,
    isSaid: boolean,
  ): Perturbation[] {
    if (!isSaid) return [];
    const amounts = { mean: rounded(extent.mean), max: rounded(extent.max), unit };
    return [{ reason, gpu: null, ...this.#time(extent.seenMs), ...amounts, what: [] }];
  }

  #ofGpu(
    reason: 'gpu_throttled' | 'gpu_foreign',
    gpu: string,
    { ms, what }: Named,
  ): Perturbation | null {
    const { throttledSeconds, throttledShare, foreignSeconds } = THRESHOLDS;
    const time = this.#time(ms);
    const isSaid =
      reason === 'gpu_foreign'
        ? time.seconds >= foreignSeconds
        : time.seconds >= throttledSeconds && time.share >= throttledShare;
    if (!isSaid) return null;
    return { reason, gpu, ...time, mean: null, max: null, unit: null, what: [...what] };
  }

  #time(ms: number): { readonly seconds: number; readonly share: number } {
    const share = this.#spanMs === 0 ? 0 : Math.min(1, ms / this.#spanMs);
    return { seconds: rounded(ms / 1_000), share: rounded(share) };
  }
}

function note(
  by: Map<string, Named>,
  gpu: string,
  { spanMs, what }: { readonly spanMs: number; readonly what: readonly string[] },
): void {
  if (what.length === 0) return;
  const named = by.get(gpu) ?? { ms: 0, what: new Set<string>() };
  by.set(gpu, named);
  named.ms += spanMs;
  for (const one of what) if (named.what.size < MOST_NAMED) named.what.add(one);
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
