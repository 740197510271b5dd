/**
 * What a schema cannot say: names in templates, names of axes and vars, entries of the matrix. It
 * reads the tree, not the validated form, so that these problems show beside those of the schema.
 */
import { STEPS } from '../messages/attempt/attempt-spec.ts';
import { checkPhases } from './check-phases.ts';
import { checkGang } from './gang-form.ts';
import { didYouMean, type Finding, type Path } from './problem.ts';
import { BUILT_IN, parseTemplate } from './template.ts';
import { child, items, keys, type Tree } from './tree.ts';

/** Where templates are expanded; elsewhere `{{` is plain text. `cwd` and paths resolve too. */
const TEMPLATED_LISTS = ['env', 'cwd', 'files', 'checkpoints', 'checkpoint', 'hostSetup', ...STEPS];
const NOT_TEMPLATED = new Set([
  'onFail',
  'stdio',
  'stopSignal',
  'free',
  'every',
  'maxSize',
  'then',
]);
/** Keys whose texts are globs in the work folder. */
const PATTERNS = new Set(['files', 'checkpoints', 'checkpoint']);
const RESERVED = new Set<string>(['suite', ...BUILT_IN]);

export function axisNamesOf(tree: Tree): string[] {
  if (child(tree, 'axes') !== null) return keys(child(tree, 'axes'));
  const vars = keys(child(tree, 'vars'));
  const names = items(child(tree, 'include')).flatMap((entry) => keys(entry));
  return [...new Set(names)].filter((name) => !vars.includes(name));
}

export function checkTree(tree: Tree, dir: string | null): Finding[] {
  const axes = axisNamesOf(tree);
  const vars = keys(child(tree, 'vars'));
  const findings = [
    ...checkNames(tree, axes, vars),
    ...checkEntries(tree, axes, vars),
    ...checkPhases(tree),
    ...checkGang(tree),
  ];
  const known = [...axes, ...vars, ...BUILT_IN];
  const onText = (text: string, node: Tree, path: Path) => {
    const message =
      checkTemplate(text, known) ?? checkPattern(text, path) ?? checkPlace(text, path, dir);
    if (message !== null) findings.push({ at: node.at, path, message });
  };
  for (const key of TEMPLATED_LISTS) walk(child(tree, key), [key], onText);
  walk(child(child(tree, 'health'), 'checks'), ['health', 'checks'], onText);
  items(child(tree, 'metrics')).forEach((metric, i) => {
    for (const key of ['regex', 'json', 'path', 'lastLine'])
      walk(child(metric, key), ['metrics', i, key], onText);
  });
  return findings;
}

function walk(
  tree: Tree | null,
  path: Path,
  onText: (text: string, node: Tree, path: Path) => void,
): void {
  if (tree === null) return;
  if (tree.kind === 'scalar') {
    if (typeof tree.value === 'string') onText(tree.value, tree, path);
  } else if (tree.kind === 'list') {
    tree.items.forEach((item, i) => {
      walk(item, [...path, i], onText);
    });
  } else {
    for (const [key, { value }] of tree.entries)
      if (!NOT_TEMPLATED.has(key) && !isSchema(key, path)) walk(value, [...path, key], onText);
  }
}

/** A schema of a result file has names and texts of its own. */
function isSchema(key: string, path: Path): boolean {
  return key === 'schema' && path[0] === 'files';
}

function checkTemplate(text: string, known: readonly string[]): string | null {
  const parsed = parseTemplate(text);
  const literal = "for the characters themselves write {{'{{'}}";
  if (parsed.kind === 'unclosed') return `"{{" is never closed by "}}"; ${literal}`;
  if (parsed.kind === 'malformed') return `"{{${parsed.inner}}}" is not a name; ${literal}`;
  const unknown = parsed.names.find((name) => !known.includes(name));
  if (unknown === undefined) return null;
  return `unknown name "{{${unknown}}}"; known: ${known.join(', ')}.${didYouMean(unknown, known)}`;
}

/** Patterns are looked for in the work folder and nowhere else. */
function checkPattern(text: string, path: Path): string | null {
  if (!PATTERNS.has(String(path[0]))) return null;
  const isOutside =
    text.startsWith('/') || text.startsWith('{{suite.dir}}') || text.split('/').includes('..');
  return isOutside
    ? 'leads out of the work folder; name files inside it, and copy others there in collect'
    : null;
}

/** Keys whose value may be a path; of an axis called so, only a relative path is refused. */
const PATH_KEYS = new Set(['cwd', 'file', 'path']);

/** Without a folder of the suite, nothing can be relative to it. */
function checkPlace(text: string, path: Path, dir: string | null): string | null {
  if (dir !== null) return null;
  const parsed = parseTemplate(text);
  const isPath =
    path[0] === 'cwd' || PATH_KEYS.has(String(path.at(-1))) || typeof path.at(-1) === 'number';
  const isProgram = path.at(-1) === 0 && text.includes('/') && !/^(\/|\{\{)/.test(text);
  const isRelative =
    isProgram || /^\.\.?\//.test(text) || (path.at(-1) === 'cwd' && !/^(\/|\{\{)/.test(text));
  if (
    (isPath && isRelative && path[0] !== 'files' && path[0] !== 'checkpoints') ||
    (parsed.kind === 'ok' && parsed.names.includes('suite.dir'))
  )
    return 'is relative to the folder of the suite, but the suite was read from standard input; write an absolute path';
  return null;
}

function checkNames(tree: Tree, axes: readonly string[], vars: readonly string[]): Finding[] {
  const findings: Finding[] = [];
  const environment = new Map<string, string>();
  const at = (group: string, name: string) => {
    const node = child(tree, group);
    return (node?.kind === 'map' ? node.entries.get(name)?.keyAt : undefined) ?? tree.at;
  };
  for (const name of [...axes, ...vars]) {
    const group = axes.includes(name) ? 'axes' : 'vars';
    if (RESERVED.has(name))
      findings.push({
        at: at(group, name),
        path: [group, name],
        message: `"${name}" is a name of benchmesh itself; choose another`,
      });
  }
  for (const name of axes) {
    if (vars.includes(name))
      findings.push({
        at: at('vars', name),
        path: ['vars', name],
        message: `"${name}" is an axis too; rename one of them`,
      });
    const variable = axisVariable(name);
    const other = environment.get(variable);
    if (other !== undefined)
      findings.push({
        at: at('axes', name),
        path: ['axes', name],
        message: `"${other}" and "${name}" are both ${variable} in the environment; rename one`,
      });
    environment.set(variable, name);
    checkValues(tree, name, findings);
  }
  return findings;
}

/** The environment variable in which an axis reaches the commands. */
export function axisVariable(axis: string): string {
  return `BENCHMESH_AXIS_${axis.toUpperCase().replaceAll('-', '_')}`;
}

function checkValues(tree: Tree, axis: string, findings: Finding[]): void {
  const seen = new Set<string>();
  items(child(child(tree, 'axes'), axis)).forEach((node, i) => {
    if (node.kind !== 'scalar') return;
    const text = String(node.value);
    if (seen.has(text))
      findings.push({
        at: node.at,
        path: ['axes', axis, i],
        message: `the value ${text} is listed twice; remove one (values are the same when their text is)`,
      });
    seen.add(text);
  });
}

function checkEntries(tree: Tree, axes: readonly string[], vars: readonly string[]): Finding[] {
  const findings: Finding[] = [];
  const check = (group: 'include' | 'exclude', known: readonly string[], what: string) => {
    items(child(tree, group)).forEach((entry, i) => {
      if (entry.kind !== 'map') return;
      if (entry.entries.size === 0)
        findings.push({
          at: entry.at,
          path: [group, i],
          message: 'is empty; name at least one axis, or remove it',
        });
      for (const [name, { keyAt }] of entry.entries)
        if (!known.includes(name))
          findings.push({
            at: keyAt,
            path: [group, i, name],
            message: `"${name}" is not ${what}; known: ${known.join(', ') || 'none'}.${didYouMean(name, known)}`,
          });
      if (group === 'include') checkInclude(entry, [group, i], axes, findings);
    });
  };
  check('exclude', axes, 'an axis');
  check('include', [...axes, ...vars], 'an axis or a var');
  return findings;
}

function checkInclude(entry: Tree, path: Path, axes: readonly string[], findings: Finding[]): void {
  const named = keys(entry);
  const absent = axes.filter((axis) => !named.includes(axis));
  if (named.length > 0 && absent.length > 0 && named.every((name) => axes.includes(name)))
    findings.push({
      at: entry.at,
      path,
      message: `adds nothing: to add a cell, give ${absent.join(', ')} too; to set a var in cells, name the var`,
    });
}
