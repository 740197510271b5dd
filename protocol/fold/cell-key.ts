/** The same text for the tasks of one cell of the matrix, whichever repeat they are. */
import type { AxisValue } from '../messages/ids.ts';

export function cellKey(axes: Readonly<Record<string, AxisValue>>): string {
  return JSON.stringify(Object.entries(axes).sort(([a], [b]) => (a < b ? -1 : 1)));
}
