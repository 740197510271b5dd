/**
 * Metrics out of what a benchmark printed and wrote; used by the agent as output arrives.
 *
 * Limits (I12): a regular expression sees the first MAX_MATCHED characters of a line, which bounds
 * expressions of quadratic cost (not exponential ones: those are the suite's own fault, and parsing
 * warns of nested repetition); a JSON line is read up to MAX_LINE; a metric has up to
 * MAX_MEASUREMENTS measurements. What a limit left out is said where the metric is then missing.
 */
import type { MetricSource, MetricSpec } from '../../messages/attempt/attempt-spec.ts';
import type { Metric } from '../../messages/attempt/outcome.ts';
import { parseJsonPath, valueAt } from './json-path.ts';
import { LineSplitter } from './line-splitter.ts';
import { parseNumber } from './number.ts';

/** Characters of a line that a regular expression is tried on. */
export const MAX_MATCHED = 64 * 1024;
/** Measurements of one metric in one attempt. */
export const MAX_MEASUREMENTS = 10_000;

export interface MetricProblem {
  readonly metric: string;
  /** Whether the attempt has failed by it, at stage collect. */
  readonly required: boolean;
  readonly reason: string;
}

export interface Extracted {
  /** In the order of the suite's metrics; each metric's measurements in the order they came. */
  readonly metrics: Metric[];
  readonly problems: MetricProblem[];
}

export interface Extractor {
  /** Bytes of the run step's output, in order per stream. */
  feed(stream: 'stdout' | 'stderr', bytes: Uint8Array): void;
  /** Call once, after the last byte. `readJsonFile` gives a file's text, or null if there is none. */
  finish(readJsonFile: (file: string) => string | null): Extracted;
}

export function createExtractor(specs: readonly MetricSpec[]): Extractor {
  const found = specs.map((spec) => new Found(spec));
  const wantsJsonLine = specs.some(({ from }) => from.kind === 'json_last_line');
  const lastLine: JsonText = {
    value: undefined,
    reason: 'stdout has no line that is a JSON object or array',
  };
  const reader = (stream: 'stdout' | 'stderr') => {
    const matching = found.filter(
      ({ spec: { from } }) => from.kind === 'regex' && from.stream === stream,
    );
    const readsJson = wantsJsonLine && stream === 'stdout';
    if (matching.length === 0 && !readsJson) return null;
    return new LineSplitter((line, isCut) => {
      for (const metric of matching) metric.match(line);
      if (readsJson) takeJsonLine(line, isCut, lastLine);
    });
  };
  const splitters = { stdout: reader('stdout'), stderr: reader('stderr') };
  return {
    feed: (stream, bytes) => splitters[stream]?.feed(bytes),
    finish: (readJsonFile) => {
      splitters.stdout?.end();
      splitters.stderr?.end();
      const files = new Map<string, JsonText>();
      for (const metric of found) {
        const { from } = metric.spec;
        if (from.kind === 'json_last_line') metric.read(lastLine, from.path);
        if (from.kind === 'json_file') {
          const text = files.get(from.file) ?? readJson(from.file, readJsonFile(from.file));
          files.set(from.file, text);
          metric.read(text, from.path);
        }
      }
      return {
        metrics: found.flatMap(({ measurements }) => measurements),
        problems: found.flatMap((metric) => metric.problem()),
      };
    },
  };
}

/** A JSON value, or why there is none (`value` is then undefined). */
interface JsonText {
  value: unknown;
  reason: string;
}

function takeJsonLine(line: string, isCut: boolean, last: JsonText): void {
  const text = line.trim();
  const opens = text.startsWith('{') || text.startsWith('[');
  if (!opens) return;
  if (isCut) {
    if (last.value === undefined) last.reason = 'the JSON line of stdout is longer than 1 MiB';
    return;
  }
  if (!text.endsWith('}') && !text.endsWith(']')) return;
  try {
    last.value = JSON.parse(text) as unknown;
  } catch {
    // Not JSON: an ordinary line that begins and ends with brackets.
  }
}

function readJson(file: string, text: string | null): JsonText {
  if (text === null)
    return {
      value: undefined,
      reason: `there is no file ${file} of at most 64 MiB in the work folder (a folder, or a link out of it, is none)`,
    };
  try {
    return { value: JSON.parse(text) as unknown, reason: '' };
  } catch (error) {
    return { value: undefined, reason: `the file ${file} is not JSON: ${String(error)}` };
  }
}

/** What was found of one metric. */
class Found {
  readonly spec: MetricSpec;
  readonly measurements: Metric[] = [];
  readonly #regex: RegExp | null;
  #reason: string | null = null;
  #isCut = false;

  constructor(spec: MetricSpec) {
    this.spec = spec;
    const { from } = spec;
    this.#regex = from.kind === 'regex' ? new RegExp(from.pattern, `g${from.flags}`) : null;
  }

  match(line: string): void {
    if (this.#regex === null) return;
    if (line.length > MAX_MATCHED) this.#isCut = true;
    for (const { groups } of line.slice(0, MAX_MATCHED).matchAll(this.#regex))
      if (groups?.['value'] !== undefined) this.#add(groups['value'], groups);
  }

  /** A number, a text that is one, or a list of those. */
  read(text: JsonText, path: string): void {
    if (text.value === undefined) {
      this.#reason = text.reason;
      return;
    }
    const parts = parseJsonPath(path);
    if (parts === null) {
      this.#reason = `${path} is not a path`;
      return;
    }
    const value = valueAt(text.value, parts);
    if (value === undefined) this.#reason = `there is nothing at ${path}`;
    for (const item of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (item === undefined) continue;
      const isText = typeof item === 'number' || typeof item === 'string';
      this.#add(isText ? String(item) : JSON.stringify(item).slice(0, 80), undefined);
    }
    if (Array.isArray(value) && value.length === 0) this.#reason = `the list at ${path} is empty`;
  }

  problem(): MetricProblem[] {
    const reason = this.#reason ?? (this.spec.required ? this.#absence() : null);
    if (
      reason === null ||
      (this.measurements.length === 0 && !this.spec.required && !this.#isWrong)
    )
      return [];
    return [{ metric: this.spec.name, required: this.spec.required, reason }];
  }

  #isWrong = false;

  #add(text: string, groups: Readonly<Record<string, string | undefined>> | undefined): void {
    const value = parseNumber(text);
    if (value === null) {
      this.#isWrong = true;
      this.#reason ??= `${JSON.stringify(text.slice(0, 80))} is not a number`;
    } else if (this.measurements.length >= MAX_MEASUREMENTS) {
      this.#isWrong = true;
      this.#reason ??= `more than ${MAX_MEASUREMENTS} measurements; the rest was left out`;
    } else {
      const { name, unit, direction, across } = this.spec;
      this.measurements.push({
        name: groups?.['name'] ?? name,
        value,
        unit: groups?.['unit'] ?? unit,
        direction,
        ...(across === undefined ? {} : { across }),
      });
    }
  }

  #absence(): string | null {
    if (this.measurements.length > 0) return null;
    const cut = this.#isCut ? ' (of lines over 64 KiB only the beginning was read)' : '';
    const { from } = this.spec;
    if (from.kind === 'report') {
      const where = from.phases === null ? '' : ` in phase ${from.phases.join(' or ')}`;
      return `the benchmark did not report it${where}`;
    }
    return from.kind === 'regex'
      ? `no line of ${from.stream} matches ${describe(from)}${cut}`
      : 'there is no value';
  }
}

function describe(from: Extract<MetricSource, { kind: 'regex' }>): string {
  return `/${from.pattern.slice(0, 120)}/${from.flags}`;
}
