/** A suite file as named on the command line, parsed; what is wrong with it is one line each. */
import { isUtf8 } from 'node:buffer';
import { readFile, stat } from 'node:fs/promises';
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
    return textOf('stdin', Buffer.concat(parts));
  }
  try {
    const about = await stat(path);
    // A pipe without a writer would be waited for without a word, a device read for ever.
    if (!about.isFile() && !about.isDirectory())
      throw new Error('it is no regular file; write - to read standard input');
    return textOf(file, await readFile(path));
  } catch (error) {
    if (error instanceof MeshError) throw error;
    throw new MeshError(
      'file_not_found',
      `${file} cannot be read: ${toError(error).message}`,
      error,
    );
  }
}

/** Bytes that are no text would be kept as something else than was written. */
function textOf(name: string, bytes: Buffer): string {
  const text = bytes.toString('utf8');
  if (isUtf8(bytes)) return text;
  let from = 0;
  for (let line = 1; ; line += 1) {
    const newline = bytes.indexOf(10, from);
    const part = bytes.subarray(from, newline < 0 ? undefined : newline);
    if (!isUtf8(part)) {
      const column = part.toString('utf8').indexOf('\uFFFD') + 1;
      throw new MeshError(
        'suite_invalid',
        `${name}:${line}:${column}: this is not UTF-8; save the file as UTF-8`,
      );
    }
    from = newline + 1;
  }
}
