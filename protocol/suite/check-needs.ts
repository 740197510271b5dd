/**
 * `needs`: names in its templates, locks that the suite counts, and what its texts become with the values
 * of the suite: a run must not find out at its last cell.
 */
import type { SuiteSpec } from '../messages/run/suite-spec.ts';
import { axisNamesOf } from './check.ts';
import { hasTemplate } from './form-parts.ts';
import { whyNotAt } from './needs-form.ts';
import { didYouMean, type Finding, type Path } from './problem.ts';
import { BUILT_IN, parseTemplate } from './template.ts';
import { child, keys, type Tree } from './tree.ts';
import { tryAll } from './value-check.ts';

/** Of a tree; what only the values can tell is in `checkNeedValues`. */
export function checkNeeds(tree: Tree): Finding[] {
  const known = [...axisNamesOf(tree), ...keys(child(tree, 'vars'))];
  return [
    ...texts(child(tree, 'needs'), ['needs']).flatMap(({ text, node, path }) => {
      const message = templateProblem(text, known);
      return message === null ? [] : [{ at: node.at, path, message }];
    }),
    ...uncountedLocks(tree),
  ];
}

interface Text {
  readonly text: string;
  readonly node: Tree;
  readonly path: Path;
}

function texts(tree: Tree | null, path: Path): Text[] {
  if (tree === null) return [];
  if (tree.kind === 'scalar')
    return typeof tree.value === 'string' && hasTemplate(tree.value)
      ? [{ text: tree.value, node: tree, path }]
      : [];
  if (tree.kind === 'list') return tree.items.flatMap((item, at) => texts(item, [...path, at]));
  return [...tree.entries].flatMap(([key, { value }]) => texts(value, [...path, key]));
}

function templateProblem(text: string, known: readonly string[]): string | null {
  const parsed = parseTemplate(text);
  if (parsed.kind === 'unclosed') return '"{{" is never closed by "}}"';
  if (parsed.kind === 'malformed') return `"{{${parsed.inner}}}" is not a name`;
  const wrong = parsed.names.find((name) => !known.includes(name));
  if (wrong === undefined) return null;
  if ((BUILT_IN as readonly string[]).includes(wrong))
    return `"{{${wrong}}}" cannot be asked here: needs differ by axes and vars only`;
  return `unknown name "{{${wrong}}}"; known: ${known.join(', ') || 'none'}.${didYouMean(wrong, known)}`;
}

function uncountedLocks(tree: Tree): Finding[] {
  const wanted = child(child(tree, 'needs'), 'locks');
  const counted = keys(child(tree, 'locks'));
  if (wanted?.kind !== 'map') return [];
  return [...wanted.entries].flatMap(([name, { keyAt, value }]) => {
    if (counted.includes(name)) return [];
    const hint = didYouMean(name, counted);
    const message = `the suite does not say how many of "${name}" there are; ${addLocks(name, value)}.${hint}`;
    return [{ at: keyAt, path: ['needs', 'locks', name], message }];
  });
}

/** As many as a task takes, at the least: fewer of them are refused. */
function addLocks(name: string, value: Tree): string {
  const written = value.kind === 'scalar' ? String(value.value) : '';
  return hasTemplate(written)
    ? `add locks: { ${name}: N }, N no less than what any task takes`
    : `add locks: { ${name}: ${Math.max(1, Number(written) || 1)} }`;
}

/** Of a parsed suite. */
export function checkNeedValues(suite: SuiteSpec, tree: Tree): Finding[] {
  const needs = child(tree, 'needs');
  const templates = texts(needs, []).flatMap(({ text, node, path }) => {
    const whyNot = (value: string): string | null => whyNotAt(path, value);
    const [said] = tryAll(suite, text, { path, whyNot });
    const { message } = said ?? tooMany(suite, text, path) ?? {};
    return message === undefined ? [] : [{ at: node.at, path: ['needs', ...path], message }];
  });
  return [...templates, ...fixedLocks(suite, needs)];
}

function tooMany(suite: SuiteSpec, text: string, path: Path): { message: string } | null {
  const [group, name] = path;
  if (group !== 'locks' || path.length !== 2) return null;
  const whyNot = (value: string): string | null => moreThanThereAre(suite, String(name), value);
  return tryAll(suite, text, { path, whyNot })[0] ?? null;
}

function moreThanThereAre({ locks = {} }: SuiteSpec, name: string, count: string): string | null {
  const there = locks[name];
  return there !== undefined && Number(count) > there
    ? `needs more of "${name}" than there are: ${there} (locks.${name})`
    : null;
}

function fixedLocks(suite: SuiteSpec, needs: Tree | null): Finding[] {
  const locks = child(needs, 'locks');
  if (locks?.kind !== 'map') return [];
  return [...locks.entries].flatMap(([name, { value }]) => {
    if (value.kind !== 'scalar' || typeof value.value !== 'number') return [];
    const message = moreThanThereAre(suite, name, String(value.value));
    return message === null ? [] : [{ at: value.at, path: ['needs', 'locks', name], message }];
  });
}
