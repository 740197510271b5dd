import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MetricSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import {
  createExtractor,
  type Extracted,
  MAX_MATCHED,
  MAX_MEASUREMENTS,
} from '#protocol/suite/extract/create-extractor.ts';
import { parseJsonPath, valueAt } from '#protocol/suite/extract/json-path.ts';
import { LineSplitter, MAX_LINE } from '#protocol/suite/extract/line-splitter.ts';
import { parseNumber } from '#protocol/suite/extract/number.ts';
import { suiteOf } from './suite-of.ts';

/** The metrics of a suite, each line a flow map. */
function metricsOf(...lines: string[]): MetricSpec[] {
  return suiteOf(`run: [x]\nmetrics:\n${lines.map((line) => `  - ${line}\n`).join('')}`).metrics;
}

interface Output {
  readonly stdout?: string;
  readonly stderr?: string;
  readonly files?: Readonly<Record<string, string>>;
}

function extract(
  specs: readonly MetricSpec[],
  { stdout = '', stderr = '', files = {} }: Output,
): Extracted {
  const extractor = createExtractor(specs);
  extractor.feed('stdout', Buffer.from(stdout));
  extractor.feed('stderr', Buffer.from(stderr));
  return extractor.finish((file) => files[file] ?? null);
}

const values = ({ metrics }: Extracted) => metrics.map(({ value }) => value);
const reasons = ({ problems }: Extracted) => problems.map(({ reason }) => reason);

describe('regex', () => {
  const rate = metricsOf(
    `{ name: rate, unit: B/s, direction: higher, regex: 'rate (?<value>\\S+)' }`,
  );

  it('makes every match a measurement', () => {
    expect(extract(rate, { stdout: 'rate 1 rate 2\nno\nrate 3' })).toEqual({
      metrics: [1, 2, 3].map((value) => ({
        name: 'rate',
        value,
        unit: 'B/s',
        direction: 'higher',
      })),
      problems: [],
    });
  });

  it('reads the stream it is told', () => {
    const specs = metricsOf(`{ name: r, unit: s, regex: 'rate (?<value>\\S+)', stream: stderr }`);
    expect(values(extract(specs, { stdout: 'rate 1', stderr: 'rate 2' }))).toEqual([2]);
  });

  it('takes unit and name from its groups', () => {
    const specs = metricsOf(
      `{ name: m, regex: '^(?:(?<name>\\w+):)?(?<value>\\d+)(?<unit>\\w+)?$' }`,
    );
    expect(extract(specs, { stdout: 'p99:12ms\n7\n' }).metrics).toEqual([
      { name: 'p99', value: 12, unit: 'ms', direction: 'none' },
      { name: 'm', value: 7, unit: '', direction: 'none' },
    ]);
  });

  it('says what is missing when it is required', () => {
    expect(extract(rate, { stdout: 'nothing\n' })).toEqual({
      metrics: [],
      problems: [
        {
          metric: 'rate',
          required: true,
          reason: 'no line of stdout matches /rate (?<value>\\S+)/',
        },
      ],
    });
    const optional = rate.map((spec) => ({ ...spec, required: false }));
    expect(extract(optional, { stdout: 'nothing\n' }).problems).toEqual([]);
  });

  it('says what is no number, also when it is optional', () => {
    const optional = rate.map((spec) => ({ ...spec, required: false }));
    expect(extract(optional, { stdout: 'rate 12k\nrate 3\n' })).toMatchObject({
      metrics: [{ value: 3 }],
      problems: [{ metric: 'rate', required: false, reason: '"12k" is not a number' }],
    });
  });

  it('sees the first 64 KiB of a line, and says so', () => {
    const within = `${' '.repeat(MAX_MATCHED - 6)}rate 1`;
    expect(values(extract(rate, { stdout: within }))).toEqual([1]);
    expect(reasons(extract(rate, { stdout: ` ${' '.repeat(MAX_MATCHED)}rate 1` }))).toEqual([
      'no line of stdout matches /rate (?<value>\\S+)/ (of lines over 64 KiB only the beginning was read)',
    ]);
  });

  it('keeps a bounded number of measurements', () => {
    const result = extract(rate, { stdout: 'rate 1\n'.repeat(MAX_MEASUREMENTS + 5) });
    expect(result.metrics).toHaveLength(MAX_MEASUREMENTS);
    expect(reasons(result)).toEqual([
      `more than ${MAX_MEASUREMENTS} measurements; the rest was left out`,
    ]);
  });
});

describe('the last JSON line', () => {
  const loss = metricsOf('{ name: loss, unit: "", lastLine: final.loss }');

  it('is the last one that is an object or a list', () => {
    const stdout =
      '{"final":{"loss":1}}\n  {"final":{"loss":0.5}}  \n42\n"text"\n{not json}\ndone\n';
    expect(values(extract(loss, { stdout }))).toEqual([0.5]);
  });

  it.each([
    ['no such line', 'hello\n', 'stdout has no line that is a JSON object or array'],
    ['no such line', 'x'.repeat(MAX_LINE + 1), 'stdout has no line that is a JSON object or array'],
    ['nothing there', '{"final":{}}', 'there is nothing at final.loss'],
    ['a boolean', '{"final":{"loss":true}}', '"true" is not a number'],
    ['null', '{"final":{"loss":null}}', '"null" is not a number'],
    ['a map', '{"final":{"loss":{"a":1}}}', '"{\\"a\\":1}" is not a number'],
    ['an empty list', '{"final":{"loss":[]}}', 'the list at final.loss is empty'],
    [
      'one too long',
      `{"final":"${'x'.repeat(MAX_LINE)}"}`,
      'the JSON line of stdout is longer than 1 MiB',
    ],
  ])('says: %s', (_, stdout, reason) => {
    expect(reasons(extract(loss, { stdout }))).toEqual([reason]);
  });
});

describe('a JSON file', () => {
  const specs = metricsOf(
    '{ name: a, unit: s, json: r.json, path: "runs[0].t" }',
    '{ name: b, unit: s, json: r.json, path: all, required: false }',
  );

  it('gives a number, a text that is one, or each of a list', () => {
    const files = { 'r.json': '{"runs":[{"t":"1,234.5"}],"all":[1,"2",3e0]}' };
    expect(values(extract(specs, { files }))).toEqual([1234.5, 1, 2, 3]);
  });

  it.each<[string, Record<string, string>, string]>([
    [
      'absent',
      {},
      'there is no file r.json of at most 64 MiB in the work folder (a folder, or a link out of it, is none)',
    ],
    ['not JSON', { 'r.json': '{' }, 'the file r.json is not JSON: SyntaxError: '],
    ['without the place', { 'r.json': '{}' }, 'there is nothing at runs[0].t'],
  ])('%s: the required metric fails, the optional one is absent', (_, files, reason) => {
    const result = extract(specs, { files });
    expect(result.problems).toHaveLength(1);
    expect(result.problems[0]?.metric).toBe('a');
    expect(result.problems[0]?.reason).toContain(reason);
  });

  it('is read once, whatever the number of metrics', () => {
    const read: string[] = [];
    createExtractor(specs).finish((file) => {
      read.push(file);
      return '{}';
    });
    expect(read).toEqual(['r.json']);
  });
});

describe('lines', () => {
  const split = (chunks: readonly Uint8Array[]): string[] => {
    const lines: string[] = [];
    const splitter = new LineSplitter((line) => lines.push(line));
    for (const chunk of chunks) splitter.feed(chunk);
    splitter.end();
    return lines;
  };

  it('are the same however the bytes arrive', () => {
    const texts = fc.string({ unit: fc.constantFrom('a', 'é', '漢', '😀', '\n', '\r', ' ') });
    fc.assert(
      fc.property(texts, fc.array(fc.nat(40)), (text, cuts) => {
        const bytes = Buffer.from(text);
        const at = [
          0,
          ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b),
          bytes.length,
        ];
        const chunks = at.slice(1).map((end, i) => bytes.subarray(at[i], end));
        expect(split(chunks)).toEqual(split([bytes]));
        expect(split([bytes])).toEqual(
          text
            .replace(/[\r\n]$/, '')
            .split(text === '' ? /^$/ : /[\r\n]/)
            .slice(0, text === '' ? 0 : undefined),
        );
      }),
    );
  });

  it('keep 1 MiB and drop the rest', () => {
    const cut: boolean[] = [];
    const lengths: number[] = [];
    const splitter = new LineSplitter((line, isCut) => {
      lengths.push(line.length);
      cut.push(isCut);
    });
    for (let i = 0; i < 3; i += 1) splitter.feed(Buffer.alloc(MAX_LINE / 2, 97));
    splitter.feed(Buffer.from('\nb\n'));
    expect([lengths, cut]).toEqual([
      [MAX_LINE, 1],
      [true, false],
    ]);
  });

  it('survive bytes that are no UTF-8', () => {
    expect(split([Buffer.from([0x61, 0xff, 0x00, 0x0a, 0xe6])])).toEqual(['a\ufffd\0', '\ufffd']);
  });
});

describe('numbers', () => {
  it.each([
    ['12', 12],
    [' -1.5e-3 ', -0.0015],
    ['+.5', 0.5],
    ['3.', 3],
    ['1,234.5', 1234.5],
    ['1,234,567', 1234567],
    ['12,34', null],
    ['1,5', null],
    ['12k', null],
    ['0x10', null],
    ['1_000', null],
    ['', null],
    ['NaN', null],
    ['Infinity', null],
    ['1e999', null],
  ])('%j', (text, value) => {
    expect(parseNumber(text)).toBe(value);
  });

  it('every number that is printed is read back', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(parseNumber(String(value))).toBe(Object.is(value, -0) ? 0 : value);
      }),
    );
  });
});

describe('JSON paths', () => {
  const root = { a: { b: [{ c: 1 }, { c: 2 }] }, 'key with.dot': { $x: 3 }, list: [[4]] };

  it.each<[string, unknown]>([
    ['', root],
    ['a.b[0].c', 1],
    ['a.b[-1].c', 2],
    ['["key with.dot"].$x', 3],
    ['a["b"][1]["c"]', 2],
    ['list[0][0]', 4],
    ['a.b[9].c', undefined],
    ['a.b.length', undefined],
    ['toString', undefined],
    ['a.__proto__', undefined],
  ])('%j', (path, value) => {
    const parsed = parseJsonPath(path);
    expect(parsed).not.toBeNull();
    expect(valueAt(root, parsed ?? [])).toEqual(value);
  });

  it.each(['a..b', '.a', 'a.', 'a[b]', 'a[1', "a['b']", 'a b', '["x]', '1a'])(
    '%j is none',
    (path) => {
      expect(parseJsonPath(path)).toBeNull();
    },
  );
});
