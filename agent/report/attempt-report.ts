/**
 * The report of one attempt, with its I/O: what is new in the file goes to the fold, from there to the
 * attempt and into the series.
 *
 *   tail --lines--> fold --facts--> attempt        journal: when lines were read, what of the series is
 *                        --samples--> series                stored, for an agent that is started again
 */
import type { ReportSummary } from '#protocol/messages/attempt/report.ts';
import type { Metric } from '#protocol/messages/attempt/outcome.ts';
import type { Writer } from '#protocol/messages/envelope.ts';
import type { Clock } from '#protocol/runtime/clock.ts';
import type { Log } from '#protocol/runtime/log.ts';
import type { MetricBatch } from '../telemetry/metric-outbox.ts';
import { ProgressPace } from './progress-pace.ts';
import { ReportFold, type ReportFact, type ReportSpec } from './report-fold.ts';
import { ReportJournal } from './report-journal.ts';
import { ReportSeries } from './report-series.ts';
import { StageReport, type StageFigures, type StageWindow } from './stage-report.ts';
import { LINE_MOST, REPORT_MOST, ReportTail, type Pollable, type Read } from './report-tail.ts';

/** A value of a metric as it was just reported, for who watches it. */
export interface HeardSample {
  readonly name: string;
  readonly value: number;
  readonly phase: string | null;
}

export interface AttemptReportOptions {
  readonly spec: ReportSpec;
  readonly file: string;
  /** An agent process before this one may have read it. */
  readonly isResumed: boolean;
  readonly series: {
    readonly subject: string;
    readonly writer: Writer;
    readonly offer: (batch: MetricBatch) => void;
  };
  readonly elapsedMs: () => number;
  readonly clock: Clock;
  readonly log: Log;
  readonly onFacts: (facts: readonly ReportFact[]) => void;
  /** New lines have come, with these samples of metrics. */
  readonly onHeard?: (samples: readonly HeardSample[]) => void;
}

/** What a report came to. */
export interface Reported {
  readonly metrics: readonly Metric[];
  readonly summary: ReportSummary;
}

export class AttemptReport implements Pollable {
  readonly #options: AttemptReportOptions;
  readonly #tail: ReportTail;
  readonly #fold: ReportFold;
  readonly #journal: ReportJournal;
  readonly #series: ReportSeries;
  readonly #progress = new ProgressPace();
  /** Of a ramp: the one that is measured. */
  #stage: StageReport | null = null;

  constructor(options: AttemptReportOptions) {
    this.#options = options;
    const { spec, file, isResumed, series, clock, log } = options;
    this.#tail = new ReportTail(file);
    this.#fold = new ReportFold(spec);
    this.#journal = new ReportJournal(`${file}.places`, { isResumed, log });
    this.#series = new ReportSeries({ ...series, journal: this.#journal, clock });
  }

  poll(): void {
    this.#take(this.#tail.read());
    this.#tellProgress(false);
  }

  /** One that is begun goes on. */
  beginStage(window: StageWindow): void {
    if (this.#stage?.window.stage === window.stage) return;
    this.#stage = new StageReport(window, this.#options.spec, this.#fold.phase);
  }

  /** What it came to; null where none is measured. */
  endStage(): (StageFigures & { readonly stage: number }) | null {
    this.poll();
    const stage = this.#stage;
    this.#stage = null;
    return stage === null ? null : { stage: stage.window.stage, ...stage.figures() };
  }

  /** Its writers are gone: reads the rest. Null where nothing ever came. */
  finish(): Reported | null {
    do this.#take(this.#tail.read(true));
    while (this.#tail.isBehind);
    this.#tellProgress(true);
    this.#series.flush();
    const { metrics, summary } = this.#fold.figures();
    if (summary.lines === 0 && summary.malformed === 0) return null;
    return { metrics, summary: { ...summary, dropped: this.#series.dropped } };
  }

  /** Nothing will be read any more; what waits is still sent. */
  end(): void {
    this.#series.end();
  }

  close(): void {
    this.#series.close();
  }

  #take(reads: readonly Read[]): void {
    const last = reads.at(-1);
    if (last === undefined) return;
    const now = { elapsedMs: this.#options.elapsedMs(), wallMs: this.#options.clock.now().wallMs };
    const facts: ReportFact[] = [];
    const heard: HeardSample[] = [];
    for (const read of reads) {
      if (read.kind !== 'line') {
        const fact = this.#trouble(read.kind);
        if (fact !== null) facts.push(fact);
        continue;
      }
      const at = this.#journal.timeOf(read.end, now);
      this.#stage?.take(read.text, at);
      const folded = this.#fold.take(read.text, at);
      for (const fact of folded.facts) {
        if (fact.kind === 'progress') this.#progress.say(fact.progress);
        else facts.push(fact);
      }
      for (const sample of folded.samples) {
        this.#series.add(sample);
        heard.push(sample);
      }
    }
    this.#journal.readTo(last.end, now);
    this.#logMalformed(facts);
    if (facts.length > 0) this.#options.onFacts(facts);
    this.#options.onHeard?.(heard);
  }

  /** What was said last is told too, with a later look or at the end: nothing more may come for long. */
  #tellProgress(isEnd: boolean): void {
    const progress = this.#progress.take(this.#options.elapsedMs(), isEnd);
    if (progress !== null) this.#options.onFacts([{ kind: 'progress', progress }]);
  }

  #trouble(kind: Exclude<Read['kind'], 'line'>): ReportFact | null {
    switch (kind) {
      case 'overlong':
        return this.#fold.overlong('', `a line has more than ${LINE_MOST} bytes`);
      case 'cut':
        return this.#fold.problem('', 'the report was made shorter: append to it, as >> does');
      case 'full':
        return this.#fold.problem('', `a report is read up to ${REPORT_MOST} bytes`);
    }
  }

  #logMalformed(facts: readonly ReportFact[]): void {
    for (const fact of facts) {
      if (fact.kind !== 'malformed') continue;
      const { line, reason } = fact;
      this.#options.log.warn({ line, reason }, 'a line of the report cannot be read');
    }
  }
}
