/** zod's issues as findings people can act on: what is wrong, where, and what to write instead. */
import { z } from 'zod';
import { didYouMean, type Finding, type Path } from './problem.ts';
import { keyOriginOf, keys, originOf, type Tree } from './tree.ts';

type Issue = z.core.$ZodIssue;
type Schema = z.core.$ZodType;

export function explainIssues(error: z.ZodError, schema: Schema, tree: Tree): Finding[] {
  return error.issues.flatMap((issue) => explain(issue, { schema, tree, base: [] }));
}

interface Context {
  readonly schema: Schema;
  readonly tree: Tree;
  /** Path of the value that `schema` describes. */
  readonly base: Path;
}

function explain(issue: Issue, context: Context): Finding[] {
  const own = issue.path.filter((part) => typeof part !== 'symbol');
  const path = [...context.base, ...own];
  const at = originOf(context.tree, path);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKey(key, path, context));
    case 'invalid_union':
      return explainUnion(issue, path, context);
    case 'invalid_key':
      return issue.issues.map(({ message }) => {
        const key = String(path.at(-1) ?? '');
        return {
          at: keyOriginOf(context.tree, path.slice(0, -1), key),
          path,
          message: `the name ${message}`,
        };
      });
    case 'invalid_type':
      if (issue.input === undefined && keyIsMissing(context.tree, path))
        return [{ at, path, message: missing(path) }];
      return [
        { at, path, message: `must be ${words(issue.expected)}, not ${given(context.tree, path)}` },
      ];
    case 'invalid_value':
      return [
        {
          at,
          path,
          message:
            `must be ${oneOf(issue.values)}, not ${given(context.tree, path)}.${didYouMean(given(context.tree, path).replaceAll('"', ''), issue.values.map(String))}`.replace(
              /\.$/,
              '',
            ),
        },
      ];
    case 'too_small':
      return [
        {
          at,
          path,
          message:
            issue.origin === 'number'
              ? `must be ${issue.inclusive === true ? 'at least' : 'more than'} ${issue.minimum}`
              : issue.message,
        },
      ];
    case 'too_big':
      return [{ at, path, message: `must be at most ${issue.maximum}` }];
    default:
      return [{ at, path, message: issue.message }];
  }
}

function unknownKey(key: string, path: Path, context: Context): Finding {
  const known = knownKeys(context.schema, path.slice(context.base.length));
  const list = known.length === 0 ? '' : ` Known: ${known.join(', ')}.`;
  const hint = didYouMean(key, known);
  return {
    at: keyOriginOf(context.tree, path, key),
    path: [...path, key],
    message: `unknown key "${key}".${hint === '' ? list : hint}`,
  };
}

/** Of the alternatives, the one that was meant: it fails deepest; among equals, with fewest issues. */
function explainUnion(
  issue: Extract<Issue, { code: 'invalid_union' }>,
  path: Path,
  context: Context,
): Finding[] {
  const options = unionOptions(schemaAt(context.schema, path.slice(context.base.length)));
  const meant = issue.errors
    .map((issues, i) => ({ issues, schema: options[i], rank: rank(issues) }))
    .filter(({ rank: [depth] }) => depth > 0)
    .sort((a, b) => b.rank[0] - a.rank[0] || a.rank[1] - b.rank[1])[0];
  if (meant?.schema !== undefined) {
    const { schema } = meant;
    return meant.issues.flatMap((inner) => explain(inner, { ...context, schema, base: path }));
  }
  const expected = [...new Set(issue.errors.flat().map((inner) => expectation(inner)))];
  return [
    {
      at: originOf(context.tree, path),
      path,
      message: `must be ${expected.join(' or ')}, not ${given(context.tree, path)}`,
    },
  ];
}

/** How far an alternative got before it failed: 0 means that even its outer type was wrong. */
function rank(issues: readonly z.core.$ZodRawIssue[] | readonly Issue[]): [number, number] {
  const depths = issues.map((issue) => {
    const depth = issue.path?.length ?? 0;
    if (issue.code === 'invalid_union')
      return (
        depth +
        Math.max(
          0,
          ...(issue as Extract<Issue, { code: 'invalid_union' }>).errors.map(
            (inner) => rank(inner)[0],
          ),
        )
      );
    return issue.code === 'invalid_type' ? depth : depth + 1;
  });
  return [Math.min(...depths), issues.length];
}

function expectation(issue: Issue): string {
  if (issue.code === 'invalid_type') return words(issue.expected);
  if (issue.code === 'invalid_union')
    return [...new Set(issue.errors.flat().map((inner) => expectation(inner)))].join(' or ');
  return issue.message;
}

const WORDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  record: 'a map',
};

function words(expected: string): string {
  return WORDS[expected] ?? expected;
}

function oneOf(values: readonly unknown[]): string {
  return values.length === 1 ? String(values[0]) : `one of ${values.map(String).join(', ')}`;
}

function missing(path: Path): string {
  const key = String(path.at(-1) ?? '');
  return `the key "${key}" is missing; add it`;
}

function keyIsMissing(tree: Tree, path: Path): boolean {
  const key = path.at(-1);
  if (key === undefined) return false;
  let at: Tree | undefined = tree;
  for (const part of path.slice(0, -1)) {
    if (at?.kind === 'map') at = at.entries.get(String(part))?.value;
    else if (at?.kind === 'list') at = at.items[Number(part)];
  }
  return at?.kind === 'map' && !keys(at).includes(String(key));
}

/** What stands there, in words: `the text "abc"`, `an empty value`. */
function given(tree: Tree, path: Path): string {
  let at: Tree | undefined = tree;
  for (const part of path) {
    if (at?.kind === 'map') at = at.entries.get(String(part))?.value;
    else if (at?.kind === 'list') at = at.items[Number(part)];
    else at = undefined;
  }
  if (at === undefined) return 'nothing';
  if (at.kind === 'list') return 'a list';
  if (at.kind === 'map') return 'a map';
  if (at.value === null) return 'empty';
  return typeof at.value === 'string' ? JSON.stringify(at.value.slice(0, 60)) : String(at.value);
}

function knownKeys(schema: Schema, path: Path): string[] {
  const found = schemaAt(schema, path);
  const objects = found === null ? [] : [found, ...unionOptions(found)];
  for (const object of objects) if (object instanceof z.ZodObject) return Object.keys(object.shape);
  return [];
}

function unwrap(schema: Schema): Schema {
  return schema instanceof z.ZodOptional ? unwrap(schema.unwrap()) : schema;
}

function unionOptions(schema: Schema | null): readonly Schema[] {
  return schema instanceof z.ZodUnion ? schema.options.map((option) => unwrap(option)) : [];
}

/** The schema of the value at a path; through a union, the alternative in which the path leads on. */
function schemaAt(schema: Schema, path: Path): Schema | null {
  const at = unwrap(schema);
  const [key, ...rest] = path;
  if (key === undefined) return at;
  if (at instanceof z.ZodObject) {
    const next = (at.shape as Record<string, Schema>)[String(key)];
    return next === undefined ? null : schemaAt(next, rest);
  }
  if (at instanceof z.ZodRecord) return schemaAt(at.valueType, rest);
  if (at instanceof z.ZodArray) return typeof key === 'number' ? schemaAt(at.element, rest) : null;
  for (const option of unionOptions(at)) {
    const found = schemaAt(option, path);
    if (found !== null && (rest.length > 0 || !(found instanceof z.ZodString))) return found;
  }
  return null;
}
