import { describe, expect, it } from 'vitest';
import { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { parseTemplate } from '#protocol/suite/template.ts';
import { parseDuration, parseSignal, parseSize } from '#protocol/suite/units.ts';
import { suiteOf, warningsOf } from './suite-of.ts';

describe('the smallest suite', () => {
  it('has every default filled in', () => {
    const suite = suiteOf('run: [echo, hello]', { file: 'bench/my hello.yaml' });
    expect(suite).toEqual({
      name: 'my-hello',
      description: null,
      dir: '/suites',
      profile: null,
      vars: {},
      axes: {},
      include: [],
      exclude: [],
      only: {},
      repeats: 1,
      seed: 1,
      priority: 0,
      env: {},
      steps: [
        {
          step: 'run',
          id: 'run',
          argv: ['echo', 'hello'],
          env: {},
          cwd: null,
          stdio: 'pipe',
          timeoutMs: null,
          onFail: 'fail',
          message: null,
        },
      ],
      phases: [],
      needs: { slots: 1, cpus: 0, exclusive: true },
      budgetMs: null,
      graceMs: 10_000,
      stopSignal: 'SIGTERM',
      retries: {},
      metrics: [],
      files: [],
      checkpoints: [],
      logLimitBytes: 268_435_456,
      maxParallel: null,
    });
    expect(SuiteSpec.parse(JSON.parse(JSON.stringify(suite)))).toEqual(suite);
  });

  it('may be JSON', () => {
    expect(suiteOf('{"run": ["echo", "hello"], "repeats": 2}').repeats).toBe(2);
  });
});

describe('commands', () => {
  it('come in the order of the steps, whatever their order in the file', () => {
    const suite = suiteOf(`
teardown: [t]
run: [{ exec: [r1] }, [r2, x]]
setup: { shell: "s | u", timeout: 5s, stdio: pty, env: { N: 1.0 }, cwd: d }
preflight:
  - { exec: [p], onFail: skip, message: no p }
stdio: pty
cwd: base
`);
    expect(suite.steps.map(({ id, argv, cwd, stdio }) => ({ id, argv, cwd, stdio }))).toEqual([
      { id: 'preflight', argv: ['p'], cwd: 'base', stdio: 'pty' },
      { id: 'setup', argv: ['/bin/sh', '-c', 's | u'], cwd: 'd', stdio: 'pty' },
      { id: 'run', argv: ['r1'], cwd: 'base', stdio: 'pty' },
      { id: 'run-2', argv: ['r2', 'x'], cwd: 'base', stdio: 'pty' },
      { id: 'teardown', argv: ['t'], cwd: 'base', stdio: 'pty' },
    ]);
    expect(suite.steps[0]).toMatchObject({ onFail: 'skip', message: 'no p' });
    expect(suite.steps[1]).toMatchObject({ timeoutMs: 5000, env: { N: '1.0' } });
  });

  it('keep words as written, not as YAML reads them', () => {
    const [step] = suiteOf('run: [x, 1.0, 08, 0x10, 1e3, true, ~x, 1_000]\nenv: { A: 0.50 }').steps;
    expect(step?.argv).toEqual(['x', '1.0', '08', '0x10', '1e3', 'true', '~x', '1_000']);
  });
});

describe('YAML', () => {
  it('resolves anchors and merge keys; what a map says itself wins', () => {
    const suite = suiteOf(`
run: { <<: &base { exec: [x], timeout: 1s, env: { A: a } }, timeout: 2s }
setup: [*base, { <<: [*base, { stdio: pty, timeout: 9s }] }]
`);
    expect(suite.steps.map(({ id, timeoutMs, stdio }) => [id, timeoutMs, stdio])).toEqual([
      ['setup', 1000, 'pipe'],
      ['setup-2', 1000, 'pty'],
      ['run', 2000, 'pipe'],
    ]);
  });

  it('is 1.2: on, off, yes and no are texts', () => {
    expect(suiteOf('run: [x]\naxes: { turbo: [on, off, yes, no] }').axes).toEqual({
      turbo: ['on', 'off', 'yes', 'no'],
    });
  });

  it('takes keys that objects are born with', () => {
    const suite = suiteOf('run: [x, "{{constructor}}"]\naxes: { constructor: [a], toString: [b] }');
    expect(suite.axes).toEqual({ constructor: ['a'], toString: ['b'] });
  });
});

describe('retries', () => {
  it.each([
    ['retries: 2', { exit: 2, signal: 2, timeout: 2, lost: 2, oom: 2, partition: 2 }],
    ['retries: { preflight: 1, lost: 3 }', { preflight: 1, lost: 3 }],
    ['retries: 0', { exit: 0, signal: 0, timeout: 0, lost: 0, oom: 0, partition: 0 }],
  ])('%s', (line, retries) => {
    expect(suiteOf(`run: [x]\n${line}`).retries).toEqual(retries);
  });
});

describe('metrics', () => {
  it('are spelled out', () => {
    const { metrics } = suiteOf(`
run: [x]
metrics:
  - { name: a, unit: s, regex: '(?<value>.)', stream: stderr, flags: i, direction: lower }
  - { name: b, regex: '(?<value>.) (?<unit>.)', required: false }
  - { name: c, unit: "", json: f.json, path: "a[0]" }
  - { name: d, unit: "", lastLine: "" }
`);
    const base = { unit: '', direction: 'none', required: true };
    expect(metrics).toEqual([
      {
        ...base,
        name: 'a',
        unit: 's',
        direction: 'lower',
        from: { kind: 'regex', pattern: '(?<value>.)', flags: 'i', stream: 'stderr' },
      },
      {
        ...base,
        name: 'b',
        required: false,
        from: { kind: 'regex', pattern: '(?<value>.) (?<unit>.)', flags: '', stream: 'stdout' },
      },
      { ...base, name: 'c', from: { kind: 'json_file', file: 'f.json', path: 'a[0]' } },
      { ...base, name: 'd', from: { kind: 'json_last_line', path: '' } },
    ]);
  });
});

describe('overrides', () => {
  const text = `
vars: { seconds: 30, label: x }
axes: { threads: [1, 2], mode: [a, b] }
env: { A: "1", B: "2" }
repeats: 5
run: { exec: [x], timeout: 1m }
metrics: [{ name: m, unit: s, lastLine: m }]
profiles:
  quick:
    vars: { seconds: 1 }
    axes: { threads: [1] }
    env: { B: "3" }
    repeats: 1
    run: { timeout: 5s }
`;

  it('a profile merges maps and replaces the rest', () => {
    const suite = suiteOf(text, { profile: 'quick' });
    expect(suite).toMatchObject({
      profile: 'quick',
      vars: { seconds: 1, label: 'x' },
      axes: { threads: [1], mode: ['a', 'b'] },
      env: { A: '1', B: '3' },
      repeats: 1,
      steps: [{ argv: ['x'], timeoutMs: 5000 }],
    });
  });

  it('--set comes after the profile; a bare name is a var', () => {
    const set = [
      'seconds=2',
      'label=a: b',
      'repeats=3',
      'needs.exclusive=false',
      'axes.mode=[c]',
      'metrics.0.required=false',
      'env.C=08',
      'run.timeout=9s',
      'budget=1m',
    ];
    expect(suiteOf(text, { profile: 'quick', set })).toMatchObject({
      vars: { seconds: 2, label: 'a: b' },
      repeats: 3,
      needs: { slots: 1, exclusive: false },
      axes: { threads: [1], mode: ['c'] },
      metrics: [{ required: false }],
      env: { A: '1', B: '3', C: '08' },
      steps: [{ timeoutMs: 9000 }],
      budgetMs: 60_000,
    });
  });

  it('--set takes an empty value as empty text', () => {
    expect(suiteOf(text, { set: ['label='] }).vars['label']).toBe('');
  });

  it('--only takes the values of the axes and of include, by their text', () => {
    const more = `${text}include: [{ threads: 16, mode: a }]\n`;
    const { only } = suiteOf(more, { only: ['threads=1', 'threads=16', 'mode=a', 'mode=a'] });
    expect(only).toEqual({ threads: [1, 16], mode: ['a'] });
  });
});

describe('warnings', () => {
  it('numbers that change when they are read', () => {
    expect(warningsOf('run: [x]\naxes: { v: [1.0, "1.10", 0x10] }\nvars: { w: 1e3 }')).toEqual([
      'suite.yaml:2:13: axes.v[0]: 1.0 is read as 1; quote it to keep its text',
      'suite.yaml:2:26: axes.v[2]: 0x10 is read as 16; quote it to keep its text',
      'suite.yaml:3:12: vars.w: 1e3 is read as 1000; quote it to keep its text',
    ]);
  });

  it('values that a shell would read', () => {
    const text = `
axes: { title: [a, "two words"] }
vars: { safe: a/b.c-1, odd: "$(rm x)" }
run: { shell: "echo {{title}} {{safe}} {{odd}}" }
setup: [{ exec: [echo, "{{title}}"] }]
`;
    expect(warningsOf(text)).toEqual([
      'suite.yaml:4:15: run.shell: the value "two words" of {{title}} is read by the shell; write "$BENCHMESH_AXIS_TITLE" there',
      'suite.yaml:4:15: run.shell: the value "$(rm x)" of {{odd}} is read by the shell; pass it by env and write "$NAME" there',
    ]);
  });

  it('entries that match nothing, and regular expressions that may never end', () => {
    const text = `
run: [x]
vars: { v: 1 }
axes: { a: [1, 2], b: [1] }
exclude: [{ a: 3 }]
include: [{ a: 3, v: 2 }]
metrics: [{ name: m, unit: s, regex: '(a+)+(?<value>b)' }]
`;
    expect(warningsOf(text)).toEqual([
      'suite.yaml:5:11: exclude[0]: excludes nothing: no cell has these values',
      'suite.yaml:6:11: include[0]: matches no cell: it sets nothing',
      'suite.yaml:7:38: metrics[0].regex: a repetition inside a repeated group, as in (a+)+, can take exponential time; write it flat',
    ]);
  });
});

describe('units', () => {
  it.each([
    ['250ms', 250],
    ['10s', 10_000],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['1h2m3s4ms', 3_723_004],
    ['0s', 0],
    ['', null],
    ['10', null],
    ['10 s', null],
    ['30s1m', null],
    ['-1s', null],
    ['1d', null],
  ])('duration %j', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each([
    ['1B', 1],
    ['500kB', 500_000],
    ['64MiB', 67_108_864],
    ['1.5GiB', 1_610_612_736],
    ['64M', null],
    ['64', null],
    ['', null],
  ])('size %j', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each([
    ['TERM', 'SIGTERM'],
    ['SIGINT', 'SIGINT'],
    ['SEGV', null],
    ['sigterm', null],
  ])('signal %j', (text, signal) => {
    expect(parseSignal(text)).toBe(signal);
  });
});

describe('templates', () => {
  it.each([
    ['plain', { kind: 'ok', template: 'plain', names: [] }],
    ['{{a}}', { kind: 'ok', template: [{ name: 'a' }], names: ['a'] }],
    [
      'x{{ a }}{{b-c}}y',
      { kind: 'ok', template: ['x', { name: 'a' }, { name: 'b-c' }, 'y'], names: ['a', 'b-c'] },
    ],
    ["{{'{{.Name}}'}}!", { kind: 'ok', template: '{{.Name}}!', names: [] }],
    ['{{"}}"}}', { kind: 'ok', template: '}}', names: [] }],
    ['a {{b', { kind: 'unclosed', rest: '{{b' }],
    ['{{}}', { kind: 'malformed', inner: '' }],
    ['{{1a}}', { kind: 'malformed', inner: '1a' }],
    ['}} {', { kind: 'ok', template: '}} {', names: [] }],
  ])('%j', (text, parsed) => {
    expect(parseTemplate(text)).toEqual(parsed);
  });
});
