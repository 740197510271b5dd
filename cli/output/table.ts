/**
 * Tables that fit. On a terminal, columns that may shrink are cut with an ellipsis, the widest
 * first, down to their minimum; if that is not enough, optional columns are left out, the last
 * first. A key is cut last of all. Into a pipe (`width` null) nothing is cut and nothing left out.
 */
import { oneLine, pad, truncate, widthOf } from './text.ts';

export interface Column<Row> {
  readonly header: string;
  readonly value: (row: Row) => string;
  readonly align?: 'left' | 'right';
  /** Least width it may be cut to; absent: never cut. */
  readonly shrinkTo?: number;
  /** People copy it: cut only when nothing else is left. */
  readonly isKey?: boolean;
  /** May be left out where there is no room. */
  readonly optional?: boolean;
  /** Colours a cell that is already cut and padded. */
  readonly paint?: (cell: string, row: Row) => string;
}

export interface TableOptions {
  /** Columns of the terminal; null for no limit. */
  readonly width: number | null;
  readonly paintHeader?: (cell: string) => string;
}

const GAP = 2;
/** A column that is not copied is cut down to this before one that is. */
const LEAST = 3;

/** The lines of a table. No line is wider than `width`, none ends in spaces. */
export function table<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  options: TableOptions,
): string[] {
  const cells = rows.map((row) => columns.map((column) => oneLine(column.value(row))));
  const natural = columns.map((column, at) =>
    Math.max(widthOf(column.header), ...chunkedWidths(cells, at)),
  );
  const widths = fit(columns, natural, options.width);
  const shown = columns.flatMap((column, at) => {
    const width = widths[at];
    return width === undefined || width === null ? [] : [{ column, at, width }];
  });
  const line = (cell: (at: number, column: Column<Row>, width: number) => string): string =>
    shown
      .map(({ column, at, width }) => cell(at, column, width))
      .join(' '.repeat(GAP))
      .trimEnd();
  const paintHeader = options.paintHeader ?? ((cell: string) => cell);
  const header = line((_at, column, width) =>
    paintHeader(pad(truncate(column.header, width), width, column.align ?? 'left')),
  );
  const body = rows.map((row, index) =>
    line((at, column, width) => {
      const text = truncate(cells[index]?.[at] ?? '', width);
      const painted = column.paint === undefined ? text : column.paint(text, row);
      return pad(painted, width, column.align ?? 'left');
    }),
  );
  return [header, ...body];
}

function* chunkedWidths(cells: readonly string[][], at: number): Generator<number> {
  // A spread of 100,000 arguments overflows the stack: the maximum of each thousand is enough.
  for (let from = 0; from < cells.length; from += 1_000) {
    yield Math.max(0, ...cells.slice(from, from + 1_000).map((row) => widthOf(row[at] ?? '')));
  }
}

/** Width of each column; null for one left out. */
export function fit(
  columns: readonly Pick<Column<never>, 'shrinkTo' | 'optional' | 'isKey'>[],
  natural: readonly number[],
  limit: number | null,
): (number | null)[] {
  const widths: (number | null)[] = [...natural];
  if (limit === null) return widths;
  const total = (): number => {
    const kept = widths.filter((width) => width !== null);
    return kept.reduce((sum, width) => sum + width, 0) + GAP * Math.max(0, kept.length - 1);
  };
  shrink(columns, widths, () => total() - limit);
  for (let at = columns.length - 1; at >= 0 && total() > limit; at -= 1) {
    if (columns[at]?.optional !== true) continue;
    widths[at] = null;
    // What was cut for its sake may have its room back.
    columns.forEach((_column, other) => {
      if (widths[other] !== null) widths[other] = natural[other] ?? null;
    });
    shrink(columns, widths, () => total() - limit);
  }
  // Still too wide: cut whatever is widest, so that no line wraps; what is copied last of all.
  while (total() > limit) {
    const widest =
      indexOfMax(widths, (at) => (columns[at]?.isKey === true ? Infinity : LEAST)) ??
      indexOfMax(widths, () => 1);
    if (widest === null) break;
    widths[widest] = (widths[widest] ?? 1) - 1;
  }
  return widths;
}

function shrink(
  columns: readonly Pick<Column<never>, 'shrinkTo'>[],
  widths: (number | null)[],
  excess: () => number,
): void {
  while (excess() > 0) {
    const widest = indexOfMax(widths, (at) => columns[at]?.shrinkTo ?? Infinity);
    if (widest === null) return;
    widths[widest] = (widths[widest] ?? 1) - 1;
  }
}

/** The widest that is above its floor. */
function indexOfMax(
  widths: readonly (number | null)[],
  floor: (at: number) => number,
): number | null {
  let best: number | null = null;
  widths.forEach((width, at) => {
    if (width === null || width <= floor(at)) return;
    if (best === null || width > (widths[best] ?? 0)) best = at;
  });
  return best;
}
