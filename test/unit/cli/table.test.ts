import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { table, type Column } from '#cli/output/table.ts';
import { oneLine, truncate, widthOf } from '#cli/output/text.ts';

interface Row {
  readonly id: string;
  readonly text: string;
  readonly count: number;
}

const columns: Column<Row>[] = [
  { header: 'id', value: (row) => row.id },
  { header: 'text', value: (row) => row.text, shrinkTo: 5 },
  { header: 'count', value: (row) => String(row.count), align: 'right' },
  { header: 'again', value: (row) => row.text, optional: true },
];
const rows: Row[] = [
  { id: 'a', text: 'short', count: 1 },
  { id: 'b', text: 'a rather long text that has to give way', count: 1_000 },
];

describe('table', () => {
  it('cuts nothing into a pipe', () => {
    expect(table(rows, columns, { width: null })).toEqual([
      'id  text                                     count  again',
      'a   short                                        1  short',
      'b   a rather long text that has to give way   1000  a rather long text that has to give way',
    ]);
  });

  it('shrinks what may shrink, then leaves out what is optional', () => {
    expect(table(rows, columns.slice(0, 3), { width: 24 })).toEqual([
      'id  text           count',
      'a   short              1',
      'b   a rather lon…   1000',
    ]);
    expect(table(rows, columns, { width: 50 })[0]).not.toContain('again');
  });

  it('keeps every line within the terminal, whatever is in it', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            id: fc.string({ unit: 'grapheme' }),
            text: fc.string({ unit: 'binary' }),
            count: fc.integer(),
          }),
          { maxLength: 8 },
        ),
        fc.integer({ min: 20, max: 120 }),
        (any, width) => {
          const lines = table(any, columns, { width });
          expect(lines).toHaveLength(any.length + 1);
          for (const line of lines) {
            expect(widthOf(line)).toBeLessThanOrEqual(width);
            expect(line).not.toMatch(/\p{Cc}/u);
          }
        },
      ),
    );
  });

  it('paints cells after padding, so colours take no room', () => {
    const [, line] = table(
      [{ id: 'a', text: 'x', count: 1 }],
      [
        {
          header: 'id',
          value: (row: Row) => row.id,
          paint: (cell: string) => `\u001b[32m${cell}\u001b[39m`,
        },
        { header: 'n', value: (row: Row) => String(row.count) },
      ],
      { width: 40 },
    );
    expect(line).toBe('\u001b[32ma\u001b[39m   1');
  });
});

describe('text', () => {
  it.each([
    ['a\nb\tc', 'a b c'],
    ['\u001b[31mred\u001b[0m', 'red'],
    ['bell\u0007', 'bell'],
  ])('%j becomes one harmless line', (text, line) => {
    expect(oneLine(text)).toBe(line);
  });

  it('counts wide characters as two', () => {
    expect(widthOf('日本')).toBe(4);
    expect(truncate('日本語', 5)).toBe('日本…');
    expect(truncate('abc', 3)).toBe('abc');
  });
});
