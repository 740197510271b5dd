/** What is wrong with a suite, and where: a place in the file, or the command-line option it came from. */
import type { ErrorCode } from '../messages/errors.ts';

/** Where a value was written. */
export type Origin = { readonly offset: number } | { readonly option: string };

export interface SuiteProblem {
  readonly code: Extract<ErrorCode, 'suite_invalid' | 'suite_too_large'>;
  /** The suite file as it was named, or the option (`--set repeats=x`). */
  readonly file: string;
  /** From 1; 0 for an option. */
  readonly line: number;
  readonly column: number;
  /** `metrics[0].regex`; empty for the whole file. */
  readonly path: string;
  /** One line: what is wrong and what to do. */
  readonly message: string;
}

/** A problem whose origin is not yet a line and a column. */
export interface Finding {
  readonly at: Origin;
  readonly path: Path;
  readonly message: string;
  readonly code?: SuiteProblem['code'];
}

export type Path = readonly (string | number)[];

export function pathText(path: Path): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^[\w-]+$/.test(part)) text += text === '' ? part : `.${part}`;
    else text += `[${JSON.stringify(part)}]`;
  }
  return text;
}

/** `suite.yaml:3:5: metrics[0].regex: message`, or `--set x=1: message`. */
export function formatProblem(problem: SuiteProblem): string {
  const place =
    problem.line === 0 ? problem.file : `${problem.file}:${problem.line}:${problem.column}`;
  return `${place}: ${problem.path === '' ? '' : `${problem.path}: `}${problem.message}`;
}

/** Findings as problems: placed, without repetitions, in the order of the file; options come last. */
export function placeFindings(
  findings: readonly Finding[],
  file: string,
  position: (offset: number) => { line: number; col: number },
): SuiteProblem[] {
  const seen = new Map<string, SuiteProblem>();
  for (const { at, path, message, code = 'suite_invalid' } of findings) {
    const where =
      'option' in at
        ? { file: at.option, line: 0, column: 0 }
        : { file, line: position(at.offset).line, column: position(at.offset).col };
    const problem = { code, ...where, path: pathText(path), message };
    seen.set(JSON.stringify(problem), problem);
  }
  return [...seen.values()].sort(
    (a, b) => Number(a.line === 0) - Number(b.line === 0) || a.line - b.line || a.column - b.column,
  );
}

/** The known name nearest to a mistyped one, as ` Did you mean "x"?`, or nothing. */
export function didYouMean(name: string, known: readonly string[]): string {
  let best: string | null = null;
  // Too short to guess: 0 edits under 3 characters, 1 at 3, then 2 and more.
  const { length } = name;
  let least = length < 4 ? Math.max(1, length - 1) : Math.max(2, Math.floor(length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best === null ? '' : ` Did you mean "${best}"?`;
}

function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 8) return Infinity;
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substituted = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substituted, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? Infinity;
}
