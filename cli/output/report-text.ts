/** What a benchmark reported, in words. Pure. */
import type { AttemptView } from '#protocol/fold/attempt-view.ts';
import type { GangSample } from '#protocol/fold/series-across.ts';
import type { Metric } from '#protocol/messages/attempt/outcome.ts';
import type {
  ReportedSample,
  ReportSummary,
  RequestSummary,
} from '#protocol/messages/attempt/report.ts';
import { duration, plural, quantity } from './format.ts';
import type { Style } from './style.ts';
import { table, type Column } from './table.ts';
import { oneLine } from './text.ts';

/** Figures of the request records among the metrics. */
export function isOfRequests(metric: string): boolean {
  return metric.startsWith('requests.');
}

/** The few lines `show RUN/TASK` has of it. */
export function reportLines(
  attempt: Pick<AttemptView, 'messages' | 'report' | 'malformedReport' | 'health'>,
): string[] {
  const { messages, report, malformedReport, health } = attempt;
  const requests = report?.requests ?? null;
  const untold = (report?.messages ?? 0) - messages.length;
  return [
    ...(requests === null ? [] : [requestsText(requests)]),
    ...messages.map(({ elapsedMs, text }) => `said at ${duration(elapsedMs)}: ${text}`),
    ...(untold > 0 ? [`${plural(untold, 'message')} before: events shows them`] : []),
    ...health.map(
      ({ elapsedMs, rule, state, reason }) =>
        `health ${rule} ${state} at ${duration(elapsedMs)}: ${reason}`,
    ),
    ...malformedLines(report, malformedReport),
    ...(report === null || report.dropped === 0
      ? []
      : [`${plural(report.dropped, 'reported sample')} could not be stored`]),
  ].map(oneLine);
}

function malformedLines(report: ReportSummary | null, first: string | null): string[] {
  if (report === null) return first === null ? [] : [`report: a line cannot be read: ${first}`];
  const [line] = report.malformedLines;
  if (line === undefined) return [];
  const count = report.malformed === 1 ? 'a line' : plural(report.malformed, 'line');
  const which = report.malformed === 1 ? '' : ' first';
  const text = line.line === '' ? '' : `: ${line.line}`;
  return [`report: ${count} cannot be read,${which} line ${line.number} (${line.reason})${text}`];
}

/** `requests: 98 of 100 ok in 20 s, 4.9/s, 320 tok/s, latency 110 p50, 300 p95, 700 p99 ms`. */
export function requestsText(requests: RequestSummary): string {
  const { total, ok, errors, firstError, durationMs, latencyMs } = requests;
  const { tokensPerSecond, requestsPerSecond } = requests;
  return [
    `requests: ${quantity(ok)} of ${quantity(total)} ok in ${duration(durationMs)}`,
    ...(requestsPerSecond === null ? [] : [`${quantity(requestsPerSecond)}/s`]),
    ...(tokensPerSecond === null ? [] : [`${quantity(tokensPerSecond)} tok/s`]),
    ...(latencyMs === null
      ? []
      : [
          `latency ${quantity(latencyMs.p50)} p50, ${quantity(latencyMs.p95)} p95, ${quantity(latencyMs.p99)} p99 ms`,
        ]),
    ...(errors === 0 ? [] : [`first error: ${firstError ?? 'error'}`]),
  ].join(', ');
}

/** Every metric that was reported more than once. */
export function reportedTable(
  metrics: readonly Metric[],
  about: { readonly style: Style; readonly width: number | null },
): string[] {
  type Row = Metric & { readonly series: NonNullable<Metric['series']> };
  const rows = metrics.flatMap((metric): Row[] =>
    metric.series === undefined ? [] : [{ ...metric, series: metric.series }],
  );
  if (rows.length === 0) return [];
  const value = (of: (series: Row['series']) => number): Column<Row>['value'] => {
    return ({ series }) => quantity(of(series));
  };
  const columns: Column<Row>[] = [
    { header: 'reported', value: ({ name }) => name, isKey: true },
    { header: 'mean', value: value((series) => series.mean), align: 'right' },
    { header: 'p95', value: value((series) => series.p95), align: 'right' },
    { header: 'max', value: value((series) => series.max), align: 'right' },
    { header: 'min', value: value((series) => series.min), align: 'right' },
    { header: 'last', value: value((series) => series.last), align: 'right' },
    { header: 'unit', value: ({ unit }) => unit },
    {
      header: 'samples',
      value: ({ series }) => String(series.count),
      align: 'right',
      optional: true,
    },
  ];
  return table(rows, columns, { width: about.width, paintHeader: about.style.dim });
}

/** One second of a metric of a gang. */
export function gangSampleText({ timeMs, name, value, unit, ranks }: GangSample): string {
  const time = new Date(timeMs).toISOString().slice(11, 19);
  return `${time}  ${name} ${quantity(value)}${unit === '' ? '' : ` ${unit}`}  of ${plural(ranks, 'rank')}`;
}

/** One reported value on one line. */
export function reportedSampleText(sample: ReportedSample): string {
  const { elapsedMs, phase, name, value, unit } = sample;
  return [
    duration(elapsedMs).padStart(9),
    ...(phase === null ? [] : [phase]),
    `${name} ${quantity(value)}${unit === '' ? '' : ` ${unit}`}`,
  ].join('  ');
}
