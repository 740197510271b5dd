/** Mutations of the files that people write: the config of an agent, and suites. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { parseAgentConfig } from '#cli/agent/agent-config.ts';
import { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { parseSuite } from '#protocol/suite/parse-suite.ts';
import { formatProblem } from '#protocol/suite/problem.ts';

const EXAMPLES = join(import.meta.dirname, '..', '..', 'examples');
const SUITES = ['gpu-smoke', 'hello', 'llama-bench', 'node-sort', 'ollama', 'vllm-serve'];
const CHUNKS = [
  ...[
    ':',
    '- ',
    '\n',
    '\r\n',
    '&a *a',
    '*a',
    '{',
    '}',
    '[',
    ']',
    '"',
    "'",
    '!!x',
    '!!binary ',
    '? ',
  ],
  ...[
    '<<: ',
    '<<: *a',
    '\u0000',
    '  ',
    '\t',
    '---\n',
    '...',
    '|',
    '>-',
    '#',
    '{{',
    '}}',
    '{{gpu}}',
  ],
  ...['null', '~', '-1', '0x10', '.nan', '1e400', 'yes', '9'.repeat(400), 'x'.repeat(3_000)],
  ...['{ '.repeat(300), '[['.repeat(300), '__proto__: 1', '10kk', '5m', '\u2028', '\ufeff'],
];

interface Edit {
  readonly at: number;
  readonly drop: number;
  readonly put: string;
}

const edits: fc.Arbitrary<Edit[]> = fc.array(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    drop: fc.oneof(fc.constant(0), fc.nat(12), fc.nat(200)),
    put: fc.oneof(fc.constantFrom(...CHUNKS), fc.string({ maxLength: 8, unit: 'binary' })),
  }),
  { minLength: 1, maxLength: 6 },
);

function mutated(name: string): fc.Arbitrary<string> {
  const example = readFileSync(join(EXAMPLES, `${name}.yaml`), 'utf8');
  return edits.map((all) =>
    all.reduce((text, { at, drop, put }) => {
      const from = Math.floor(at * text.length);
      return text.slice(0, from) + put + text.slice(from + drop);
    }, example),
  );
}

export const mutatedConfig = mutated('agent');
export const mutatedSuite = fc.oneof(...SUITES.map(mutated));

const PROBLEM = /^f\.yaml:\d+:\d+: [^\n]+$/;
const PROBLEM_MOST = 8_000;

/** A config, or a list of what is wrong, each with its place on one line. */
export function checkConfig(text: string): void {
  const parsed = parseAgentConfig(text, 'f.yaml');
  if (parsed.kind === 'invalid') checkProblems(parsed.problems);
}

/** A suite that can be sent, or the same. */
export function checkSuite(text: string): void {
  const parsed = parseSuite({ text, file: 'f.yaml', dir: '/suites' });
  if (parsed.kind === 'invalid') checkProblems(parsed.problems.map(formatProblem));
  else SuiteSpec.parse(JSON.parse(JSON.stringify(parsed.suite)));
}

function checkProblems(problems: readonly string[]): void {
  if (problems.length === 0) throw new Error('invalid, and nobody says why');
  for (const problem of problems) {
    if (!PROBLEM.test(problem)) throw new Error(`not a line with a place: ${problem}`);
    if (problem.length > PROBLEM_MOST) throw new Error(`a problem of ${problem.length} characters`);
  }
}
