/** zod's issues as findings people can act on: what is wrong, where, and what to write instead. */
import { z } from 'zod';
import { didYouMean, type Finding, type Path } from './problem.ts';
import { child, keyOriginOf, keys, originOf, type Tree } from './tree.ts';

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
      return [{ at, path, message: wrongType(issue, path, context) }];
    case 'invalid_value':
      return [{ at, path, message: wrongValue(issue.values, path, context) }];
    case 'too_small':
      return [
        {
          at,
          path,
          message:
            issue.origin === 'number'
              ? `must be ${issue.inclusive === true ? 'at least' : 'more than'} ${issue.minimum}`
              : isZodsOwn(issue.message)
                ? `must have at least ${issue.minimum} ${issue.minimum === 1 ? 'entry' : 'entries'}`
                : issue.message,
        },
      ];
    case 'too_big':
      return [{ at, path, message: `must be at most ${issue.maximum}` }];
    default:
      return [{ at, path, message: issue.message }];
  }
}

/** zod's own messages begin so; another one was written in form.ts and says more. */
function isZodsOwn(message: string): boolean {
  return message.startsWith('Invalid') || message.startsWith('Too small');
}

function wrongType(
  issue: Extract<Issue, { code: 'invalid_type' }>,
  path: Path,
  context: Context,
): string {
  if (keyIsMissing(context.tree, path)) return missing(path);
  const expected = isZodsOwn(issue.message) ? `must be ${words(issue.expected)}` : issue.message;
  return `${expected}, not ${given(context.tree, path)}`;
}

function wrongValue(values: readonly unknown[], path: Path, context: Context): string {
  return `must be ${oneOf(values)}, ${notGiven(values, path, context)}`;
}

/** `not "Wait". Did you mean "wait"?` */
function notGiven(values: readonly unknown[], path: Path, { tree }: Context): string {
  const shown = given(tree, path);
  const hint = didYouMean(shown.replaceAll('"', ''), values.map(String));
  return `not ${shown}${hint === '' ? '' : `.${hint}`}`;
}

/** The words that would do in its place. */
function wordsOf({ errors }: Extract<Issue, { code: 'invalid_union' }>): unknown[] {
  return errors.flat().flatMap((issue) => (issue.code === 'invalid_value' ? issue.values : []));
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
  const isWritten = !isZodsOwn(issue.message);
  const isScalar = nodeAt(context.tree, path)?.kind === 'scalar';
  const meant = issue.errors
    .map((issues, i) => ({ issues, schema: options[i], rank: rank(issues) }))
    .filter(({ rank: [depth], issues }) => {
      // A map is none of a few words; and of a wrong word the union's own text says all that it could be.
      if (issues.every(isOtherWord) && (isWritten || !isScalar)) return false;
      return depth > 0;
    })
    .sort((a, b) => b.rank[0] - a.rank[0] || a.rank[1] - b.rank[1])[0];
  if (meant?.schema !== undefined) {
    const { schema } = meant;
    return meant.issues.flatMap((inner) => explain(inner, { ...context, schema, base: path }));
  }
  const at = originOf(context.tree, path);
  if (keyIsMissing(context.tree, path)) return [{ at, path, message: missing(path) }];
  if (isWritten)
    return [{ at, path, message: `${issue.message}, ${notGiven(wordsOf(issue), path, context)}` }];
  const expected = [...new Set(issue.errors.flat().map((inner) => expectation(inner)))];
  return [
    {
      at,
      path,
      message: `must be ${expected.join(' or ')}, not ${given(context.tree, path)}`,
    },
  ];
}

function isOtherWord(issue: Issue): boolean {
  return issue.code === 'invalid_value' && issue.path.length === 0;
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
  if (issue.code === 'invalid_value') return oneOf(issue.values);
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
  const parent = nodeAt(tree, path.slice(0, -1));
  return key !== undefined && parent?.kind === 'map' && !keys(parent).includes(String(key));
}

function nodeAt(tree: Tree, path: Path): Tree | null {
  return path.reduce<Tree | null>(child, tree);
}

/** What stands there, in words: `"abc"`, `a list`, `empty`. */
function given(tree: Tree, path: Path): string {
  const node = nodeAt(tree, path);
  if (node === null) return 'nothing';
  if (node.kind === 'list') return 'a list';
  if (node.kind === 'map') return 'a map';
  if (node.value === null) return 'empty';
  return typeof node.value === 'string'
    ? JSON.stringify(node.value.slice(0, 60))
    : String(node.value);
}

function knownKeys(schema: Schema, path: Path): string[] {
  const found = schemaAt(schema, path);
  const objects = found === null ? [] : [found, ...unionOptions(found)];
  for (const object of objects) {
    if (object instanceof z.ZodObject) return Object.keys(object.shape);
    if (object instanceof z.ZodRecord && object.keyType instanceof z.ZodEnum)
      return object.keyType.options.map(String);
  }
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
