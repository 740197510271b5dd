/**
 * What a benchmark reported in one stage of a ramp: the lines that were read between its begin and its end, by
 * the host's clock, summed up as those of the whole report are. A line is read within a tenth of a second.
 */
import type { Metric } from '#protocol/messages/attempt/outcome.ts';
import type { RequestSummary } from '#protocol/messages/attempt/report.ts';
import { ReportFold, type ReadAt, type ReportSpec } from './report-fold.ts';

export interface StageWindow {
  readonly stage: number;
  readonly fromMs: number;
  readonly toMs: number;
}

export interface StageFigures {
  readonly metrics: readonly Metric[];
  readonly requests: RequestSummary | null;
}

export class StageReport {
  readonly window: StageWindow;
  readonly #fold: ReportFold;

  /** `phase`: the benchmark's own, as the report has it so far. */
  constructor(window: StageWindow, spec: ReportSpec, phase: number) {
    this.window = window;
    this.#fold = new ReportFold(spec, phase);
  }

  take(text: string, at: ReadAt): void {
    const { fromMs, toMs } = this.window;
    if (at.wallMs >= fromMs && at.wallMs < toMs) this.#fold.take(text, at);
  }

  figures(): StageFigures {
    const { metrics, summary } = this.#fold.figures();
    return { metrics, requests: summary.requests };
  }
}
