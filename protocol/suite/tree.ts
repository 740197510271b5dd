/**
 * A YAML document as plain data that remembers where each value was written, so that a problem
 * found after profiles and options were merged still points at its line.
 */
import type { Origin, Path } from './problem.ts';

export type Scalar = string | number | boolean | null;

export type Tree =
  | {
      readonly kind: 'scalar';
      readonly at: Origin;
      readonly value: Scalar;
      readonly source: string;
    }
  | { readonly kind: 'list'; readonly at: Origin; readonly items: readonly Tree[] }
  | { readonly kind: 'map'; readonly at: Origin; readonly entries: ReadonlyMap<string, Entry> };

export type MapTree = Extract<Tree, { kind: 'map' }>;
export interface Entry {
  readonly keyAt: Origin;
  readonly value: Tree;
}

export function child(tree: Tree | null, key: string | number): Tree | null {
  if (tree?.kind === 'map') return tree.entries.get(String(key))?.value ?? null;
  if (tree?.kind === 'list' && typeof key === 'number') return tree.items[key] ?? null;
  return null;
}

/** The keys of a map; none of anything else. */
export function keys(tree: Tree | null): string[] {
  return tree?.kind === 'map' ? [...tree.entries.keys()] : [];
}

export function items(tree: Tree | null): readonly Tree[] {
  return tree?.kind === 'list' ? tree.items : [];
}

/** Where the value at a path is written; of a missing one, the nearest that encloses it. */
export function originOf(tree: Tree, path: Path): Origin {
  let at: Tree = tree;
  for (const key of path) {
    const next = child(at, key);
    if (next === null) break;
    at = next;
  }
  return at.at;
}

/** Where the key at the end of a path is written. */
export function keyOriginOf(tree: Tree, path: Path, key: string): Origin {
  let at: Tree | null = tree;
  for (const step of path) at = child(at, step);
  const entry = at?.kind === 'map' ? at.entries.get(key) : undefined;
  return entry?.keyAt ?? originOf(tree, path);
}

export function toPlain(tree: Tree): unknown {
  switch (tree.kind) {
    case 'scalar':
      return tree.value;
    case 'list':
      return tree.items.map(toPlain);
    case 'map': {
      const plain: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
      for (const [key, entry] of tree.entries) plain[key] = toPlain(entry.value);
      return plain;
    }
  }
}

/** Maps merge key by key; anything else of `over` replaces what is in `base`. */
export function merge(base: Tree, over: Tree): Tree {
  if (base.kind !== 'map' || over.kind !== 'map') return over;
  const entries = new Map(base.entries);
  for (const [key, entry] of over.entries) {
    const before = entries.get(key);
    entries.set(
      key,
      before === undefined
        ? entry
        : { keyAt: entry.keyAt, value: merge(before.value, entry.value) },
    );
  }
  return { kind: 'map', at: base.at, entries };
}

/** The tree without a key of its root. */
export function without(tree: Tree, key: string): Tree {
  if (tree.kind !== 'map' || !tree.entries.has(key)) return tree;
  return { ...tree, entries: new Map([...tree.entries].filter(([name]) => name !== key)) };
}

/** The tree with the value at a path replaced; null where the path leads through what is not there. */
export function withValue(tree: Tree, path: Path, value: Tree): Tree | null {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  const existing = child(tree, key);
  const inner: Tree = existing ?? { kind: 'map', at: value.at, entries: new Map() };
  const next = withValue(inner, rest, value);
  if (next === null) return null;
  if (tree.kind === 'map' && typeof key === 'string') {
    const keyAt = tree.entries.get(key)?.keyAt ?? value.at;
    return { ...tree, entries: new Map(tree.entries).set(key, { keyAt, value: next }) };
  }
  if (tree.kind === 'list' && typeof key === 'number' && existing !== null)
    return { ...tree, items: tree.items.map((item, i) => (i === key ? next : item)) };
  return null;
}
