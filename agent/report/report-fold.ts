/**
 * A report from its first line to where it was read: what the attempt is told of it, the samples of its
 * metrics, and what it comes to. A fold: the same lines give the same, so an agent that was started again
 * reads the report from its begin and counts nothing twice (I8).
 *
 *   line -> phase, progress, message, malformed -> attempt     (ReportFact)
 *        -> metric  -> sample (series), summary by name
 *        -> request -> tally
 *
 * Bounded (I12): so many metrics, each a sketch; so many messages and malformed lines are told, all are
 * counted.
 */
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { Metric } from '#protocol/messages/attempt/outcome.ts';
import type {
  MalformedLine,
  ReportedSample,
  ReportSummary,
  SeriesFigure,
} from '#protocol/messages/attempt/report.ts';
import { requestMetrics } from '#protocol/fold/request-metrics.ts';
import { parseReportLine, type MetricLine, type ReportLine } from './report-lines.ts';
import { RequestTally } from './request-tally.ts';
import { ValueSummary, type ValueFigures } from './value-summary.ts';

export const METRICS_MOST = 100;
export const MESSAGES_MOST = 100;
export const MALFORMED_MOST = 20;
const DEFAULT_FIGURE: SeriesFigure = 'mean';

/** What the attempt itself is told. */
export type ReportFact =
  | { readonly kind: 'phase'; readonly phase: string; readonly index: number }
  | { readonly kind: 'progress'; readonly progress: number }
  /** `index`: the how manieth of the report, from 0. */
  | { readonly kind: 'message'; readonly index: number; readonly text: string }
  | { readonly kind: 'malformed'; readonly line: string; readonly reason: string };

/** When a line was read. */
export interface ReadAt {
  readonly elapsedMs: number;
  readonly wallMs: number;
}

export interface Folded {
  readonly facts: readonly ReportFact[];
  readonly samples: readonly ReportedSample[];
}

/** What a report comes to so far; `dropped` is the series' own. */
export interface ReportFigures {
  readonly metrics: readonly Metric[];
  readonly summary: Omit<ReportSummary, 'dropped'>;
}

export type ReportSpec = Pick<AttemptSpec, 'phases' | 'metrics' | 'report' | 'gang'>;

export class ReportFold {
  readonly #spec: ReportSpec;
  readonly #metrics = new Map<string, MetricEntry>();
  readonly #requests = new RequestTally();
  readonly #malformedLines: MalformedLine[] = [];
  #phase = -1;
  #lines = 0;
  #samples = 0;
  #messages = 0;
  #malformed = 0;

  /** `phase`: one that is passed already, by its place. */
  constructor(spec: ReportSpec, phase = -1) {
    this.#spec = spec;
    this.#phase = phase;
  }

  get phase(): number {
    return this.#phase;
  }

  take(text: string, at: ReadAt): Folded {
    this.#lines += 1;
    const facts: ReportFact[] = [];
    const samples: ReportedSample[] = [];
    for (const line of parseReportLine(text)) {
      const result = this.#apply(line, at);
      if (result === null) continue;
      if (result.kind === 'sample') samples.push(result.sample);
      else facts.push(result);
    }
    return { facts, samples };
  }

  /** Something is wrong that is not the text of a line. Null: told often enough. */
  problem(line: string, reason: string): ReportFact | null {
    this.#malformed += 1;
    if (this.#malformed > MALFORMED_MOST) return null;
    this.#malformedLines.push({ number: Math.max(1, this.#lines), line, reason });
    return { kind: 'malformed', line, reason };
  }

  /** A line too long to be one. */
  overlong(line: string, reason: string): ReportFact | null {
    this.#lines += 1;
    return this.problem(line, reason);
  }

  figures(): ReportFigures {
    const requests = this.#requests.summary(this.#spec.gang !== undefined);
    return {
      metrics: [
        ...[...this.#metrics.values()].flatMap((entry) => entry.metric()),
        ...requestMetrics(requests),
      ],
      summary: {
        lines: this.#lines,
        samples: this.#samples,
        messages: this.#messages,
        malformed: this.#malformed,
        malformedLines: [...this.#malformedLines],
        requests,
      },
    };
  }

  #apply(
    line: ReportLine,
    at: ReadAt,
  ): ReportFact | { readonly kind: 'sample'; readonly sample: ReportedSample } | null {
    switch (line.kind) {
      case 'phase':
        return this.#onPhase(line.phase);
      case 'progress':
        return line;
      case 'metric':
        return this.#onMetric(line, at);
      case 'request':
        if (this.#counts(this.#spec.report?.phases)) this.#requests.add(line, at.wallMs);
        return null;
      case 'message':
        this.#messages += 1;
        if (this.#messages > MESSAGES_MOST) return null;
        return { kind: 'message', index: this.#messages - 1, text: line.text };
      case 'malformed':
        return this.problem(line.line, line.reason);
    }
  }

  /** Only forward (I3): one that was passed is no mistake, and says nothing. */
  #onPhase(phase: string): ReportFact | null {
    const index = this.#spec.phases.indexOf(phase);
    if (index < 0) return this.problem(`phase ${phase}`, 'the suite declares no such phase');
    if (index <= this.#phase) return null;
    this.#phase = index;
    return { kind: 'phase', phase, index };
  }

  #onMetric(
    line: MetricLine,
    at: ReadAt,
  ): ReportFact | { readonly kind: 'sample'; readonly sample: ReportedSample } | null {
    const shown = `metric ${line.name} ${line.value} ${line.unit}`.trim();
    const entry = this.#metrics.get(line.name) ?? this.#newEntry(line.name);
    if (entry === null)
      return this.problem(shown, `more than ${METRICS_MOST} metrics; the rest is left out`);
    if (!entry.describe(line))
      return this.problem(shown, `the unit of ${line.name} is ${entry.unit}`);
    if (this.#counts(entry.phases)) entry.values.add(line.value);
    this.#samples += 1;
    const sample = {
      timeMs: Math.round(line.timeMs ?? at.wallMs),
      elapsedMs: at.elapsedMs,
      phase: this.#spec.phases[this.#phase] ?? null,
      name: line.name,
      value: line.value,
      unit: entry.unit,
    };
    return { kind: 'sample', sample };
  }

  #newEntry(name: string): MetricEntry | null {
    if (this.#metrics.size >= METRICS_MOST) return null;
    const entry = new MetricEntry(name, this.#spec);
    this.#metrics.set(name, entry);
    return entry;
  }

  #counts(phases: readonly string[] | undefined): boolean {
    if (phases === undefined) return true;
    const current = this.#spec.phases[this.#phase];
    return current !== undefined && phases.includes(current);
  }
}

/** One reported metric. What the suite says of it goes before what its lines say. */
class MetricEntry {
  readonly values = new ValueSummary();
  readonly phases: readonly string[] | undefined;
  readonly #name: string;
  readonly #figure: SeriesFigure;
  readonly #across: Metric['across'];
  readonly #isRank: boolean;
  #unit: string;
  #direction: Metric['direction'] | null;

  constructor(name: string, { metrics, report, gang }: ReportSpec) {
    const declared = metrics.find((metric) => metric.name === name);
    const from = declared?.from.kind === 'report' ? declared.from : null;
    this.#name = name;
    this.#across = declared?.across;
    this.#isRank = gang !== undefined;
    this.#figure = from?.figure ?? DEFAULT_FIGURE;
    this.phases = from?.phases ?? report?.phases;
    this.#unit = declared?.unit ?? '';
    this.#direction = declared?.direction ?? null;
  }

  get unit(): string {
    return this.#unit;
  }

  /** False where the line is of another unit: its value cannot be summed up with the others. */
  describe({ unit, direction }: MetricLine): boolean {
    if (unit !== '' && this.#unit !== '' && unit !== this.#unit) return false;
    if (this.#unit === '') this.#unit = unit;
    this.#direction ??= direction ?? null;
    return true;
  }

  metric(): Metric[] {
    const figures = this.values.figures();
    if (figures === null) return [];
    const figure = this.#figure;
    return [
      {
        name: this.#name,
        value: figures[figure],
        unit: figure === 'count' ? '' : this.#unit,
        direction: this.#direction ?? 'none',
        ...(this.#across === undefined ? {} : { across: this.#across }),
        ...this.#series(figures),
      },
    ];
  }

  /** Of a rank always, with what it takes to merge it with those of the others. */
  #series(figures: ValueFigures): Pick<Metric, 'series'> {
    if (this.#isRank)
      return { series: { figure: this.#figure, ...figures, sketch: this.values.sketch() } };
    return figures.count === 1 ? {} : { series: { figure: this.#figure, ...figures } };
  }
}
