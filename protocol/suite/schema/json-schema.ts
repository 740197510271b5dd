/**
 * The JSON Schemas that a suite may give its result files: the 2020-12 vocabulary for structure and
 * values, written out in the suite or in a file of its own. Nothing is fetched: `$ref` leads within the
 * schema. What is not listed here is refused, so that no part of a schema is passed over silently.
 */
import { didYouMean, type Path } from '../problem.ts';

export type JsonSchema = boolean | Readonly<Record<string, unknown>>;

export const TYPES = ['null', 'boolean', 'object', 'array', 'number', 'integer', 'string'] as const;

/** What a keyword's value must be. */
type Kind =
  | 'any'
  | 'types'
  | 'values'
  | 'schema'
  | 'schemas'
  | 'schema_map'
  | 'pattern_map'
  | 'count'
  | 'number'
  | 'positive'
  | 'flag'
  | 'text'
  | 'pattern'
  | 'names'
  | 'names_map'
  | 'ref';

const KEYWORDS: Readonly<Record<string, Kind>> = {
  $schema: 'text',
  $id: 'text',
  $comment: 'text',
  title: 'text',
  description: 'text',
  default: 'any',
  examples: 'any',
  deprecated: 'flag',
  readOnly: 'flag',
  writeOnly: 'flag',
  format: 'text',
  $ref: 'ref',
  $defs: 'schema_map',
  definitions: 'schema_map',
  type: 'types',
  enum: 'values',
  const: 'any',
  allOf: 'schemas',
  anyOf: 'schemas',
  oneOf: 'schemas',
  not: 'schema',
  if: 'schema',
  then: 'schema',
  else: 'schema',
  properties: 'schema_map',
  patternProperties: 'pattern_map',
  additionalProperties: 'schema',
  propertyNames: 'schema',
  required: 'names',
  dependentRequired: 'names_map',
  dependentSchemas: 'schema_map',
  minProperties: 'count',
  maxProperties: 'count',
  prefixItems: 'schemas',
  items: 'schema',
  contains: 'schema',
  minContains: 'count',
  maxContains: 'count',
  minItems: 'count',
  maxItems: 'count',
  uniqueItems: 'flag',
  minLength: 'count',
  maxLength: 'count',
  pattern: 'pattern',
  minimum: 'number',
  maximum: 'number',
  exclusiveMinimum: 'number',
  exclusiveMaximum: 'number',
  multipleOf: 'positive',
};

/** Known to JSON Schema, and not to this. */
const ADVICE: Readonly<Record<string, string>> = {
  additionalItems: 'write prefixItems and items instead',
  dependencies: 'write dependentRequired or dependentSchemas instead',
  unevaluatedItems: 'it is not supported',
  unevaluatedProperties: 'it is not supported',
  $anchor: 'it is not supported; refer by $ref: "#/$defs/name"',
  $dynamicRef: 'it is not supported',
  $dynamicAnchor: 'it is not supported',
  $vocabulary: 'it is not supported',
  contentSchema: 'it is not supported',
};

/** Of its JSON: each task of the run carries it. */
export const SCHEMA_BYTES_MOST = 32 * 1024;
const DEPTH_MOST = 64;

export interface SchemaProblem {
  readonly path: Path;
  /** The key at the end of the path is what is wrong, not its value. */
  readonly isKey?: true;
  readonly message: string;
}

/** Everything that is wrong with a schema; `mismatches` may be given one with which nothing is. */
export function schemaProblems(schema: unknown): SchemaProblem[] {
  const problems: SchemaProblem[] = [];
  visit({ root: schema, problems, seen: new Set() }, schema, []);
  const size = JSON.stringify(schema ?? null).length;
  if (size > SCHEMA_BYTES_MOST) {
    const message = `has ${size} bytes as JSON, more than the ${SCHEMA_BYTES_MOST} it may have`;
    problems.push({ path: [], message });
  }
  return problems;
}

interface Visit {
  readonly root: unknown;
  readonly problems: SchemaProblem[];
  /** References that were followed. */
  readonly seen: Set<string>;
}

function visit(all: Visit, schema: unknown, path: Path): void {
  if (typeof schema === 'boolean') return;
  const { problems } = all;
  if (!isMap(schema)) {
    problems.push({ path, message: 'must be a schema: a map of keywords, true or false' });
    return;
  }
  if (path.length > DEPTH_MOST) {
    problems.push({ path, message: `is nested more than ${DEPTH_MOST} deep` });
    return;
  }
  for (const [keyword, value] of Object.entries(schema)) {
    const at = [...path, keyword];
    const kind = Object.hasOwn(KEYWORDS, keyword) ? KEYWORDS[keyword] : undefined;
    if (keyword === '$id' && path.length > 0)
      problems.push({ path: at, isKey: true, message: 'a part of a schema has no $id' });
    else if (kind !== undefined) checkValue(all, { kind, value, path: at });
    else if (!keyword.startsWith('x-')) {
      problems.push({ path: at, isKey: true, message: unknownKeyword(keyword) });
    }
  }
}

function unknownKeyword(keyword: string): string {
  const advice = Object.hasOwn(ADVICE, keyword) ? ADVICE[keyword] : undefined;
  if (advice !== undefined) return `the keyword "${keyword}": ${advice}`;
  return `unknown keyword "${keyword}".${didYouMean(keyword, Object.keys(KEYWORDS))}`;
}

function checkValue(
  all: Visit,
  { kind, value, path }: { readonly kind: Kind; readonly value: unknown; readonly path: Path },
): void {
  const wrong = (message: string): void => {
    all.problems.push({ path, message });
  };
  switch (kind) {
    case 'any':
      return;
    case 'text':
      if (typeof value !== 'string') wrong('must be text');
      return;
    case 'flag':
      if (typeof value !== 'boolean') wrong('must be true or false');
      return;
    case 'number':
      if (typeof value !== 'number') wrong('must be a number');
      return;
    case 'positive':
      if (typeof value !== 'number' || value <= 0) wrong('must be a number of more than 0');
      return;
    case 'count':
      if (!Number.isInteger(value) || Number(value) < 0) wrong('must be a whole number from 0 on');
      return;
    case 'types': {
      const names: readonly unknown[] = Array.isArray(value) ? value : [value];
      const isKnown = names.every((name) => TYPES.some((type) => type === name));
      if (names.length === 0 || !isKnown)
        wrong(`must be of ${TYPES.join(', ')}, or a list of them`);
      return;
    }
    case 'values':
      if (!Array.isArray(value) || value.length === 0) wrong('must be a list of values');
      return;
    case 'names':
      if (!isNames(value)) wrong('must be a list of names');
      return;
    case 'names_map':
      if (!isMap(value) || !Object.values(value).every(isNames))
        wrong('must be a map of lists of names');
      return;
    case 'pattern':
      if (typeof value !== 'string' || compiled(value) === null)
        wrong('must be a regular expression');
      return;
    case 'ref':
      visitRef(all, value, path);
      return;
    case 'schema':
      if (Array.isArray(value)) wrong('must be one schema; for a list of them write prefixItems');
      else visit(all, value, path);
      return;
    case 'schemas':
      if (!Array.isArray(value) || value.length === 0) wrong('must be a list of schemas');
      else
        value.forEach((one: unknown, at) => {
          visit(all, one, [...path, at]);
        });
      return;
    case 'schema_map':
    case 'pattern_map':
      if (!isMap(value)) {
        wrong('must be a map of schemas');
        return;
      }
      for (const [name, one] of Object.entries(value)) {
        const at = [...path, name];
        if (kind === 'pattern_map' && compiled(name) === null)
          all.problems.push({ path: at, isKey: true, message: 'must be a regular expression' });
        visit(all, one, at);
      }
      return;
  }
}

/** What is referred to may stand where no schema is expected: it is looked at like any other. */
function visitRef(all: Visit, ref: unknown, path: Path): void {
  const found = typeof ref === 'string' ? resolveRef(all.root, ref) : undefined;
  if (typeof ref !== 'string' || found === undefined) {
    const message = 'must lead to a part of this schema, such as "#/$defs/name"';
    all.problems.push({ path, message });
  } else if (!all.seen.has(ref)) {
    all.seen.add(ref);
    visit(all, found, path);
  }
}

export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((name) => typeof name === 'string');
}

/** Null for no regular expression. */
export function compiled(pattern: string): RegExp | null {
  try {
    return new RegExp(pattern, 'u');
  } catch {
    return null;
  }
}

/** The part of `root` that a reference means; undefined for none, or another document. */
export function resolveRef(root: unknown, ref: string): unknown {
  if (ref !== '#' && !ref.startsWith('#/')) return undefined;
  let at: unknown = root;
  for (const part of ref.split('/').slice(1)) {
    const key = unescaped(part);
    if (key === null) return undefined;
    if (Array.isArray(at)) at = /^\d{1,6}$/.test(key) ? (at as unknown[])[Number(key)] : undefined;
    else at = isMap(at) && Object.hasOwn(at, key) ? at[key] : undefined;
  }
  return at;
}

function unescaped(part: string): string | null {
  try {
    return decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
  } catch {
    return null;
  }
}
