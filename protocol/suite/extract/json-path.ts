/**
 * A place in a JSON value: `results[0].rate`, `["a.key"].rate`, `runs[-1]` (from the end). The
 * empty path is the whole value.
 */
export type JsonPath = readonly (string | number)[];

const PART = /(?:^|(?<=.)\.)([A-Za-z_$@][\w$@-]*)|\[(-?\d+)\]|\[("(?:[^"\\]|\\.)*")\]/y;

/** The parts of a path, or null for what is none. */
export function parseJsonPath(text: string): JsonPath | null {
  const parts: (string | number)[] = [];
  let at = 0;
  while (at < text.length) {
    PART.lastIndex = at;
    const match = PART.exec(text);
    if (match === null) return null;
    const [, key, index, quoted] = match;
    const part = key ?? (index === undefined ? unquote(quoted ?? '') : Number(index));
    if (part === null) return null;
    parts.push(part);
    at = PART.lastIndex;
  }
  return parts;
}

function unquote(text: string): string | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'string' ? value : null;
  } catch {
    return null;
  }
}

/** The value at a path; undefined where there is none. */
export function valueAt(root: unknown, path: JsonPath): unknown {
  let value = root;
  for (const part of path) {
    if (typeof part === 'number') {
      if (!Array.isArray(value)) return undefined;
      value = (value as unknown[]).at(part);
    } else {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
      if (!Object.hasOwn(value, part)) return undefined;
      value = (value as Record<string, unknown>)[part];
    }
  }
  return value;
}
