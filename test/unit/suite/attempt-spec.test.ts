import { describe, expect, it } from 'vitest';
import { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import { attemptSpec } from '#protocol/suite/attempt-spec.ts';
import { expandTasks } from '#protocol/suite/expand.ts';
import { createExtractor } from '#protocol/suite/extract/create-extractor.ts';
import { suiteOf } from './suite-of.ts';

const RUN = '2026-02-13_14-30-45-k3f9';

/** The spec of the task at a position, as attempt `n`. */
function specOf(text: string, at = 0, n = 1): AttemptSpec {
  const suite = suiteOf(text);
  const task = expandTasks(suite)[at];
  if (task === undefined) throw new Error(`no task ${at}`);
  return attemptSpec(suite, { run: RUN, task, n });
}

describe('an attempt', () => {
  it('is what its agent reads', () => {
    const spec = specOf(
      'run: [x, "{{a}}"]\naxes: { a: [1, 2] }\nrepeats: 2\nseed: 40\nneeds: { slots: 2 }\nbudget: 1m',
      3,
      2,
    );
    expect(AttemptSpec.parse(JSON.parse(JSON.stringify(spec)))).toEqual(spec);
    expect(spec).toMatchObject({
      run: RUN,
      n: 2,
      suite: 'suite',
      axes: { a: 2 },
      repeat: 2,
      index: 3,
      seed: 41,
      suiteDir: '/suites',
      needs: { slots: 2, cpus: 0, exclusive: true },
      budgetMs: 60_000,
      stopSignal: 'SIGTERM',
      steps: [{ id: 'run', argv: ['x', '2'] }],
    });
  });

  it('has every name in its templates', () => {
    const names = ['suite.dir', 'run', 'attempt', 'index', 'repeat', 'seed', 'a', 'v'];
    const words = names.map((name) => JSON.stringify(`${name}={{${name}}}`)).join(', ');
    const [step] = specOf(`run: [x, ${words}]\naxes: { a: [true] }\nvars: { v: 1.5 }`, 0, 3).steps;
    expect(step?.argv.slice(1)).toEqual([
      'suite.dir=/suites',
      `run=${RUN}`,
      'attempt=3',
      'index=0',
      'repeat=1',
      'seed=1',
      'a=true',
      'v=1.5',
    ]);
  });

  it('has the vars that include sets in its cell', () => {
    const text =
      'run: [x, "{{v}}"]\naxes: { a: [1, 2] }\nvars: { v: all }\ninclude: [{ a: 2, v: two }]';
    expect(specOf(text, 0).steps[0]?.argv).toEqual(['x', 'all']);
    expect(specOf(text, 1).steps[0]?.argv).toEqual(['x', 'two']);
  });

  it('gets values as one word each, never through a shell', () => {
    const text = `run: [x, "{{a}}", "-o{{a}}"]\naxes: { a: ["$(reboot); two  words '\\""] }`;
    const value = `$(reboot); two  words '"`;
    expect(specOf(text).steps[0]?.argv).toEqual(['x', value, `-o${value}`]);
  });

  it('does not expand what a value looks like', () => {
    const text = 'run: [x, "{{a}}"]\naxes: { a: ["{{run}}"] }';
    expect(specOf(text).steps[0]?.argv).toEqual(['x', '{{run}}']);
  });

  it('merges env, the step over the suite', () => {
    const text =
      'run: { exec: [x], env: { B: "{{a}}" } }\nenv: { A: "{{a}}", B: b }\naxes: { a: [1] }';
    expect(specOf(text).steps[0]?.env).toEqual({ A: '1', B: '1' });
  });

  it('has templates in files, checkpoints, messages and metrics; a value in a regex is literal', () => {
    const spec = specOf(`
run: [x]
axes: { a: ["a.b(c)-d/"] }
preflight: { exec: [p], message: "no {{a}}" }
files: ["{{a}}.json", plain]
checkpoints: ["{{index}}.ckpt"]
metrics:
  - { name: r, unit: s, flags: u, regex: '^{{a}} (?<value>\\d{2})$' }
  - { name: j, unit: s, json: "{{a}}.json", path: "x[{{index}}]" }
  - { name: l, unit: s, lastLine: plain }
`);
    expect(spec.steps[0]?.message).toBe('no a.b(c)-d/');
    expect(spec.files).toEqual(['a.b(c)-d/.json', 'plain']);
    expect(spec.checkpoints).toEqual(['0.ckpt']);
    expect(spec.metrics.map(({ from }) => from)).toEqual([
      {
        kind: 'regex',
        pattern: '^a\\.b\\(c\\)\\x2dd\\/ (?<value>\\d{2})$',
        flags: 'u',
        stream: 'stdout',
      },
      { kind: 'json_file', file: 'a.b(c)-d/.json', path: 'x[0]' },
      { kind: 'json_last_line', path: 'plain' },
    ]);
    const extractor = createExtractor(spec.metrics);
    extractor.feed('stdout', Buffer.from('aXb(c)-d/ 41\na.b(c)-d/ 42\n'));
    expect(extractor.finish(() => null).metrics).toMatchObject([{ name: 'r', value: 42 }]);
  });
});

describe('paths', () => {
  it.each([
    [
      '[./a.sh, ./b, ../c, d/e, .hidden, ..]',
      ['/suites/a.sh', '/suites/b', '/c', 'd/e', '.hidden', '..'],
    ],
    ['[bin/tool, -o./x]', ['/suites/bin/tool', '-o./x']],
    ['[/usr/bin/env, tool]', ['/usr/bin/env', 'tool']],
    ['[tool, "{{script}}"]', ['tool', '/suites/s.sh']],
    ['["{{suite.dir}}/a"]', ['/suites/a']],
    ['{ shell: ./a.sh }', ['/bin/sh', '-c', './a.sh']],
  ])('%s', (run, argv) => {
    expect(specOf(`run: ${run}\nvars: { script: ./s.sh }`).steps[0]?.argv).toEqual(argv);
  });

  it.each([
    ['sub', '/suites/sub'],
    ['.', '/suites'],
    ['./{{a}}', '/suites/v'],
    ['/tmp', '/tmp'],
    ['"{{suite.dir}}/x"', '/suites/x'],
  ])('cwd %s', (cwd, absolute) => {
    expect(specOf(`run: [x]\ncwd: ${cwd}\nvars: { a: v }`).steps[0]?.cwd).toBe(absolute);
  });

  it('cwd is the work folder when nothing is said', () => {
    expect(specOf('run: [x]').steps[0]?.cwd).toBeNull();
  });
});
