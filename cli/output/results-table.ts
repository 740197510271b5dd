/** Measurements per cell: median and spread, with units and which way is better. Pure. */
import { resultRows, type ResultOptions, type ResultRow } from '#protocol/fold/results-fold.ts';
import type { TaskView } from '#protocol/fold/task-view.ts';
import { dash, quantity } from './format.ts';
import { countedText } from './run-text.ts';
import type { Style } from './style.ts';
import { table, type Column } from './table.ts';

const ARROWS = { higher: '↑', lower: '↓', none: '' } as const;

export function resultsTable(
  tasks: readonly TaskView[],
  about: ResultOptions & { readonly style: Style; readonly width: number | null },
): string[] {
  const rows = resultRows(tasks, about);
  if (rows.length === 0) return [];
  return table(rows, columnsOf(rows), { width: about.width, paintHeader: about.style.dim });
}

const FLAKY: Column<ResultRow> = {
  header: 'flaky',
  value: ({ flaky }) => (flaky === undefined ? '-' : countedText(flaky)),
};

function columnsOf(rows: readonly ResultRow[]): Column<ResultRow>[] {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row.axes)))];
  return [
    ...names.map((name): Column<ResultRow> => {
      const numeric = rows.every((row) => typeof row.axes[name] === 'number');
      return {
        header: name,
        value: (row) => dash(row.axes[name] === undefined ? null : String(row.axes[name])),
        align: numeric ? 'right' : 'left',
        shrinkTo: 6,
      };
    }),
    { header: 'metric', value: (row) => row.metric, shrinkTo: 8 },
    { header: 'median', value: (row) => quantity(row.median), align: 'right' },
    {
      header: 'unit',
      value: (row) =>
        `${row.unit}${ARROWS[row.direction] === '' ? '' : ` ${ARROWS[row.direction]}`}`,
      shrinkTo: 4,
    },
    {
      header: 'min .. max',
      value: (row) => `${quantity(row.min)} .. ${quantity(row.max)}`,
      align: 'right',
    },
    { header: 'spread', value: (row) => `${(row.spread * 100).toFixed(1)}%`, align: 'right' },
    { header: 'n', value: (row) => String(row.count), align: 'right' },
    ...(rows.some(({ flaky }) => flaky !== undefined) ? [FLAKY] : []),
  ];
}
