/**
 * What the ranks of a gang have measured, as the gang's: of each metric one value, by its operator. Pure.
 *
 * 1. What one rank alone has stands as that rank has it, each of its measurements.
 * 2. `merge`, the default of reported metrics: the metric's figure over the samples of all ranks. The default
 *    of others is `mean`.
 * 3. With `sum`, `mean`, `max` and `min` a rank counts once: several measurements of one rank are their mean
 *    first (the largest for `max`, the smallest for `min`).
 * 4. Requests are summed up over all ranks: counts and rates are sums, quantiles of all latencies together.
 */
import type { Metric } from '../messages/attempt/outcome.ts';
import type { MetricSeries, ReportSummary, RequestSummary } from '../messages/attempt/report.ts';
import { QuantileSketch } from './quantile-sketch.ts';
import { requestMetrics } from './request-metrics.ts';

const REQUESTS = 'requests.';
const MALFORMED_SHOWN = 20;
/** What summing up may have added in the last digits of a double is no measurement. */
const DIGITS = 12;

/** What one rank has. */
export interface RankFigures {
  readonly metrics: readonly Metric[];
  readonly requests: RequestSummary | null;
}

export function metricsAcross(ranks: readonly RankFigures[]): Metric[] {
  const requests = requestsAcross(ranks.map((rank) => rank.requests));
  const found = new Map<string, Metric[][]>();
  for (const { metrics } of ranks) {
    const own = grouped(metrics, ({ name, unit }) => `${name} ${unit}`);
    for (const [key, measurements] of own)
      found.set(key, [...(found.get(key) ?? []), measurements]);
  }
  const named = [...found.values()].filter(([first]) => isMeasured(first, requests));
  return [...named.flatMap(across), ...requestMetrics(requests)];
}

/** Figures of requests are made anew, where it is known of what. */
function isMeasured(of: readonly Metric[] | undefined, requests: RequestSummary | null): boolean {
  return requests === null || of?.[0]?.name.startsWith(REQUESTS) !== true;
}

/** `values`: of each rank that has the metric its measurements. */
function across(values: readonly (readonly Metric[])[]): Metric[] {
  const [first] = values[0] ?? [];
  if (first === undefined) return [];
  const ranks = values.length;
  if (ranks === 1)
    return (values[0] ?? []).map(({ series, ...metric }) => ({
      ...metric,
      ...(series === undefined || series.count === 1 ? {} : { series: shown(series) }),
      ranks,
    }));
  const series = values.flatMap((own) => own.flatMap((one) => one.series ?? []));
  const merged = series.length === ranks ? mergedSeries(series) : null;
  const { name, unit, direction } = first;
  const by = first.across ?? (merged === null ? 'mean' : 'merge');
  const value =
    by === 'merge' && merged !== null
      ? merged[merged.figure]
      : combined(
          by,
          values.map((own) => own.map((one) => one.value)),
        );
  return [
    {
      ...{ name, value, unit, direction },
      ...(merged === null ? {} : { series: merged }),
      ...{ across: by, ranks },
    },
  ];
}

function shown({ sketch: _, ...series }: MetricSeries): MetricSeries {
  return series;
}

function combined(
  by: NonNullable<Metric['across']>,
  ranks: readonly (readonly number[])[],
): number {
  switch (by) {
    case 'max':
      return Math.max(...ranks.map((own) => Math.max(...own)));
    case 'min':
      return Math.min(...ranks.map((own) => Math.min(...own)));
    case 'sum':
      return brief(sum(ranks.map(mean)));
    case 'mean':
    case 'merge':
      return brief(mean(ranks.map(mean)));
  }
}

/** Of all samples together; `last` is the mean of what each rank had last. */
export function mergedSeries(all: readonly MetricSeries[]): MetricSeries {
  const [above, below] = [new QuantileSketch(), new QuantileSketch()];
  for (const { sketch } of all) {
    if (sketch === undefined) continue;
    above.merge(sketch.above);
    below.merge(sketch.below);
  }
  const count = sum(all.map((one) => one.count));
  const min = Math.min(...all.map((one) => one.min));
  const max = Math.max(...all.map((one) => one.max));
  const within = (value: number): number => Math.min(max, Math.max(min, brief(value)));
  const rank = Math.ceil(0.95 * (above.count + below.count));
  const p95 =
    rank <= below.count ? -below.atRank(below.count - rank + 1) : above.atRank(rank - below.count);
  return {
    figure: all[0]?.figure ?? 'mean',
    count,
    last: brief(mean(all.map((one) => one.last))),
    min,
    mean: within(sum(all.map((one) => (one.mean / count) * one.count))),
    max,
    // Of ranks that told no sketch the largest is nearest.
    p95: above.count + below.count === 0 ? Math.max(...all.map((one) => one.p95)) : within(p95),
  };
}

/** Null where no rank had any. */
export function requestsAcross(all: readonly (RequestSummary | null)[]): RequestSummary | null {
  const own = all.filter((one) => one !== null);
  const [first] = own;
  if (first === undefined) return null;
  const total = (of: (one: RequestSummary) => number): number => sum(own.map(of));
  const rate = (of: (one: RequestSummary) => number | null): number | null => {
    const rates = own.map(of).filter((one) => one !== null);
    return rates.length === 0 ? null : brief(sum(rates));
  };
  return {
    total: total((one) => one.total),
    ok: total((one) => one.ok),
    errors: total((one) => one.errors),
    firstError: own.find(({ firstError }) => firstError !== null)?.firstError ?? null,
    durationMs: Math.max(...own.map((one) => one.durationMs)),
    tokens: rate((one) => one.tokens),
    tokensPerSecond: rate((one) => one.tokensPerSecond),
    requestsPerSecond: rate((one) => one.requestsPerSecond),
    latencyMs: latencyAcross(own.flatMap(({ latencyMs }) => latencyMs ?? [])),
  };
}

type Latency = NonNullable<RequestSummary['latencyMs']>;

function latencyAcross(all: readonly Latency[]): Latency | null {
  if (all.length === 0) return null;
  const sketch = new QuantileSketch();
  for (const one of all) if (one.sketch !== undefined) sketch.merge(one.sketch);
  const min = Math.min(...all.map((one) => one.min));
  const max = Math.max(...all.map((one) => one.max));
  const quantile = (q: number, of: (one: Latency) => number): number => {
    if (sketch.count === 0) return Math.max(...all.map(of));
    return Math.min(max, Math.max(min, Number(sketch.quantile(q).toPrecision(6))));
  };
  const weights = all.map((one) => countOf(one.sketch));
  const weight = sum(weights);
  const means = all.map((one, at) =>
    weight === 0 ? one.mean / all.length : (one.mean * (weights[at] ?? 0)) / weight,
  );
  return {
    ...{ min, max, mean: Number(sum(means).toPrecision(6)) },
    p50: quantile(0.5, (one) => one.p50),
    p95: quantile(0.95, (one) => one.p95),
    p99: quantile(0.99, (one) => one.p99),
  };
}

function countOf(sketch: Latency['sketch']): number {
  if (sketch === undefined) return 0;
  return sketch.zeros + sum(sketch.buckets.filter((_, at) => at % 2 === 1));
}

/** Null where no rank's report had anything. */
export function reportAcross(all: readonly ReportSummary[]): ReportSummary | null {
  if (all.length === 0) return null;
  const total = (of: (one: ReportSummary) => number): number => sum(all.map(of));
  return {
    lines: total((one) => one.lines),
    samples: total((one) => one.samples),
    dropped: total((one) => one.dropped),
    messages: total((one) => one.messages),
    malformed: total((one) => one.malformed),
    malformedLines: all.flatMap((one) => one.malformedLines).slice(0, MALFORMED_SHOWN),
    requests: requestsAcross(all.map(({ requests }) => requests)),
  };
}

/** Measured by agents: durations are those of the longest rank, memory of GPUs is that of all. */
export function automaticAcross(all: readonly (readonly Metric[])[]): Metric[] {
  const found = grouped(all.flat(), ({ name }) => name);
  return [...found.values()].flatMap((own) => {
    const [first] = own;
    if (first === undefined) return [];
    const values = own.map(({ value }) => value);
    const value = first.unit === 'MiB' ? sum(values) : Math.max(...values);
    return [{ ...first, value }];
  });
}

function grouped(
  metrics: readonly Metric[],
  by: (metric: Metric) => string,
): Map<string, Metric[]> {
  const groups = new Map<string, Metric[]>();
  for (const metric of metrics) {
    const group = groups.get(by(metric));
    if (group === undefined) groups.set(by(metric), [metric]);
    else group.push(metric);
  }
  return groups;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]): number =>
  values.length === 0 ? 0 : sum(values) / values.length;
const brief = (value: number): number => Number(value.toPrecision(DIGITS));
