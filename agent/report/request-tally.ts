/**
 * Sums up request records in bounded memory. Latencies are those of requests that went well: one that
 * is refused at once would make them look good, one that times out says the limit.
 */
import type { RequestSummary } from '#protocol/messages/attempt/report.ts';
import { QuantileSketch } from '#protocol/fold/quantile-sketch.ts';
import type { RequestRecord } from './report-lines.ts';
import { SKETCH_BUCKETS } from './value-summary.ts';

export class RequestTally {
  readonly #latencies = new QuantileSketch(SKETCH_BUCKETS);
  #total = 0;
  #errors = 0;
  #firstError: string | null = null;
  #tokens: number | null = null;
  #fromMs = Infinity;
  #toMs = -Infinity;

  /** `readMs`: the wall clock when the line was read. */
  add(request: RequestRecord, readMs: number): void {
    const { latencyMs, tokens, error } = request;
    this.#total += 1;
    const endMs = request.timeMs ?? readMs;
    this.#fromMs = Math.min(this.#fromMs, endMs - (latencyMs ?? 0));
    this.#toMs = Math.max(this.#toMs, endMs);
    if (tokens !== null) this.#tokens = (this.#tokens ?? 0) + tokens;
    if (error !== null) {
      this.#errors += 1;
      this.#firstError ??= error;
    } else if (latencyMs !== null) this.#latencies.add(latencyMs);
  }

  /** Null where there was none. Of a rank with its sketch. */
  summary(isRank = false): RequestSummary | null {
    if (this.#total === 0) return null;
    const durationMs = Math.max(0, this.#toMs - this.#fromMs);
    const perSecond = (amount: number | null): number | null =>
      amount === null || durationMs === 0 ? null : brief((amount / durationMs) * 1_000);
    const found = this.#latencies.distribution();
    return {
      total: this.#total,
      ok: this.#total - this.#errors,
      errors: this.#errors,
      firstError: this.#firstError,
      durationMs: brief(durationMs),
      tokens: this.#tokens,
      tokensPerSecond: perSecond(this.#tokens),
      requestsPerSecond: perSecond(this.#total - this.#errors),
      latencyMs:
        found === null
          ? null
          : {
              min: brief(found.min),
              mean: brief(found.mean),
              max: brief(found.max),
              p50: brief(this.#latencies.quantile(0.5)),
              p95: brief(found.p95),
              p99: brief(this.#latencies.quantile(0.99)),
              ...(isRank ? { sketch: this.#latencies.state() } : {}),
            },
    };
  }
}

/** Six digits are more than a clock of requests has. */
function brief(value: number): number {
  return Number(value.toPrecision(6));
}
