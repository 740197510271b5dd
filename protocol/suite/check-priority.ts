/** `priority.by`: axes that are there, and values that occur. */
import { axisNamesOf } from './check.ts';
import { didYouMean, type Finding } from './problem.ts';
import { child, items, type Tree } from './tree.ts';

/**
 * Of a tree; a value may also occur in one of `others`: the suite as written, and under each profile,
 * whose matrix is often a part of it.
 */
export function checkPriority(tree: Tree, others: readonly Tree[]): Finding[] {
  const findings: Finding[] = [];
  const by = child(child(tree, 'priority'), 'by');
  if (by?.kind !== 'map') return findings;
  const places = [tree, ...others];
  const axes = [...new Set(places.flatMap(axisNamesOf))];
  for (const [axis, { keyAt, value: table }] of by.entries) {
    const path = ['priority', 'by', axis];
    if (!axes.includes(axis)) {
      const message = `"${axis}" is not an axis; known: ${axes.join(', ') || 'none'}.${didYouMean(axis, axes)}`;
      findings.push({ at: keyAt, path, message });
      continue;
    }
    if (table.kind !== 'map') continue;
    const values = [...new Set(places.flatMap((place) => valuesOf(place, axis)))];
    for (const [value, entry] of table.entries) {
      if (values.includes(value)) continue;
      const message = `${axis} has no value "${value}"; known: ${listed(values)}.${didYouMean(value, values)}`;
      findings.push({ at: entry.keyAt, path: [...path, value], message });
    }
  }
  return findings;
}

/** As text, which is how values of an axis are told apart. */
function valuesOf(tree: Tree, axis: string): string[] {
  const own = items(child(child(tree, 'axes'), axis));
  const included = items(child(tree, 'include')).map((entry) => child(entry, axis));
  return [...own, ...included].flatMap((node) =>
    node?.kind === 'scalar' && node.value !== null ? [String(node.value)] : [],
  );
}

function listed(values: readonly string[]): string {
  const shown = values.slice(0, 20).join(', ');
  const more = values.length - 20;
  return more > 0 ? `${shown} and ${more} more` : shown || 'none';
}
