/** What the sampler keeps of an attempt: its steps' processes, its summary, its samples on their way. */
import type { AttemptSample, GpuSample, HostSample } from '#protocol/messages/agent/telemetry.ts';
import { seenBy, type Foreign } from './gpu-scope.ts';
import type { SampleSeries } from './sample-batch.ts';
import type { MeasuredStep, StepUse } from './measured-step.ts';
import { AttemptSummary } from './summary.ts';
import type { MeasuredAttempt } from './telemetry.ts';

/** Less is mostly rounding: CPU time comes in ticks of 10 ms. The next sample has it. */
const LEAST_SPAN_MS = 200;

const NO_PIDS: ReadonlySet<number> = new Set();

/** All steps of an attempt in one tick. */
export interface AttemptUse {
  readonly cpuMs: number;
  readonly rssBytes: number;
  readonly privateBytes: number;
  readonly read: number | null;
  readonly written: number | null;
  readonly processes: number;
  readonly pids: ReadonlySet<number>;
  /** Null where no cgroup tells it. */
  readonly chargedBytes: number | null;
  readonly isCut: boolean;
  readonly isCpuCut: boolean;
}

export class AttemptEntry {
  readonly attempt: MeasuredAttempt;
  readonly summary: AttemptSummary;
  readonly series: SampleSeries<'attempt.sampled'>;
  readonly steps = new Map<string, MeasuredStep>();
  /** Used since the last sample. */
  #cpuMs = 0;
  #read = 0;
  #written = 0;
  #sinceMs = 0;

  constructor(attempt: MeasuredAttempt, series: SampleSeries<'attempt.sampled'>, everyMs: number) {
    this.attempt = attempt;
    this.series = series;
    this.summary = new AttemptSummary(everyMs);
    const elapsedMs = attempt.elapsedMs();
    if (attempt.isResumed && elapsedMs >= everyMs)
      this.summary.gap(0, elapsedMs, 'the agent was started again');
  }

  addStep(stepDir: string, step: MeasuredStep, nowMs: number): void {
    if (this.steps.size === 0) this.#restart(nowMs);
    this.steps.set(stepDir, step);
  }

  #restart(nowMs: number): void {
    this.#cpuMs = 0;
    this.#read = 0;
    this.#written = 0;
    this.#sinceMs = nowMs;
  }

  /** The sample of this tick; null where it is too soon for one. */
  sample(
    use: AttemptUse,
    now: { readonly wallMs: number; readonly monotonicMs: number },
  ): AttemptSample | null {
    this.#cpuMs += use.cpuMs;
    this.#read += use.read ?? 0;
    this.#written += use.written ?? 0;
    const spanMs = now.monotonicMs - this.#sinceMs;
    // Without processes it is over, and its end on the way: no memory is no measurement.
    if (spanMs < LEAST_SPAN_MS || use.processes === 0) return null;
    const perSecond = (amount: number): number => Math.round((amount / spanMs) * 1_000);
    const sample: AttemptSample = {
      timeMs: Math.round(now.wallMs),
      spanMs: Math.round(spanMs),
      elapsedMs: Math.round(this.attempt.elapsedMs()),
      // Of part of the processes it would be too little, and look like peace.
      cores: use.isCpuCut ? null : milli(this.#cpuMs / spanMs),
      rssBytes: use.rssBytes,
      privateBytes: use.privateBytes,
      ...(use.chargedBytes === null ? {} : { chargedBytes: use.chargedBytes }),
      readBps: use.read === null ? null : perSecond(this.#read),
      writeBps: use.written === null ? null : perSecond(this.#written),
      processes: use.processes,
    };
    this.#restart(now.monotonicMs);
    return sample;
  }

  take(
    own: AttemptSample,
    host: HostSample,
    seen: {
      readonly neighbourCores: number;
      readonly isCut: boolean;
      readonly foreignTo: (gpu: GpuSample) => Foreign;
    },
  ): void {
    const { isExclusive, gpus } = this.attempt;
    const neighbourCores = isExclusive ? seen.neighbourCores : null;
    const around = seenBy(host, { given: gpus(), isExclusive }, seen.foreignTo);
    this.summary.add({ own, host: around, neighbourCores, isCut: seen.isCut });
    this.series.add(own);
  }
}

/** Null where none of the steps was found. */
export function sumOf(uses: readonly StepUse[]): AttemptUse | null {
  if (uses.length === 0) return null;
  const sum = (of: (use: StepUse) => number): number => uses.reduce((all, use) => all + of(use), 0);
  const hasIo = uses.some(({ io }) => io !== null);
  return {
    cpuMs: sum((use) => use.cpuMs),
    rssBytes: sum((use) => use.rssBytes),
    privateBytes: sum((use) => use.privateBytes),
    read: hasIo ? sum((use) => use.io?.read ?? 0) : null,
    written: hasIo ? sum((use) => use.io?.written ?? 0) : null,
    processes: sum((use) => use.pids.size),
    pids:
      uses.length === 1
        ? (uses[0]?.pids ?? NO_PIDS)
        : new Set(uses.flatMap((use) => [...use.pids])),
    chargedBytes: uses.every((use) => use.chargedBytes !== null)
      ? sum((use) => use.chargedBytes ?? 0)
      : null,
    isCut: uses.some((use) => use.isCut),
    isCpuCut: uses.some((use) => use.isCpuCut),
  };
}

export function milli(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
