/**
 * The report channel: what a benchmark says about itself, a line each in `$BENCHMESH_REPORT`:
 *
 *   phase warmup                              {"phase": "measure"}
 *   progress 0.4                              {"progress": 0.5}
 *   metric tokens_per_second 812.5 tok/s      {"metric": "name", "value": 1, "unit": "s", "time": 1}
 *   request 812ms 64                          {"request": {"latency_ms": 812, "tokens": 64}}
 *   request 30s error timed out               {"request": {"error": "timed out"}}
 *   message loaded the model                  {"message": "loaded the model"}
 *
 * A number is what it is in a suite's metrics: decimal, thousands may be grouped.
 * Pure. What cannot be read is a value too: it is never fatal.
 */
import { parseNumber } from '#protocol/suite/extract/number.ts';

export interface RequestRecord {
  /** When it ended, ms since 1970; null: when the line was read. */
  readonly timeMs: number | null;
  readonly latencyMs: number | null;
  readonly tokens: number | null;
  readonly error: string | null;
}

export type Direction = 'higher' | 'lower' | 'none';

export interface MetricLine {
  readonly kind: 'metric';
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly direction?: Direction;
  readonly timeMs?: number;
}

export type ReportLine =
  | { readonly kind: 'phase'; readonly phase: string }
  | { readonly kind: 'progress'; readonly progress: number }
  | MetricLine
  | ({ readonly kind: 'request' } & RequestRecord)
  | { readonly kind: 'message'; readonly text: string }
  | { readonly kind: 'malformed'; readonly line: string; readonly reason: string };

/** Of a text for people: a longer one is cut. */
export const TEXT_MOST = 200;
const METRIC_NAME = /^[A-Za-z0-9_.:/-]{1,128}$/;
const UNIT_MOST = 32;
const LATENCY = /^(.+?)(us|ms|s)$/;
const UNIT_MS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1_000 };
/** Far in the future, and more than milliseconds since 1970 are: who gives those is told. */
const LATEST_S = 1e11;
const DIRECTIONS: readonly unknown[] = ['higher', 'lower', 'none'] satisfies Direction[];

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
      return [{ kind: 'phase', phase: first.slice(0, TEXT_MOST) }];
    case 'progress':
      if (first === undefined || second !== undefined)
        return malformed(line, 'progress takes one number');
      return progressOf(line, parseNumber(first) ?? Number.NaN);
    case 'metric':
      if (first === undefined || second === undefined)
        return malformed(line, 'metric takes a name and a value');
      return metricOf(line, {
        kind: 'metric',
        name: first,
        value: parseNumber(second) ?? Number.NaN,
        unit: more.join(' '),
      });
    case 'request':
      return parseRequest(line, rest);
    case 'message':
      if (first === undefined) return malformed(line, 'message takes a text');
      return [{ kind: 'message', text: shown(line.slice('message'.length).trim()) }];
    default:
      return malformed(line, 'a line begins with phase, progress, metric, request, message or {');
  }
}

/** `request LATENCY [TOKENS] [error WHY]`. */
function parseRequest(
  line: string,
  [latency = '', ...rest]: readonly string[],
): readonly ReportLine[] {
  const [, number = '', unit = ''] = LATENCY.exec(latency) ?? [];
  const latencyMs = (parseNumber(number) ?? Number.NaN) * (UNIT_MS[unit] ?? Number.NaN);
  const at = rest.indexOf('error');
  const error = at < 0 ? null : shown(rest.slice(at + 1).join(' ')) || 'error';
  const [count, ...more] = at < 0 ? rest : rest.slice(0, at);
  const tokens = count === undefined ? null : (parseNumber(count) ?? Number.NaN);
  if (more.length > 0) return malformed(line, 'request takes LATENCY [TOKENS] [error WHY]');
  return requestOf(line, { timeMs: null, latencyMs, tokens, error });
}

function requestOf(line: string, request: RequestRecord): readonly ReportLine[] {
  const { timeMs, latencyMs, tokens, error } = request;
  if (latencyMs !== null && !isAmount(latencyMs))
    return malformed(line, 'the latency of a request is a number with unit, such as 812ms or 1.2s');
  if (latencyMs === null && error === null)
    return malformed(line, 'a request that went well has a latency');
  if (tokens !== null && !isAmount(tokens))
    return malformed(line, 'the tokens of a request are a number');
  if (timeMs !== null && !isTime(timeMs)) return malformed(line, NO_TIME);
  return [{ kind: 'request', ...request }];
}

const NO_TIME = 'time is in seconds since 1970, such as 1767225600.5';
const isAmount = (value: number): boolean => value >= 0 && value <= 1e15;
const isTime = (ms: number): boolean => ms >= 0 && ms < LATEST_S * 1_000;

type Fields = Readonly<Record<string, unknown>>;

function parseJson(line: string): readonly ReportLine[] {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return malformed(line, 'not a JSON object');
  }
  const fields = json as Fields;
  const { phase, progress, metric, message, request } = fields;
  const lines: ReportLine[] = [];
  if (typeof phase === 'string') lines.push({ kind: 'phase', phase: phase.slice(0, TEXT_MOST) });
  if (typeof progress === 'number') lines.push(...progressOf(line, progress));
  if (typeof metric === 'string') lines.push(...jsonMetric(line, metric, fields));
  if (typeof request === 'object' && request !== null)
    lines.push(...jsonRequest(line, request as Fields));
  if (typeof message === 'string' && message.trim() !== '')
    lines.push({ kind: 'message', text: shown(message.trim()) });
  if (lines.length > 0) return lines;
  return malformed(line, 'no phase, progress, metric, request or message in it');
}

function jsonMetric(line: string, name: string, fields: Fields): readonly ReportLine[] {
  const { value, unit, direction, time } = fields;
  const timeMs = time === undefined || time === null ? null : millis(time);
  if (timeMs !== null && !isTime(timeMs)) return malformed(line, NO_TIME);
  return metricOf(line, {
    kind: 'metric',
    name,
    value: typeof value === 'number' ? value : Number.NaN,
    unit: typeof unit === 'string' ? unit : '',
    ...(DIRECTIONS.includes(direction) ? { direction: direction as Direction } : {}),
    ...(timeMs === null ? {} : { timeMs }),
  });
}

function jsonRequest(line: string, fields: Fields): readonly ReportLine[] {
  const { latency_ms: latency, tokens, error, time } = fields;
  const number = (value: unknown): number | null => {
    if (value === undefined || value === null) return null;
    return typeof value === 'number' ? value : Number.NaN;
  };
  const isError = error !== undefined && error !== null && error !== false && error !== '';
  return requestOf(line, {
    timeMs: time === undefined || time === null ? null : millis(time),
    latencyMs: number(latency),
    tokens: number(tokens),
    error: isError ? shown(typeof error === 'string' ? error : 'error') : null,
  });
}

function millis(seconds: unknown): number {
  return typeof seconds === 'number' ? Math.round(seconds * 1_000) : Number.NaN;
}

function progressOf(line: string, progress: number): readonly ReportLine[] {
  if (!(progress >= 0 && progress <= 1)) return malformed(line, 'progress is a number from 0 to 1');
  return [{ kind: 'progress', progress }];
}

function metricOf(line: string, metric: MetricLine): readonly ReportLine[] {
  if (!METRIC_NAME.test(metric.name))
    return malformed(line, 'a metric name has 1 to 128 of A-Z a-z 0-9 _ . : / -');
  if (!Number.isFinite(metric.value))
    return malformed(line, 'the value of a metric is a decimal number');
  if (metric.unit.length > UNIT_MOST)
    return malformed(line, `a unit has at most ${UNIT_MOST} characters`);
  return [metric];
}

function malformed(line: string, reason: string): readonly ReportLine[] {
  return [{ kind: 'malformed', line: shown(line), reason }];
}

/** On one line, bounded, and no half of a surrogate pair. */
function shown(text: string): string {
  return text.slice(0, TEXT_MOST).replaceAll(/\p{Surrogate}/gu, '\ufffd');
}
