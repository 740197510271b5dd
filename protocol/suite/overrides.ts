/** `--profile`, `--set` and `--only` on a suite's tree, before it is checked. */
import { didYouMean, type Finding, type Path } from './problem.ts';
import { readYaml } from './read-yaml.ts';
import { child, items, keys, merge, type Tree, without, withValue } from './tree.ts';

export interface Overridden {
  readonly tree: Tree;
  readonly findings: readonly Finding[];
}

/** The tree with the profile merged over it and without `profiles`. */
export function withProfile(tree: Tree, profile: string | null): Overridden {
  const base = without(tree, 'profiles');
  if (profile === null) return { tree: base, findings: [] };
  const over = child(child(tree, 'profiles'), profile);
  if (over !== null) return { tree: merge(base, over), findings: [] };
  const known = keys(child(tree, 'profiles'));
  const list = known.length === 0 ? 'the suite has none' : `known: ${known.join(', ')}`;
  const message = `no such profile; ${list}.${didYouMean(profile, known)}`;
  return { tree: base, findings: [{ at: { option: `--profile ${profile}` }, path: [], message }] };
}

/** `key=value` each: a var, or a dotted path into the suite. Values are read as YAML. */
export function withSets(
  tree: Tree,
  sets: readonly string[],
  known: readonly string[],
): Overridden {
  let current = tree;
  const findings: Finding[] = [];
  for (const set of sets) {
    const option = `--set ${set}`;
    const result = withSet(current, set, known);
    if (typeof result === 'string') findings.push({ at: { option }, path: [], message: result });
    else current = result;
  }
  return { tree: current, findings };
}

function withSet(tree: Tree, set: string, known: readonly string[]): Tree | string {
  const equals = set.indexOf('=');
  if (equals < 1) return 'must be key=value';
  const key = set.slice(0, equals);
  if (key.split('.').includes('__proto__')) return '"__proto__" cannot be a name';
  const value = valueOf(set.slice(equals + 1), `--set ${set}`);
  const vars = keys(child(tree, 'vars'));
  const axes = keys(child(tree, 'axes'));
  if (vars.includes(key)) return withValue(tree, ['vars', key], value) ?? 'vars is not a map';
  const path: Path = key.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  const [first, second] = path;
  if (axes.includes(key))
    return `"${key}" is an axis; write --only ${set}, or --set axes.${key}=[...]`;
  if (first === 'vars' || first === 'axes') {
    const names = first === 'vars' ? vars : axes;
    if (path.length > 1 && !names.includes(String(second)))
      return `no "${String(second)}" in ${first}; known: ${names.join(', ') || 'none'}.${didYouMean(String(second), names)}`;
  } else if (!known.includes(String(first)) || first === 'profiles') {
    const names = [...vars, ...known.filter((name) => name !== 'profiles')];
    return `no such var and no such key of the suite; vars: ${vars.join(', ') || 'none'}.${didYouMean(String(first), names)}`;
  }
  return withValue(tree, path, value) ?? `there is nothing at "${key}" to set`;
}

/** A scalar or a flow list or map; what is not YAML, or would be a block map, is its own text. */
function valueOf(text: string, option: string): Tree {
  const { tree, findings } = readYaml(text, option);
  const isFlow = /^\s*[[{]/.test(text);
  if (tree !== null && findings.length === 0 && (tree.kind === 'scalar' || isFlow)) {
    const isEmpty = tree.kind === 'scalar' && text.trim() === '';
    return isEmpty ? { kind: 'scalar', at: tree.at, value: '', source: '' } : tree;
  }
  return { kind: 'scalar', at: { option }, value: text, source: text };
}

export interface OnlyValues {
  readonly only: Record<string, (string | number | boolean)[]>;
  readonly findings: readonly Finding[];
}

/** `axis=value` each, against the values that the axes and `include` have. */
export function readOnly(
  only: readonly string[],
  tree: Tree,
  axisNames: readonly string[],
): OnlyValues {
  const chosen: OnlyValues['only'] = {};
  const findings: Finding[] = [];
  for (const entry of only) {
    const say = (message: string) =>
      findings.push({ at: { option: `--only ${entry}` }, path: [], message });
    const equals = entry.indexOf('=');
    const axis = entry.slice(0, Math.max(0, equals));
    const text = entry.slice(equals + 1);
    if (equals < 1) say('must be axis=value');
    else if (!axisNames.includes(axis))
      say(`no such axis; known: ${axisNames.join(', ') || 'none'}.${didYouMean(axis, axisNames)}`);
    else {
      const values = valuesOf(tree, axis);
      const value = values.find((candidate) => String(candidate) === text);
      if (value !== undefined) chosen[axis] = [...new Set([...(chosen[axis] ?? []), value])];
      else
        say(
          `${axis} has no value "${text}"; known: ${listed(values)}.${didYouMean(text, values.map(String))}`,
        );
    }
  }
  return { only: chosen, findings };
}

function listed(values: readonly unknown[]): string {
  const shown = values.slice(0, 20).map(String).join(', ');
  return values.length > 20 ? `${shown} and ${values.length - 20} more` : shown;
}

function valuesOf(tree: Tree, axis: string): (string | number | boolean)[] {
  const own = items(child(child(tree, 'axes'), axis));
  const included = items(child(tree, 'include')).map((entry) => child(entry, axis));
  const values = new Map<string, string | number | boolean>();
  for (const node of [...own, ...included])
    if (node?.kind === 'scalar' && node.value !== null && !values.has(String(node.value)))
      values.set(String(node.value), node.value);
  return [...values.values()];
}
