/**
 * What `nvidia-smi --query-...=... --format=csv` prints: a header that names the columns, then a row
 * for each thing. Pure. Columns are found by their names, so that unknown and missing ones do no harm;
 * lines that are no rows (warnings, a GPU that does not answer) are kept apart.
 */

export type Cell =
  | { readonly kind: 'value'; readonly text: string }
  /** The device or the driver does not have it. */
  | { readonly kind: 'none' }
  /** Asking the device for it failed. */
  | { readonly kind: 'error'; readonly text: string };

export type Row = (column: string) => Cell;

export interface Table {
  /** Empty where no header was found. */
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  /** Everything that is neither header nor row, trimmed. */
  readonly notes: readonly string[];
}

export interface TableShape {
  /** The header is the first line that has this column. */
  readonly key: string;
  /** A column of free text: commas too many in a row are part of it. */
  readonly free: string;
}

const MOST_ROWS = 1_024;
const NONE: Cell = { kind: 'none' };
/** As drivers of ten years say it. */
const NONE_TOKENS = new Set([
  '',
  'n/a',
  'not supported',
  'function not found',
  'requested functionality has been deprecated',
  'insufficient permissions',
  'not found',
  'not available in wddm driver model',
]);
/** In brackets, or bare where the older ones do so. */
const ERROR =
  /^(?:err!|.*unknown error.*|.*gpu is lost.*|.*gpu requires reset.*|.*reset required.*)$/i;

export function parseTable(text: string, shape: TableShape): Table {
  const lines = text.split(/\r\n|\r|\n/).map((line) => line.trim());
  const at = lines.findIndex((line) => columnsOf(line).includes(shape.key));
  const notes = lines.slice(0, at === -1 ? undefined : at).filter((line) => line !== '');
  if (at === -1) return { columns: [], rows: [], notes };
  const columns = columnsOf(lines[at] ?? '');
  const rows: Row[] = [];
  for (const line of lines.slice(at + 1)) {
    const cells = line === '' ? null : cellsOf(line, columns, shape.free);
    if (cells === null || rows.length >= MOST_ROWS) {
      if (line !== '' && notes.length < MOST_ROWS) notes.push(line);
      continue;
    }
    rows.push((column) => {
      const index = columns.indexOf(column);
      return index === -1 ? NONE : cellOf(cells[index] ?? '');
    });
  }
  return { columns, rows, notes };
}

/** `memory.total [MiB]` is the column `memory.total`. */
function columnsOf(line: string): string[] {
  return line.split(',').map((name) => name.replace(/\s*\[[^\]]*\]\s*$/, '').trim());
}

/** Null for what is no row of these columns. */
function cellsOf(line: string, columns: readonly string[], free: string): string[] | null {
  const cells = line.split(',');
  const excess = cells.length - columns.length;
  const at = columns.indexOf(free);
  if (excess < 0 || (excess > 0 && at === -1)) return null;
  if (excess > 0) cells.splice(at, excess + 1, cells.slice(at, at + excess + 1).join(','));
  return cells.map((cell) => cell.trim());
}

function cellOf(text: string): Cell {
  const bare = text.replace(/^\[(.*)\]$/, '$1').trim();
  if (NONE_TOKENS.has(bare.toLowerCase())) return NONE;
  if (ERROR.test(bare)) return { kind: 'error', text: bare };
  return { kind: 'value', text };
}

export function textOf(cell: Cell): string | null {
  return cell.kind === 'value' ? cell.text : null;
}

/** `81559 MiB`, `81559`, `700.00 W`; null for what is no finite number of at least 0. */
export function amountOf(cell: Cell): number | null {
  if (cell.kind !== 'value') return null;
  const match = /^(\d{1,15}(?:\.\d{1,6})?)(?:\s*[A-Za-z%]{1,5})?$/.exec(cell.text);
  return match === null ? null : Number(match[1]);
}

export function countOf(cell: Cell): number | null {
  const value = amountOf(cell);
  return value !== null && Number.isInteger(value) ? value : null;
}

/** `Enabled`, `Disabled`, `Yes`, `No`. */
export function switchOf(cell: Cell): boolean | null {
  if (cell.kind !== 'value') return null;
  if (/^(?:enabled|yes|on)$/i.test(cell.text)) return true;
  return /^(?:disabled|no|off)$/i.test(cell.text) ? false : null;
}
