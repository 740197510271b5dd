/** A suite file as named on the command line, parsed; what is wrong with it is one line each. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { MeshError, toError } from '#protocol/messages/errors.ts';
import type { SuiteSpec } from '#protocol/messages/suite-spec.ts';
import { parseSuite } from '#protocol/suite/parse-suite.ts';
import { formatProblem } from '#protocol/suite/problem.ts';
import { terminal } from '../output/terminal.ts';

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
  const text = await readText(file, path);
  const parsed = parseSuite({
    text,
    file: isStdin ? 'stdin' : file,
    dir: path === null ? null : dirname(path),
    profile: flags.profile ?? null,
    set: flags.set,
    only: flags.only,
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

async function readText(file: string, path: string | null): Promise<string> {
  if (path === null) {
    const parts: Buffer[] = [];
    for await (const part of process.stdin) parts.push(part as Buffer);
    return Buffer.concat(parts).toString('utf8');
  }
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new MeshError(
      'file_not_found',
      `${file} cannot be read: ${toError(error).message}`,
      error,
    );
  }
}
