/** `schema` of a result file in a suite: written out, or in a file beside it. */
import { expect, it } from 'vitest';
import { problemsOf, suiteOf } from './suite-of.ts';

const RUN = 'run: [echo]\n';
const named = (text: string) => ({ readNamed: () => text });
const rulesOf = (...args: Parameters<typeof suiteOf>): unknown => suiteOf(...args).fileRules;

it('is part of the rule, whichever way it is given', () => {
  const schema = { type: 'object', required: ['{{tps}}'] };
  const rule = { path: 'a.json', maxBytes: null, required: false, schema };
  const inline = 'files: [b, { path: a.json, schema: { type: object, required: ["{{tps}}"] } }]';
  expect(rulesOf(RUN + inline)).toEqual([rule]);
  const beside = 'files: [{ path: a.json, schema: a.schema.json }]';
  expect(rulesOf(RUN + beside, named(JSON.stringify(schema)))).toEqual([rule]);
  expect(rulesOf(RUN + beside, named('type: object\nrequired: ["{{tps}}"]'))).toEqual([rule]);
});

it.each([
  [
    'schema: { properties: { a: { tpye: number } } }',
    '2:37: files[0].schema.properties.a.tpye: unknown keyword "tpye". Did you mean "type"?',
  ],
  [
    'schema: 7',
    '2:29: files[0].schema: must be a JSON Schema, or the path of a file that holds one, not 7',
  ],
])('%s: is told at its place', (text, problem) => {
  const problems = problemsOf(`${RUN}files: [{ path: a.json, ${text} }]`);
  expect(problems.map((line) => line.replace(/^suite\.yaml:\d+:\d+/, ''))).toEqual([
    problem.replace(/^\d+:\d+/, ''),
  ]);
  expect(problems[0]).toMatch(/^suite\.yaml:2:\d+: /);
});

it('a file is told with its own place', () => {
  const text = `${RUN}files:\n  - path: a.json\n    schema: s.json\n`;
  expect(problemsOf(text, named('{\n  "type": "objekt"\n}'))).toEqual([
    'suite.yaml:4:13: files[0].schema: s.json:2:11: type: must be of null, boolean, object, array, number, integer, string, or a list of them',
  ]);
  expect(problemsOf(text, named('{"type": "object"'))[0]).toMatch(
    /^suite\.yaml:4:13: files\[0\]\.schema: s\.json:1:\d+: this is not YAML: /,
  );
  const missing = {
    readNamed: () => {
      throw new Error('ENOENT');
    },
  };
  expect(problemsOf(text, missing)).toEqual([
    'suite.yaml:4:13: files[0].schema: s.json cannot be read: ENOENT',
  ]);
  expect(problemsOf(text, { ...named('{}'), dir: null })).toEqual([
    'suite.yaml:4:13: files[0].schema: is relative to the folder of the suite, but the suite was read from standard input; write an absolute path',
  ]);
});
