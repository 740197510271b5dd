/**
 * What an agent measures of its host and of each attempt's processes while attempts run, once a second,
 * and what it sums up of that in the attempt's result. Only writer: the agent, on its own subjects of
 * BM_METRICS, which drop their oldest: whatever must last is in the result.
 *
 * A value that could not be had is null. Rates and shares are of the time since the sample before.
 * Samples of host and attempts taken together have the same `timeMs`.
 */
import { z } from 'zod';

const amount = z.number().nonnegative().nullable();
const ratio = z.number().min(0).max(1).nullable();

/** Why a GPU's clocks are lower than asked for, as the driver names it. */
export const ClockReason = z.enum([
  'idle',
  'applications_clocks',
  'sw_power_cap',
  'hw_slowdown',
  'sync_boost',
  'sw_thermal',
  'hw_thermal',
  'hw_power_brake',
  'display_clocks',
]);
export type ClockReason = z.infer<typeof ClockReason>;

export const GpuSample = z.object({
  index: z.number().int().nonnegative().nullable(),
  /** As in the registration: its UUID. */
  id: z.string(),
  utilisationPercent: amount,
  memoryUtilisationPercent: amount,
  memoryUsedMiB: amount,
  powerW: amount,
  temperatureC: amount,
  smMHz: amount,
  memoryMHz: amount,
  clockReasons: z.array(ClockReason).nullable(),
  /** Processes on it that belong to no attempt of this agent; null where that cannot be told. */
  foreign: z.array(z.object({ pid: z.number().int(), name: z.string() })).nullable(),
});
export type GpuSample = z.infer<typeof GpuSample>;

export const HostSample = z.object({
  /** The host's wall clock. */
  timeMs: z.number().int(),
  spanMs: z.number().nonnegative(),
  /** That had processes. */
  attempts: z.number().int().nonnegative(),
  cpus: z.number().int().positive(),
  /** Of all CPUs together. */
  cpuBusy: ratio,
  cpuIowait: ratio,
  cpuSteal: ratio,
  /** Used by what is neither an attempt nor this agent; 1 is one CPU. */
  otherCores: amount,
  load1: amount,
  memoryUsedBytes: amount,
  memoryAvailableBytes: amount,
  swapUsedBytes: amount,
  diskReadBps: amount,
  diskWriteBps: amount,
  /** Of the busiest disk. */
  diskBusy: ratio,
  /** The agent with its helpers: meshrun and vendors' tools. */
  agentCores: amount,
  agentRssBytes: amount,
  gpus: z.array(GpuSample),
  /** Why the GPUs' values are missing; null where nothing is. */
  gpuReason: z.string().nullable(),
});
export type HostSample = z.infer<typeof HostSample>;

/** Of all processes of an attempt together. */
export const AttemptSample = z.object({
  timeMs: z.number().int(),
  spanMs: z.number().nonnegative(),
  /** Of the attempt, as in its events. */
  elapsedMs: z.number().nonnegative(),
  cores: amount,
  /** Sum over the processes: memory they share counts in each. */
  rssBytes: amount,
  /** The same without what is shared. */
  privateBytes: amount,
  /** All that the kernel charges to its cgroups, caches of files too; absent where no controller tells. */
  chargedBytes: amount.optional(),
  /** From and to disks, as far as the kernel tells it of living processes. */
  readBps: amount,
  writeBps: amount,
  processes: z.number().int().nonnegative(),
});
export type AttemptSample = z.infer<typeof AttemptSample>;

const batch = {
  /** Number of the first sample in its series, of this agent process: from 0, without holes but `dropped`. */
  first: z.number().int().nonnegative(),
  /** Samples of the series so far that were dropped, because they could not be stored in time. */
  dropped: z.number().int().nonnegative(),
};

/** Samples of the host, oldest first. On the host's metrics subject. */
export const HostSampled = z.object({ ...batch, samples: z.array(HostSample) });

/** Samples of an attempt, oldest first. On the attempt's metrics subject. */
export const AttemptSampled = z.object({ ...batch, samples: z.array(AttemptSample) });

/** Over all samples that had the value. `p95` is within 1 % of a sample at that rank. */
export const SeriesSummary = z.object({
  unit: z.string(),
  count: z.number().int().positive(),
  min: z.number(),
  mean: z.number(),
  max: z.number(),
  p95: z.number(),
});
export type SeriesSummary = z.infer<typeof SeriesSummary>;

export const PerturbationReason = z.enum([
  /** Something that is neither an attempt nor the agent used CPU. */
  'other_cpu',
  /** The hypervisor gave the host's CPUs to another guest. */
  'cpu_stolen',
  /** The attempt has the host to itself, and processes of another attempt ran. */
  'neighbour',
  'gpu_throttled',
  /** A process that belongs to no attempt was on a GPU. */
  'gpu_foreign',
]);
export type PerturbationReason = z.infer<typeof PerturbationReason>;

export const Perturbation = z.object({
  reason: PerturbationReason,
  /** Id of the GPU; null for what is about the host. */
  gpu: z.string().nullable(),
  /** How long it was seen, and the share of the sampled time that is. */
  seconds: z.number().nonnegative(),
  share: z.number().min(0).max(1),
  /** Over the whole sampled time; null where there is no amount. */
  mean: z.number().nullable(),
  max: z.number().nullable(),
  /** `cores`, `ratio`; null where there is no amount. */
  unit: z.string().nullable(),
  /** Clock reasons, or processes. */
  what: z.array(z.string()),
});
export type Perturbation = z.infer<typeof Perturbation>;

/** A time within the attempt, by its elapsed time, of which there are no samples. */
export const SampleGap = z.object({
  fromMs: z.number().nonnegative(),
  toMs: z.number().nonnegative(),
  reason: z.string(),
});
export type SampleGap = z.infer<typeof SampleGap>;

/** What of an attempt was measured, from how much. */
export const AttemptTelemetry = z.object({
  everyMs: z.number().positive(),
  samples: z.number().int().positive(),
  /** Elapsed time of the attempt at the begin of the first sample and at the last one. */
  fromMs: z.number().nonnegative(),
  toMs: z.number().nonnegative(),
  /** Time the samples cover: less than the span where the attempt was between steps. */
  coveredMs: z.number().nonnegative(),
  gaps: z.array(SampleGap),
  /** Samples in this summary that BM_METRICS does not have. */
  dropped: z.number().int().nonnegative(),
  series: z.record(z.string(), SeriesSummary),
  /** What could not be measured, and why. */
  problems: z.array(z.string()),
  /** Null: nothing above the thresholds was seen. */
  perturbed: z.array(Perturbation).nullable(),
});
export type AttemptTelemetry = z.infer<typeof AttemptTelemetry>;
