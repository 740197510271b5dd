/**
 * Words of commands and values of `env` are texts: `1.0` and `0x10` reach the program as written,
 * not as the number YAML makes of them.
 */
import { STEPS } from '../messages/attempt/attempt-spec.ts';
import { child, withValue, type Tree } from './tree.ts';

const TEXTS: ReadonlySet<string> = new Set(['env', 'hostSetup', ...STEPS]);

/** `texts`: the keys whose values are texts; of a suite by default. */
export function textify(tree: Tree, texts = TEXTS): Tree {
  if (tree.kind !== 'map') return tree;
  const entries = new Map(tree.entries);
  for (const [key, entry] of entries) {
    if (texts.has(key)) entries.set(key, { ...entry, value: asText(entry.value) });
    else if (key === 'health') entries.set(key, { ...entry, value: checksAsText(entry.value) });
    else if (key === 'needs' || key === 'accepts')
      entries.set(key, { ...entry, value: labelsAsText(entry.value) });
  }
  return { ...tree, entries };
}

/** Values of labels are texts, `1.10` as written. */
function labelsAsText(tree: Tree): Tree {
  const labels = child(tree, 'labels');
  const apart = child(child(tree, 'apart'), 'labels');
  let next = tree;
  if (labels !== null) next = withValue(next, ['labels'], asText(labels)) ?? next;
  if (apart !== null) next = withValue(next, ['apart', 'labels'], asText(apart)) ?? next;
  return next;
}

/** The checks of `health` are as those of steps, but for what is counted. */
function checksAsText(health: Tree): Tree {
  const checks = child(health, 'checks');
  if (checks?.kind !== 'list') return health;
  const items = checks.items.map((check) => {
    const text = asText(check);
    const count = child(check, 'failures');
    return count === null ? text : (withValue(text, ['failures'], count) ?? text);
  });
  return withValue(health, ['checks'], { ...checks, items }) ?? health;
}

function asText(tree: Tree): Tree {
  switch (tree.kind) {
    case 'scalar':
      return typeof tree.value === 'number' || typeof tree.value === 'boolean'
        ? { ...tree, value: tree.source }
        : tree;
    case 'list':
      return { ...tree, items: tree.items.map(asText) };
    case 'map': {
      const entries = [...tree.entries].map(
        ([key, entry]) => [key, { ...entry, value: asText(entry.value) }] as const,
      );
      return { ...tree, entries: new Map(entries) };
    }
  }
}
