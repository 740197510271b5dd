/** Text as it takes room on a terminal. */
import { stripVTControlCharacters } from 'node:util';

/** Control characters: they would move the cursor or ring a bell. */
const CONTROL = /\p{Cc}/gu;

/** What came from a benchmark or a suite, on one line: no escape sequence of it reaches a terminal. */
export function oneLine(text: string): string {
  return stripVTControlCharacters(text)
    .replace(/[\n\t]+/gu, ' ')
    .replace(CONTROL, '')
    .trim();
}

/** Columns of a terminal a text takes; colours take none. */
export function widthOf(text: string): number {
  let width = 0;
  for (const char of stripVTControlCharacters(text))
    width += isWide(char.codePointAt(0) ?? 0) ? 2 : 1;
  return width;
}

/** At most `width` columns, with an ellipsis where something was cut. Takes no colours. */
export function truncate(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  if (width <= 1) return width === 1 ? '…' : '';
  let result = '';
  let used = 0;
  for (const char of text) {
    const step = isWide(char.codePointAt(0) ?? 0) ? 2 : 1;
    if (used + step > width - 1) break;
    result += char;
    used += step;
  }
  return `${result}…`;
}

/** On lines of at most `width` columns, broken at spaces; a longer word has its line to itself. Takes no colours. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (line !== '' && widthOf(longer) > width) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line];
}

export function pad(text: string, width: number, align: 'left' | 'right'): string {
  const space = ' '.repeat(Math.max(0, width - widthOf(text)));
  return align === 'left' ? text + space : space + text;
}

function isWide(code: number): boolean {
  return (
    (code >= 0x1100 && code <= 0x115f) ||
    (code >= 0x2e80 && code <= 0xa4cf) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0x1f300 && code <= 0x1faff)
  );
}
