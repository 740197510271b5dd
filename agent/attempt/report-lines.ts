/**
 * The report channel: what a benchmark says about itself, a line each in `$BENCHMESH_REPORT`:
 *
 *   phase warmup
 *   progress 0.4
 *   metric tokens_per_second 812.5 tok/s
 *   {"phase": "measure"}   {"progress": 0.5}   {"metric": "name", "value": 1, "unit": "s"}
 *
 * A number is what it is in a suite's metrics: decimal, thousands may be grouped.
 * Pure. What cannot be read is a value too: it is said once per attempt and never fatal.
 */
import { parseNumber } from '#protocol/suite/extract/number.ts';

export type ReportLine =
  | { readonly kind: 'phase'; readonly phase: string }
  | { readonly kind: 'progress'; readonly progress: number }
  | {
      readonly kind: 'metric';
      readonly name: string;
      readonly value: number;
      readonly unit: string;
    }
  | { readonly kind: 'malformed'; readonly line: string; readonly reason: string };

const SHOWN = 200;
const METRIC_NAME = /^[A-Za-z0-9_.:/-]{1,128}$/;

/** What a line says; nothing for an empty one. */
export function parseReportLine(text: string): readonly ReportLine[] {
  const line = text.trim();
  if (line === '') return [];
  if (line.startsWith('{')) return parseJson(line);
  const [word, ...rest] = line.split(/\s+/);
  const [first, second, ...more] = rest;
  switch (word) {
    case 'phase':
      if (first === undefined || second !== undefined)
        return malformed(line, 'phase takes one name');
      return [{ kind: 'phase', phase: first }];
    case 'progress':
      if (first === undefined || second !== undefined)
        return malformed(line, 'progress takes one number');
      return progressOf(line, parseNumber(first) ?? Number.NaN);
    case 'metric':
      if (first === undefined || second === undefined)
        return malformed(line, 'metric takes a name and a value');
      return metricOf(line, {
        name: first,
        value: parseNumber(second) ?? Number.NaN,
        unit: more.join(' '),
      });
    default:
      return malformed(line, 'a line begins with phase, progress, metric or {');
  }
}

function parseJson(line: string): readonly ReportLine[] {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return malformed(line, 'not a JSON object');
  }
  if (typeof json !== 'object' || json === null) return malformed(line, 'not a JSON object');
  const fields = json as Readonly<Record<string, unknown>>;
  const { phase, progress, metric, value, unit } = fields;
  const lines: ReportLine[] = [];
  if (typeof phase === 'string') lines.push({ kind: 'phase', phase });
  if (typeof progress === 'number') lines.push(...progressOf(line, progress));
  if (typeof metric === 'string') {
    const number = typeof value === 'number' ? value : Number.NaN;
    lines.push(
      ...metricOf(line, {
        name: metric,
        value: number,
        unit: typeof unit === 'string' ? unit : '',
      }),
    );
  }
  return lines.length === 0 ? malformed(line, 'no phase, progress or metric in it') : lines;
}

function progressOf(line: string, progress: number): readonly ReportLine[] {
  if (!(progress >= 0 && progress <= 1)) return malformed(line, 'progress is a number from 0 to 1');
  return [{ kind: 'progress', progress }];
}

function metricOf(
  line: string,
  metric: { readonly name: string; readonly value: number; readonly unit: string },
): readonly ReportLine[] {
  if (!METRIC_NAME.test(metric.name))
    return malformed(line, 'a metric name has 1 to 128 of A-Z a-z 0-9 _ . : / -');
  if (!Number.isFinite(metric.value))
    return malformed(line, 'the value of a metric is a decimal number');
  return [{ kind: 'metric', ...metric }];
}

function malformed(line: string, reason: string): readonly ReportLine[] {
  return [{ kind: 'malformed', line: line.slice(0, SHOWN), reason }];
}
