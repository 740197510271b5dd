/** Tasks counted by what they have in common, as a table. Pure. */
import type { TaskGroup } from '../runs/task-groups.ts';
import { dash, duration } from './format.ts';
import type { Style } from './style.ts';
import type { Column } from './table.ts';

export function groupColumns(names: readonly string[], style: Style): Column<TaskGroup>[] {
  return [
    ...names.map((name): Column<TaskGroup> => ({
      header: name,
      value: ({ by }) => dash(by[name] ?? null),
      shrinkTo: 12,
    })),
    { header: 'tasks', value: ({ tasks }) => String(tasks), align: 'right' },
    { header: 'ended', value: ({ ended }) => String(ended), align: 'right', optional: true },
    {
      header: 'passed',
      value: ({ passed }) => String(passed),
      align: 'right',
      paint: (cell, { passed }) => (passed > 0 ? style.good(cell) : cell),
    },
    {
      header: 'failed',
      value: ({ failed }) => String(failed),
      align: 'right',
      paint: (cell, { failed }) => (failed > 0 ? style.bad(cell) : cell),
    },
    {
      header: 'attempts',
      value: ({ meanAttempts }) => meanAttempts.toFixed(1),
      align: 'right',
      optional: true,
    },
    {
      header: 'elapsed',
      value: ({ meanElapsedMs }) => (meanElapsedMs === null ? '-' : duration(meanElapsedMs)),
      align: 'right',
      optional: true,
    },
    { header: 'first', value: ({ first }) => first, isKey: true },
  ];
}
