/**
 * Where a command writes. Results go to stdout; notes, warnings and progress that is not asked for
 * go to stderr, so that a pipe carries results only.
 */
import { styleFor, wantsColour, type Style } from './style.ts';

export interface Terminal {
  /** Columns of the terminal; null into a pipe. */
  readonly width: number | null;
  readonly isTerminal: boolean;
  readonly style: Style;
  /** For stderr, which may be a terminal when stdout is not. */
  readonly noteStyle: Style;
  /** One line of the result. */
  print(line: string): void;
  printLines(lines: readonly string[]): void;
  /** One JSON value on one line, in the versioned frame. */
  printJson(kind: string, value: Readonly<Record<string, unknown>>): void;
  /** One line on stderr. */
  note(line: string): void;
}

export const JSON_VERSION = 1;

/** The frame of every `--json`: what it is and the version of its shape. */
export function jsonLine(kind: string, value: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ version: JSON_VERSION, kind, ...value });
}

let beforeNote: (() => void) | null = null;

/** While something is redrawn on stderr, a note clears it first; it is drawn again below. */
export function guardNotes(clear: (() => void) | null): void {
  beforeNote = clear;
}

export const terminal: Terminal = {
  get width() {
    return process.stdout.isTTY ? Math.max(40, process.stdout.columns) : null;
  },
  get isTerminal() {
    return process.stdout.isTTY;
  },
  get style() {
    return styleFor(wantsColour(process.env, process.stdout.isTTY));
  },
  get noteStyle() {
    return styleFor(wantsColour(process.env, process.stderr.isTTY));
  },
  print: (line) => {
    process.stdout.write(`${line}\n`);
  },
  printLines: (lines) => {
    if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`);
  },
  printJson: (kind, value) => {
    process.stdout.write(`${jsonLine(kind, value)}\n`);
  },
  note: (line) => {
    beforeNote?.();
    process.stderr.write(`${line}\n`);
  },
};
