/** docs/suite.md, the examples and the committed JSON Schema say what the code says. */
import { readdirSync, readFileSync } from 'node:fs';
import { format, type Options } from 'prettier';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { attemptSpec } from '#protocol/suite/attempt-spec.ts';
import { createExtractor } from '#protocol/suite/extract/create-extractor.ts';
import { expandTasks } from '#protocol/suite/expand.ts';
import { suiteJsonSchema } from '#protocol/suite/json-schema.ts';
import { BUILT_IN } from '#protocol/suite/template.ts';
import { suiteOf, warningsOf } from './suite-of.ts';

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
const STYLE = JSON.parse(read('.prettierrc.json')) as Options;
const DOCS = read('docs/suite.md');
const BLOCKS = [...DOCS.matchAll(/```yaml\n(.*?)```/gs)].map(([, text = ''], i) => ({
  text,
  title: `block ${i + 1}: ${text.split('\n', 1)[0] ?? ''}`,
}));

const Properties = z.object({ properties: z.record(z.string(), z.looseObject({})) });
const Schema = Properties.extend({ definitions: z.record(z.string(), z.unknown()) });
const schema = Schema.parse(suiteJsonSchema());
const keysOf = (of: unknown) => Object.keys(Properties.parse(of).properties);
const COMMAND = keysOf(schema.definitions['command']);
const KEYS = {
  suite: keysOf(schema),
  command: COMMAND,
  check: keysOf(schema.definitions['check']).filter((key) => !COMMAND.includes(key)),
  metric: keysOf(schema.definitions['metric']),
  needs: keysOf(schema.properties['needs']),
  checkpoint: keysOf(schema.properties['checkpoint']),
  file: keysOf(schema.definitions['file']),
  hostSetup: keysOf(schema.definitions['hostSetup']).filter((key) => !COMMAND.includes(key)),
  limits: keysOf(schema.definitions['limits']),
  onPartition: keysOf(schema.properties['onPartition']),
  onLost: ['requeueAfter'],
  gang: keysOf(schema.properties['gang']),
  health: keysOf(schema.properties['health']),
  healthCheck: keysOf(schema.definitions['healthCheck']),
};

/** First cells of the table that begins after a text of the page. */
function tableAfter(marker: string): string[] {
  const from = DOCS.indexOf(marker);
  expect(from, `the page has "${marker}"`).toBeGreaterThanOrEqual(0);
  const table = /\n\|[^\n]*\n\|-[^\n]*\n((?:\|[^\n]*\n)+)/.exec(DOCS.slice(from))?.[1] ?? '';
  const first = [...table.matchAll(/^\| ([^|]*) \|/gm)].map(([, cell = '']) => cell);
  return first.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, key = '']) => key));
}

describe('docs/suite.md', () => {
  it.each([
    ['## Keys of a suite', KEYS.suite],
    ['## Commands', KEYS.command],
    ['A preflight check is', KEYS.check],
    ['## Needs, limits and retries', KEYS.needs],
    ['## Preparing a host', KEYS.hostSetup],
    ['### Limits', KEYS.limits],
    ['### A host that is cut off', KEYS.onPartition],
    ['### A host that is lost', KEYS.onLost],
    ['### A task on several hosts', KEYS.gang],
    ['## Metrics', KEYS.metric],
    ['## Checkpoints', KEYS.checkpoint],
    ['An entry of `files`', KEYS.file],
    ['## Health', KEYS.health],
    ['A check asks what', KEYS.healthCheck],
  ])('%s documents the keys of the schema, no more and no fewer', (marker, keys) => {
    expect(tableAfter(marker).sort()).toEqual([...keys].sort());
  });

  it('documents the built-in names', () => {
    const names = tableAfter('## Templates').map((text) => text.slice(2, -2));
    expect(names).toEqual([...BUILT_IN]);
  });

  it.each(BLOCKS)('$title is a suite without warnings', ({ text }) => {
    const suite = suiteOf(text);
    expect(warningsOf(text)).toEqual([]);
    const tasks = expandTasks(suite);
    for (const task of tasks) {
      const spec = attemptSpec(suite, { run: '2026-02-13_14-30-45-k3f9', task, n: 1 });
      expect(() => createExtractor(spec.metrics)).not.toThrow();
    }
  });

  it.each(Object.entries(KEYS))('has an example of every key: %s', (group, keys) => {
    const used = new Set(BLOCKS.flatMap(({ text }) => usedKeys(parse(text))));
    expect(keys.filter((key) => !used.has(`${group}.${key}`))).toEqual([]);
  });
});

const STEPS = ['setup', 'load', 'run', 'collect', 'teardown'];

/** The keys a suite uses, by the table that documents them: `metric.unit`. */
function usedKeys(value: unknown): string[] {
  const suite = value as Record<string, unknown>;
  const maps = (of: unknown) =>
    (Array.isArray(of) ? (of as unknown[]) : [of]).filter(
      (item) => typeof item === 'object' && item !== null && !Array.isArray(item),
    );
  const within = (group: string, of: unknown) =>
    maps(of).flatMap((map) => Object.keys(map as object).map((key) => `${group}.${key}`));
  return [
    ...within('suite', suite),
    ...STEPS.flatMap((step) => within('command', suite[step])),
    ...within('check', suite['preflight']),
    ...within('metric', suite['metrics']),
    ...within('needs', suite['needs']),
    ...within('checkpoint', suite['checkpoint']),
    ...within('file', suite['files']),
    ...within('hostSetup', suite['hostSetup']),
    ...within('limits', suite['limits']),
    ...STEPS.flatMap((step) =>
      maps(suite[step]).flatMap((one) =>
        within('limits', (one as Record<string, unknown>)['limits']),
      ),
    ),
    ...within('onPartition', suite['onPartition']),
    ...within('onLost', suite['onLost']),
    ...within('gang', suite['gang']),
    ...within('health', suite['health']),
    ...within('healthCheck', (suite['health'] as { checks?: unknown } | undefined)?.checks),
  ];
}

const EXAMPLES: readonly (readonly [name: string, profile: string | null, tasks: number])[] = [
  ['hello', null, 1],
  ['openssl-speed', null, 24],
  ['openssl-speed', 'quick', 2],
  ['sysbench-cpu', null, 6],
  ['sysbench-cpu', 'quick', 2],
  ['node-sort', null, 8],
  ['node-sort', 'quick', 2],
  ['vllm-serve', null, 12],
  ['vllm-serve', 'quick', 4],
  ['ollama', null, 138],
  ['ollama', 'quick', 12],
  ['llama-bench', null, 4],
  ['llama-bench', 'quick', 2],
  ['gpu-smoke', null, 1],
];

describe('examples', () => {
  it.each(EXAMPLES)('%s with profile %s has %d tasks', (name, profile, count) => {
    const text = read(`examples/${name}.yaml`);
    const options = { file: `${name}.yaml`, dir: '/x', profile };
    expect(warningsOf(text, options)).toEqual([]);
    const suite = suiteOf(text, options);
    expect(suite.name).toBe(name);
    expect(expandTasks(suite)).toHaveLength(count);
  });

  it('each of them is looked at above', () => {
    const there = readdirSync(new URL('../../../examples/', import.meta.url))
      .filter((name) => name.endsWith('.yaml') && name !== 'agent.yaml') // a config, no suite
      .map((name) => name.replace('.yaml', ''));
    expect(there.filter((name) => !EXAMPLES.some(([known]) => known === name))).toEqual([]);
  });

  it('the metrics of openssl-speed read what openssl prints', () => {
    const { metrics } = suiteOf(read('examples/openssl-speed.yaml'));
    const extractor = createExtractor(metrics);
    extractor.feed('stdout', Buffer.from('+H:1024\n+F:25:AES-128-GCM:879181063.92\n'));
    expect(extractor.finish(() => null)).toEqual({
      metrics: [{ name: 'throughput', value: 879181063.92, unit: 'B/s', direction: 'higher' }],
      problems: [],
    });
  });

  it('the metrics of sysbench-cpu read what sysbench prints', () => {
    const { metrics } = suiteOf(read('examples/sysbench-cpu.yaml'));
    const extractor = createExtractor(metrics);
    const printed =
      'CPU speed:\n    events per second:   412.34\n\nLatency (ms):\n         95th percentile:                        2.57\n';
    extractor.feed('stdout', Buffer.from(printed));
    const { metrics: found, problems } = extractor.finish(() => null);
    expect(found.map(({ name, value }) => [name, value])).toEqual([
      ['events_per_second', 412.34],
      ['latency_p95', 2.57],
    ]);
    expect(problems).toEqual([]);
  });
});

describe('suite.schema.json', () => {
  it('is what form.ts makes; renew it with `npx vitest run test/unit/suite/docs.test.ts -u`', async () => {
    const text = await format(JSON.stringify(suiteJsonSchema()), { parser: 'json', ...STYLE });
    await expect(text).toMatchFileSnapshot('../../../protocol/suite/suite.schema.json');
  });
});
