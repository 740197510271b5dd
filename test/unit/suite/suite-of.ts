/** A parsed suite for tests, or the problems as one line each. */
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { parseSuite, type SuiteSource } from '#protocol/suite/parse-suite.ts';
import { formatProblem } from '#protocol/suite/problem.ts';

type Options = Partial<SuiteSource>;

export function suiteOf(text: string, options: Options = {}): SuiteSpec {
  const parsed = parseSuite({ text, file: 'suite.yaml', dir: '/suites', ...options });
  if (parsed.kind === 'ok') return parsed.suite;
  throw new Error(parsed.problems.map(formatProblem).join('\n'));
}

export function problemsOf(text: string, options: Options = {}): string[] {
  const parsed = parseSuite({ text, file: 'suite.yaml', dir: '/suites', ...options });
  return parsed.kind === 'ok' ? [] : parsed.problems.map(formatProblem);
}

export function warningsOf(text: string, options: Options = {}): string[] {
  const parsed = parseSuite({ text, file: 'suite.yaml', dir: '/suites', ...options });
  if (parsed.kind === 'ok') return parsed.warnings.map(formatProblem);
  throw new Error(parsed.problems.map(formatProblem).join('\n'));
}
