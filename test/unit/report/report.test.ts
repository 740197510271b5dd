/** From the lines of a report to facts, samples and figures. */
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { AttemptReport } from '#agent/report/attempt-report.ts';
import {
  MALFORMED_MOST,
  MESSAGES_MOST,
  METRICS_MOST,
  ReportFold,
  type ReportFact,
  type ReportSpec,
} from '#agent/report/report-fold.ts';
import { parseReportLine } from '#agent/report/report-lines.ts';
import { WAITING_MOST } from '#agent/report/report-series.ts';
import { LINE_MOST, LOOK_MOST } from '#agent/report/report-tail.ts';
import { ValueSummary } from '#agent/report/value-summary.ts';
import type { MetricBatch } from '#agent/telemetry/metric-outbox.ts';
import { SampleCursor } from '#protocol/fold/sample-series.ts';
import { decode } from '#protocol/messages/envelope.ts';
import { silentLog } from '#protocol/runtime/log.ts';
import { ManualClock } from '#test/support/manual-clock.ts';
import { REPORT_SPEC } from '#test/support/report-fuzz.ts';

const AT = { elapsedMs: 5, wallMs: 1_000_000 };
const PLAIN: ReportSpec = { phases: ['warmup', 'measure'], metrics: [] };

function folded(lines: readonly string[], spec: ReportSpec = PLAIN): ReportFold {
  const fold = new ReportFold(spec);
  for (const line of lines) fold.take(line, AT);
  return fold;
}

describe('lines', () => {
  test.each([
    [
      'request 812ms 64',
      { kind: 'request', timeMs: null, latencyMs: 812, tokens: 64, error: null },
    ],
    ['request 1.5s', { latencyMs: 1500, tokens: null }],
    ['request 250us', { latencyMs: 0.25 }],
    ['request 30s error timed out', { latencyMs: 30_000, error: 'timed out', tokens: null }],
    ['request 30s 5 error', { tokens: 5, error: 'error' }],
    [
      '{"request":{"latency_ms":1,"tokens":2,"time":1767225600.5}}',
      { timeMs: 1_767_225_600_500, latencyMs: 1, tokens: 2, error: null },
    ],
    ['{"request":{"error":"refused"}}', { latencyMs: null, error: 'refused' }],
    ['message loaded  the model', { kind: 'message', text: 'loaded  the model' }],
    ['{"message":"hi"}', { kind: 'message', text: 'hi' }],
    [
      '{"metric":"m","value":1,"direction":"lower","time":2}',
      { kind: 'metric', direction: 'lower', timeMs: 2_000 },
    ],
  ])('%s', (line, expected) => {
    expect(parseReportLine(line)).toMatchObject([expected]);
  });

  test.each([
    'request',
    'request 812',
    'request -5ms',
    'request 5ms x',
    'request 5ms 1 2',
    '{"request":{}}',
    '{"request":{"latency_ms":"5"}}',
    '{"request":{"latency_ms":5,"time":1767225600500}}',
    '{"metric":"m","value":1,"time":"now"}',
    'message',
    `metric m 1 ${'u'.repeat(40)}`,
  ])('malformed: %s', (line) => {
    expect(parseReportLine(line)).toMatchObject([{ kind: 'malformed' }]);
  });
});

describe('figures', () => {
  it('samples of a metric: last, min, mean, max, p95, count; one alone is just a value', () => {
    const { metrics } = folded([
      'metric a 3 s',
      'metric b 7 s',
      'metric a -1 s',
      'metric a 1',
    ]).figures();
    const series = { figure: 'mean', count: 3, last: 1, min: -1, mean: 1, max: 3 };
    expect(metrics).toMatchObject([
      { name: 'a', value: 1, unit: 's', direction: 'none', series },
      { name: 'b', value: 7 },
    ]);
    expect(metrics[1]).not.toHaveProperty('series');
  });

  it('only samples of the phases that count', () => {
    const lines = ['metric tps 1', 'phase warmup', 'metric tps 2', 'phase measure', 'metric tps 9'];
    const all = folded(lines).figures();
    expect(all.metrics).toMatchObject([{ value: 4 }]);
    const some = folded([...lines, 'request 5ms'], { ...PLAIN, report: { phases: ['measure'] } });
    expect(some.figures().metrics).toMatchObject([
      { name: 'tps', value: 9 },
      ...['errors', 'rate', 'latency_p50', 'latency_p95', 'latency_p99'].map((name) => ({
        name: `requests.${name}`,
      })),
    ]);
    const none = folded(['request 5ms', 'metric tps 1'], {
      ...PLAIN,
      report: { phases: ['measure'] },
    });
    expect(none.figures()).toMatchObject({ metrics: [], summary: { requests: null, samples: 1 } });
    const own = folded(lines, { ...REPORT_SPEC, report: { phases: ['warmup'] } });
    expect(own.figures().metrics).toMatchObject([
      { name: 'tps', value: 9, unit: 'tok/s', direction: 'higher' },
    ]);
  });

  it('a phase that was passed takes nothing back', () => {
    const spec = { ...PLAIN, report: { phases: ['warmup'] } };
    const fold = folded(['phase measure', 'phase warmup', 'metric m 1'], spec);
    expect(fold.figures()).toMatchObject({ metrics: [], summary: { malformed: 0 } });
  });

  it('another unit, too many metrics and undeclared phases are malformed and counted', () => {
    const fold = folded(['metric a 1 s', 'metric a 1 ms', 'phase other', 'nonsense']);
    const { metrics, summary } = fold.figures();
    expect(metrics).toMatchObject([{ name: 'a', value: 1 }]);
    expect(summary.malformed).toBe(3);
    expect(summary.malformedLines.map(({ number }) => number)).toEqual([2, 3, 4]);
    const many = Array.from({ length: METRICS_MOST + 5 }, (_, at) => `metric m${at} 1`);
    expect(folded(many).figures()).toMatchObject({
      summary: { malformed: 5, samples: METRICS_MOST },
    });
  });

  it('requests: total, ok, errors, duration, tokens per second, latencies of the good ones', () => {
    const lines = Array.from({ length: 100 }, (_, at) =>
      JSON.stringify({ request: { latency_ms: at + 1, tokens: 10, time: 1_000 + at / 10 } }),
    );
    const fold = folded([
      ...lines,
      '{"request":{"latency_ms":9000,"error":"timed out","time":1009.9}}',
    ]);
    const { requests } = fold.figures().summary;
    // From 1 ms before the first ended to the end of the last: 9,901 ms; the failed one began first.
    expect(requests).toMatchObject({
      total: 101,
      ok: 100,
      errors: 1,
      firstError: 'timed out',
      tokens: 1_000,
      durationMs: 9_901,
      tokensPerSecond: 101,
      requestsPerSecond: 10.1,
    });
    const { p50 = 0, p95 = 0, p99 = 0, max } = requests?.latencyMs ?? {};
    expect(max).toBe(100);
    expect(p50).toBeCloseTo(50, -1);
    expect(Math.abs(p95 - 95)).toBeLessThan(1);
    expect(Math.abs(p99 - 99)).toBeLessThan(1);
    expect(fold.figures().metrics.map(({ name }) => name)).toEqual([
      'requests.errors',
      'requests.rate',
      'requests.tokens_per_second',
      'requests.latency_p50',
      'requests.latency_p95',
      'requests.latency_p99',
    ]);
  });

  it('p95 of values of either sign is within 1 % of the value at its rank', () => {
    const value = fc.double({ min: -1e4, max: 1e4, noNaN: true });
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 300 }), (values) => {
        const summary = new ValueSummary();
        for (const one of values) summary.add(one);
        const sorted = values.toSorted((a, b) => a - b);
        const exact = sorted[Math.ceil(0.95 * values.length) - 1] ?? NaN;
        const { p95 = NaN, min, max, mean = NaN, last } = summary.figures() ?? {};
        // Values span more than the buckets do only near 0.
        expect(Math.abs(p95 - exact)).toBeLessThanOrEqual(Math.abs(exact) * 0.0101 + 1);
        expect([min, max, last]).toEqual([sorted[0], sorted.at(-1), values.at(-1)]);
        const sum = values.reduce((all, one) => all + one, 0);
        expect(Math.abs(mean - sum / values.length)).toBeLessThan(1e-6);
      }),
    );
  });

  it('says messages and malformed lines so often, and counts all', () => {
    const fold = new ReportFold(PLAIN);
    const facts: ReportFact[] = [];
    for (let at = 0; at < 500; at += 1) {
      facts.push(...fold.take('message m', AT).facts, ...fold.take('bad', AT).facts);
    }
    expect(facts.filter(({ kind }) => kind === 'message')).toHaveLength(MESSAGES_MOST);
    expect(facts.filter(({ kind }) => kind === 'malformed')).toHaveLength(MALFORMED_MOST);
    const { summary } = fold.figures();
    expect(summary).toMatchObject({ messages: 500, malformed: 500 });
    expect(summary.malformedLines).toHaveLength(MALFORMED_MOST);
  });
});

describe('a report on disk', () => {
  let dir: string;
  let file: string;
  let clock: ManualClock;
  let offered: MetricBatch[];
  let facts: ReportFact[];

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'bm-report-'));
    file = join(dir, 't.1.report');
    clock = new ManualClock();
    offered = [];
    facts = [];
  });
  afterEach(() => {
    rmSync(dir, { recursive: true, force: true });
  });

  function open(incarnation = 1): AttemptReport {
    return new AttemptReport({
      spec: PLAIN,
      file,
      isResumed: incarnation > 1,
      series: {
        subject: 'bm.v1.met.a.r.t.1',
        writer: { source: '/agents/a', incarnation },
        offer: (batch) => {
          offered.push(batch);
        },
      },
      elapsedMs: () => clock.now().monotonicMs - 1_000_000,
      clock,
      log: silentLog,
      onFacts: (found) => {
        facts.push(...found);
      },
    });
  }

  /** What a reader of the stream has of batches that were stored. */
  function readBack(batches: readonly MetricBatch[]): { values: number[]; times: number[] } {
    const cursor = new SampleCursor();
    const samples = batches.flatMap(({ encode }) => {
      const decoded = decode(encode());
      return decoded.kind === 'ok' ? cursor.reported(decoded.message) : [];
    });
    return {
      values: samples.map(({ value }) => value),
      times: samples.map(({ elapsedMs }) => elapsedMs),
    };
  }

  const numbers = (from: number, to: number): string =>
    Array.from({ length: to - from }, (_, at) => `metric m ${from + at}\n`).join('');

  it('goes out in batches, one at a time, and no timer runs when nothing waits', () => {
    const report = open();
    expect(clock.waiting).toBe(0);
    writeFileSync(file, numbers(0, 3));
    report.poll();
    expect(offered).toHaveLength(0);
    clock.advance(1_000);
    expect(offered).toHaveLength(1);
    appendFileSync(file, numbers(3, 2_000));
    report.poll();
    expect(offered).toHaveLength(1);
    for (const batch of offered) batch.onStored?.();
    clock.advance(1_000);
    expect(readBack(offered).values).toEqual(Array.from({ length: 2_000 }, (_, at) => at));
    expect(clock.waiting).toBe(0);
  });

  it('counts nothing twice after a restart, neither in figures nor in the series', () => {
    const first = open();
    writeFileSync(file, `phase warmup\n${numbers(0, 600)}message one\nrequest 10ms 5\n`);
    clock.advance(2_000);
    first.poll();
    // Of two batches the first was stored, the second was on its way when the agent died.
    offered[0]?.onStored?.();
    const before = offered.splice(0);
    appendFileSync(file, 'met');
    first.poll();
    first.close();
    const told = facts.splice(0);

    clock.advance(60_000);
    appendFileSync(file, `ric m 600\nrequest 20ms 5\n`);
    const second = open(2);
    second.poll();
    clock.advance(1_000);
    for (const batch of offered) batch.onStored?.();
    const reported = second.finish();
    for (const batch of offered) batch.onStored?.();

    const { values, times } = readBack([...before.slice(0, 1), ...offered]);
    expect(values).toEqual(Array.from({ length: 601 }, (_, at) => at));
    // Lines have the time they were first read at.
    expect(times.slice(0, 600).every((ms) => ms === 2_000)).toBe(true);
    expect(times[600]).toBe(62_000);
    expect(reported?.summary).toMatchObject({ samples: 601, messages: 1, dropped: 0 });
    expect(reported?.summary.requests).toMatchObject({ total: 2, durationMs: 60_010 });
    // The same facts: that they were told is known to the attempt, by the number of the message.
    expect(facts.filter(({ kind }) => kind === 'message')).toEqual(
      told.filter(({ kind }) => kind === 'message'),
    );
  });

  it('drops the oldest of what cannot be stored, and counts', () => {
    const report = open();
    writeFileSync(file, numbers(0, WAITING_MOST * 2));
    report.poll();
    const reported = report.finish();
    expect(offered).toHaveLength(1);
    const dropped = reported?.summary.dropped ?? 0;
    expect(dropped).toBeGreaterThan(0);
    expect(reported?.metrics).toMatchObject([{ series: { count: WAITING_MOST * 2 } }]);
    report.end();
    for (let at = 0; at < offered.length; at += 1) offered[at]?.onStored?.();
    const { values } = readBack(offered);
    expect(values).toHaveLength(WAITING_MOST * 2 - dropped);
    expect(values.at(-1)).toBe(WAITING_MOST * 2 - 1);
  });

  it('bounds a line and a look; an endless line is said once', () => {
    const report = open();
    writeFileSync(file, `metric m 1\n${'x'.repeat(LINE_MOST * 40)}`);
    report.poll();
    appendFileSync(file, `${'y'.repeat(LINE_MOST * 40)}\nmetric m 2\n`);
    const reported = report.finish();
    expect(reported?.metrics).toMatchObject([{ series: { count: 2 } }]);
    expect(reported?.summary).toMatchObject({ malformed: 1 });
    expect(facts).toHaveLength(1);

    const flood = open();
    writeFileSync(file, 'progress 0.5\n'.repeat(LOOK_MOST / 4) + 'message end\n');
    facts.length = 0;
    clock.advance(200);
    flood.poll();
    expect(facts).toEqual([{ kind: 'progress', progress: 0.5 }]);
    const all = flood.finish();
    expect(all?.summary).toMatchObject({ lines: LOOK_MOST / 4 + 1, malformed: 0 });
    expect(facts.at(-1)).toMatchObject({ kind: 'message', index: 0 });
  });

  it('tells what was said last of progress, with a later look or at the end', () => {
    const report = open();
    appendFileSync(file, 'progress 0.1\n');
    report.poll();
    clock.advance(250);
    report.poll(); // nothing new
    appendFileSync(file, 'progress 0.2\n');
    report.finish();
    expect(facts.map((fact) => 'progress' in fact && fact.progress)).toEqual([0.1, 0.2]);
  });

  it('a report that is made shorter is said, and read on', () => {
    const report = open();
    writeFileSync(file, 'metric m 1\nmetric m 2\n');
    report.poll();
    truncateSync(file);
    appendFileSync(file, 'metric m 3\n');
    report.poll();
    expect(report.finish()).toMatchObject({
      metrics: [{ series: { count: 3 } }],
      summary: { malformed: 1 },
    });
  });

  it('a damaged journal costs times and repeats, never a result', () => {
    const journal = `${file}.places`;
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        writeFileSync(file, 'metric m 1\nmetric m 2\n');
        writeFileSync(journal, text);
        const report = open(2);
        expect(report.finish()).toMatchObject({ metrics: [{ series: { count: 2 } }] });
        report.close();
        expect(readFileSync(journal, 'utf8')).not.toBe('');
      }),
      { numRuns: 200 },
    );
  });

  it('nothing reported is nothing said', () => {
    expect(open().finish()).toBeNull();
    writeFileSync(file, '');
    expect(open().finish()).toBeNull();
  });
});
