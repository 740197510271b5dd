/** What differs between two JSON values, path by path. Pure. */
export interface Difference {
  /** `tasks[3].outcome`. */
  readonly path: string;
  /** What the fold of the log says. */
  readonly folded: unknown;
  /** What was archived or shown. */
  readonly found: unknown;
}

const MOST = 50;

/** At most 50: the first ones tell. */
export function differences(folded: unknown, found: unknown, path = ''): Difference[] {
  if (isObject(folded) && isObject(found)) {
    const names = new Set([...Object.keys(folded), ...Object.keys(found)]);
    return [...names]
      .sort()
      .flatMap((name) =>
        differences(folded[name], found[name], path === '' ? name : `${path}.${name}`),
      )
      .slice(0, MOST);
  }
  if (Array.isArray(folded) && Array.isArray(found)) {
    const length = Math.max(folded.length, found.length);
    const all: Difference[] = [];
    for (let at = 0; at < length && all.length < MOST; at += 1) {
      all.push(...differences(folded[at], found[at], `${path}[${at}]`));
    }
    return all.slice(0, MOST);
  }
  return Object.is(folded, found) ? [] : [{ path, folded, found }];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
