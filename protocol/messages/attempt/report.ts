/**
 * What a benchmark says of itself in `$BENCHMESH_REPORT`, as its agent sums it up and passes it on.
 * docs/benchmarks.md is the same for people.
 */
import { z } from 'zod';

/** Which figure of a reported series is the metric's value. */
export const SeriesFigure = z.enum(['last', 'min', 'mean', 'max', 'p95', 'count']);
export type SeriesFigure = z.infer<typeof SeriesFigure>;

/** What a quantile sketch has counted (protocol/fold/quantile-sketch.ts), so that those of ranks can be merged. */
export const SketchState = z.object({
  /** Values too small for a bucket. */
  zeros: z.number().int().nonnegative(),
  /** Bucket and count, bucket and count ..., lowest first. */
  buckets: z.array(z.number().int()),
});
export type SketchState = z.infer<typeof SketchState>;

/** A metric that was reported more than once. `p95` is within 1 % of a sample at that rank. */
export const MetricSeries = z.object({
  /** The one that is the metric's value. */
  figure: SeriesFigure,
  count: z.number().int().positive(),
  last: z.number(),
  min: z.number(),
  mean: z.number(),
  max: z.number(),
  p95: z.number(),
  /** Of a rank of a gang: its values of at least 0, and the others without their sign. */
  sketch: z.object({ above: SketchState, below: SketchState }).optional(),
});
export type MetricSeries = z.infer<typeof MetricSeries>;

/** One value of a metric as it was reported. */
export const ReportedSample = z.object({
  /** When: as the line says, else when the agent read it; the host's wall clock. */
  timeMs: z.number().int(),
  /** Of the attempt, when the agent read it. */
  elapsedMs: z.number().nonnegative(),
  /** The benchmark's own; null before its first. */
  phase: z.string().nullable(),
  name: z.string(),
  value: z.number(),
  unit: z.string(),
});
export type ReportedSample = z.infer<typeof ReportedSample>;

/**
 * Samples that a benchmark reported, oldest first. On the attempt's metrics subject. They are numbered
 * by their place in the report, also by an agent that was started again: a number that was read before
 * says nothing new, and one that is left out was dropped.
 */
export const AttemptReported = z.object({
  first: z.number().int().nonnegative(),
  /** Of the attempt so far, because they could not be stored in time. */
  dropped: z.number().int().nonnegative(),
  samples: z.array(ReportedSample),
});

const amount = z.number().nonnegative();

/** Quantiles within 1 % of a latency at that rank; of the requests that went well. */
const Latency = z.object({
  min: amount,
  mean: amount,
  max: amount,
  p50: amount,
  p95: amount,
  p99: amount,
  /** Of a rank of a gang. */
  sketch: SketchState.optional(),
});

/** All requests of the phases that count. */
export const RequestSummary = z.object({
  total: z.number().int().positive(),
  ok: z.number().int().nonnegative(),
  errors: z.number().int().nonnegative(),
  /** The first of them, shortened; null where there is none. */
  firstError: z.string().nullable(),
  /** From the begin of the first to the end of the last. */
  durationMs: amount,
  /** Null where no request said how many. */
  tokens: amount.nullable(),
  tokensPerSecond: amount.nullable(),
  requestsPerSecond: amount.nullable(),
  latencyMs: Latency.nullable(),
});
export type RequestSummary = z.infer<typeof RequestSummary>;

export const MalformedLine = z.object({
  /** From 1. */
  number: z.number().int().positive(),
  line: z.string(),
  reason: z.string(),
});
export type MalformedLine = z.infer<typeof MalformedLine>;

/** What came by the report. */
export const ReportSummary = z.object({
  lines: z.number().int().nonnegative(),
  /** Of metrics, and how many of them BM_METRICS does not have. */
  samples: z.number().int().nonnegative(),
  dropped: z.number().int().nonnegative(),
  messages: z.number().int().nonnegative(),
  /** Lines that could not be read: how many, and the first of them. */
  malformed: z.number().int().nonnegative(),
  malformedLines: z.array(MalformedLine),
  requests: RequestSummary.nullable(),
});
export type ReportSummary = z.infer<typeof ReportSummary>;
