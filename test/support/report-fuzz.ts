/** Mutations of reports, written to a file piece by piece and read as an agent reads them. */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { AttemptReport, type Reported } from '#agent/report/attempt-report.ts';
import type { ReportFact, ReportSpec } from '#agent/report/report-fold.ts';
import type { MetricBatch } from '#agent/telemetry/metric-outbox.ts';
import { Metric } from '#protocol/messages/attempt/outcome.ts';
import { ReportSummary } from '#protocol/messages/attempt/report.ts';
import { decode } from '#protocol/messages/envelope.ts';
import { silentLog } from '#protocol/runtime/log.ts';
import { ManualClock } from './manual-clock.ts';

export const REPORT_SPEC: ReportSpec = {
  phases: ['prepare', 'warmup', 'measure'],
  metrics: [
    {
      name: 'tps',
      unit: 'tok/s',
      direction: 'higher',
      required: true,
      from: { kind: 'report', figure: 'p95', phases: ['measure'] },
    },
  ],
};

const LINES = [
  'phase warmup',
  'phase measure',
  'progress 0.4',
  'metric tps 812.5 tok/s',
  'metric loss -0.5',
  'metric big 1e308 B',
  'metric small -1e-300',
  'request 812ms 64',
  'request 30s error timed out',
  'message loaded the model',
  '{"metric":"tps","value":1,"unit":"tok/s","direction":"higher","time":1767225600.5}',
  '{"request":{"latency_ms":12.5,"tokens":7,"time":1767225600}}',
  '{"request":{"error":true}}',
  '{"phase":"measure","progress":1,"message":"done"}',
];
const CHUNKS = [
  ...['\n', '\0', ' ', '{', '}', '"', ':', '-', '\\ud800', '1e999', 'NaN', 'null', '[[', '\r\n'],
  ...['\u2028', '\ufeff', '{"request":', 'metric ', '9'.repeat(400), 'x'.repeat(20_000)],
];

const edit = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  drop: fc.oneof(fc.constant(0), fc.nat(6), fc.nat(60)),
  put: fc.oneof(fc.constantFrom(...CHUNKS), fc.string({ maxLength: 8, unit: 'binary' })),
});

/** The text of a report, and where its reader looks in between. */
export const mutatedReport = fc
  .tuple(
    fc.array(fc.constantFrom(...LINES), { maxLength: 12 }),
    fc.array(edit, { maxLength: 5 }),
    fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 3 }),
  )
  .map(([lines, edits, looks]) => ({
    text: edits.reduce(
      (text, { at, drop, put }) => {
        const from = Math.floor(at * text.length);
        return text.slice(0, from) + put + text.slice(from + drop);
      },
      `${lines.join('\n')}\n`,
    ),
    looks,
  }));

export interface ReadReport {
  readonly reported: Reported | null;
  readonly facts: readonly ReportFact[];
  readonly batches: readonly MetricBatch[];
}

/** One file for all: making a folder each time is most of the time. */
export class ReportReader {
  readonly #dir = mkdtempSync(join(tmpdir(), 'bm-report-'));

  read({ text, looks }: { readonly text: string; readonly looks: readonly number[] }): ReadReport {
    const file = join(this.#dir, 'report');
    const bytes = Buffer.from(text);
    const facts: ReportFact[] = [];
    const batches: MetricBatch[] = [];
    writeFileSync(file, '');
    const report = new AttemptReport({
      spec: REPORT_SPEC,
      file,
      isResumed: false,
      series: {
        subject: 's',
        writer: { source: '/agents/a', incarnation: 1 },
        offer: (batch) => {
          batches.push(batch);
          batch.onStored?.();
        },
      },
      elapsedMs: () => 0,
      clock: new ManualClock(),
      log: silentLog,
      onFacts: (found) => {
        facts.push(...found);
      },
    });
    let from = 0;
    for (const look of looks.toSorted((a, b) => a - b)) {
      const to = Math.floor(look * bytes.length);
      appendFileSync(file, bytes.subarray(from, to));
      from = to;
      report.poll();
    }
    appendFileSync(file, bytes.subarray(from));
    const reported = report.finish();
    report.close();
    return { reported, facts, batches };
  }

  close(): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** Whatever a report says, what is made of it can be sent, and is bounded. */
export function checkReport(
  reader: ReportReader,
  given: Parameters<ReportReader['read']>[0],
): void {
  const { reported, facts, batches } = reader.read(given);
  for (const { encode } of batches) {
    const decoded = decode(encode());
    if (decoded.kind !== 'ok') throw new Error(decoded.reason);
  }
  for (const fact of facts) {
    if (JSON.stringify(fact).length > 4_000) throw new Error('a fact has no bound');
  }
  if (reported === null) return;
  ReportSummary.parse(JSON.parse(JSON.stringify(reported.summary)));
  for (const metric of reported.metrics) Metric.parse(JSON.parse(JSON.stringify(metric)));
  const whole = reader.read({ ...given, looks: [] }).reported;
  if (JSON.stringify(whole) !== JSON.stringify(reported))
    throw new Error(`it matters where it was looked at: ${JSON.stringify({ whole, reported })}`);
}
