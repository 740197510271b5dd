/** A suite file as named on the command line, parsed; what is wrong with it is one line each. */
import { dirname, resolve } from 'node:path';
import { MeshError } from '#protocol/messages/errors.ts';
import type { SuiteSpec } from '#protocol/messages/run/suite-spec.ts';
import { parseSuite } from '#protocol/suite/parse-suite.ts';
import { formatProblem } from '#protocol/suite/problem.ts';
import { terminal } from '../output/terminal.ts';
import { readNamed, readStdin, readText } from '../read-text.ts';

export interface SuiteFlags {
  readonly profile?: string;
  readonly set: readonly string[];
  readonly only: readonly string[];
}

export interface ReadSuite {
  readonly suite: SuiteSpec;
  readonly text: string;
  /** Absolute; null from standard input. */
  readonly file: string | null;
}

/** `-` reads standard input. Warnings go to stderr. Rejects with `suite_invalid` or `file_not_found`. */
export async function readSuite(file: string, flags: SuiteFlags): Promise<ReadSuite> {
  const isStdin = file === '-';
  const path = isStdin ? null : resolve(file);
  const code = 'suite_invalid';
  const text = path === null ? await readStdin(code) : await readText(path, { name: file, code });
  const parsed = parseSuite({
    text,
    file: isStdin ? 'stdin' : file,
    dir: path === null ? null : dirname(path),
    profile: flags.profile ?? null,
    set: flags.set,
    only: flags.only,
    readNamed: (named) => readNamed(path === null ? named : resolve(dirname(path), named)),
  });
  if (parsed.kind === 'invalid') {
    const [last, ...others] = [...parsed.problems].reverse();
    for (const problem of others.reverse()) terminal.note(`benchmesh: ${formatProblem(problem)}`);
    if (last === undefined) throw new MeshError('suite_invalid', `${file} is no suite`);
    throw new MeshError(last.code, formatProblem(last));
  }
  for (const warning of parsed.warnings) terminal.note(`warning: ${formatProblem(warning)}`);
  return { suite: parsed.suite, text, file: path };
}
