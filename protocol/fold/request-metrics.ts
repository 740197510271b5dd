/** Metrics made of a summary of requests. Pure. */
import type { Metric } from '../messages/attempt/outcome.ts';
import type { RequestSummary } from '../messages/attempt/report.ts';

/** Those figures of the requests that runs are compared by. */
export function requestMetrics(requests: RequestSummary | null): Metric[] {
  if (requests === null) return [];
  const { errors, tokensPerSecond, requestsPerSecond, latencyMs } = requests;
  const figures: readonly (readonly [string, number | null, string, Metric['direction']])[] = [
    ['errors', errors, '', 'lower'],
    ['rate', requestsPerSecond, '1/s', 'higher'],
    ['tokens_per_second', tokensPerSecond, 'tok/s', 'higher'],
    ['latency_p50', latencyMs?.p50 ?? null, 'ms', 'lower'],
    ['latency_p95', latencyMs?.p95 ?? null, 'ms', 'lower'],
    ['latency_p99', latencyMs?.p99 ?? null, 'ms', 'lower'],
  ];
  return figures.flatMap(([name, value, unit, direction]) =>
    value === null ? [] : [{ name: `requests.${name}`, value, unit, direction }],
  );
}
