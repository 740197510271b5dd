/**
 * What of a JSON value does not fit a schema in which `schemaProblems` found nothing. Pure, and it always
 * ends: a schema that leads in a circle, or a value nested beyond any use, is a mismatch of its own.
 */
import { canonicalJson } from '../../fold/canonical-json.ts';
import { pathText, type Path } from '../problem.ts';
import { compiled, isMap, resolveRef, type JsonSchema } from './json-schema.ts';

export interface Mismatch {
  readonly path: Path;
  readonly message: string;
}

const DEPTH_MOST = 1_000;
/** More often no schema looks at a value, unless it leads in circles. */
const CHECKS_PER_VALUE = 200;
const LEAST_CHECKS = 20_000;
const SHOWN_CHARS = 40;
const SAID_MOST = 3;

/** None where it fits; each once, the outermost first. */
export function mismatches(schema: JsonSchema, value: unknown): Mismatch[] {
  const budget = { left: LEAST_CHECKS + CHECKS_PER_VALUE * countValues(value) };
  try {
    return check({ root: schema, patterns: new Map(), budget }, schema, {
      value,
      path: [],
      depth: 0,
    });
  } catch (error) {
    if (!(error instanceof TooCostly)) throw error;
    return [{ path: [], message: 'cannot be checked: the schema leads in circles' }];
  }
}

/** `results[0].tps: must be a number, not "x"`, the first few; null where nothing is wrong. */
export function mismatchText(found: readonly Mismatch[]): string | null {
  if (found.length === 0) return null;
  const said = found
    .slice(0, SAID_MOST)
    .map(({ path, message }) => `${path.length === 0 ? '' : `${pathText(path)}: `}${message}`);
  const more = found.length - said.length;
  return `${said.join('; ')}${more > 0 ? ` and ${more} more` : ''}`;
}

class TooCostly extends Error {}

function countValues(value: unknown): number {
  let count = 0;
  const stack: unknown[] = [value];
  while (stack.length > 0) {
    const next = stack.pop();
    count += 1;
    if (typeof next === 'object' && next !== null)
      for (const one of Object.values(next)) stack.push(one);
  }
  return count;
}

interface Schema {
  readonly root: JsonSchema;
  readonly patterns: Map<string, RegExp>;
  readonly budget: { left: number };
}

interface Place {
  readonly value: unknown;
  readonly path: Path;
  readonly depth: number;
}

type Keywords = Readonly<Record<string, unknown>>;

function check(all: Schema, schema: unknown, place: Place): Mismatch[] {
  const { path, depth, value } = place;
  all.budget.left -= 1;
  if (all.budget.left < 0) throw new TooCostly();
  if (schema === false) return [{ path, message: `must not be there, and is ${shown(value)}` }];
  if (!isMap(schema)) return [];
  if (depth > DEPTH_MOST)
    return [{ path, message: 'the schema leads in a circle, or this is too deep' }];
  const here = { ...place, depth: depth + 1 };
  const found = [...ofType(schema, here), ...ofValue(schema, here)];
  if (typeof value === 'number') found.push(...ofNumber(schema, value, path));
  else if (typeof value === 'string') found.push(...ofText(all, schema, { text: value, path }));
  else if (Array.isArray(value)) found.push(...ofList(all, schema, { ...here, value }));
  else if (isMap(value)) found.push(...ofObject(all, schema, { ...here, value }));
  return [...found, ...ofParts(all, schema, here)];
}

const WORDS: Readonly<Record<string, string>> = {
  null: 'null',
  boolean: 'true or false',
  object: 'an object',
  array: 'an array',
  number: 'a number',
  integer: 'a whole number',
  string: 'a string',
};

function ofType({ type }: Keywords, { value, path }: Place): Mismatch[] {
  if (type === undefined) return [];
  const names = (Array.isArray(type) ? type : [type]) as readonly string[];
  if (names.some((name) => isOfType(value, name))) return [];
  const wanted = names.map((name) => WORDS[name] ?? name).join(' or ');
  return [{ path, message: `must be ${wanted}, not ${shown(value)}` }];
}

function isOfType(value: unknown, type: string): boolean {
  switch (type) {
    case 'null':
      return value === null;
    case 'array':
      return Array.isArray(value);
    case 'object':
      return isMap(value);
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

function ofValue(schema: Keywords, { value, path }: Place): Mismatch[] {
  const found: Mismatch[] = [];
  if (Object.hasOwn(schema, 'const') && !isSame(schema['const'], value))
    found.push({ path, message: `must be ${shown(schema['const'])}, not ${shown(value)}` });
  const values = schema['enum'] as readonly unknown[] | undefined;
  if (values !== undefined && !values.some((one) => isSame(one, value))) {
    const wanted = values.slice(0, 8).map(shown).join(', ');
    const more = values.length > 8 ? ', ...' : '';
    found.push({ path, message: `must be one of ${wanted}${more}, not ${shown(value)}` });
  }
  return found;
}

function isSame(a: unknown, b: unknown): boolean {
  return a === b || canonicalJson(a) === canonicalJson(b);
}

function ofNumber(schema: Keywords, value: number, path: Path): Mismatch[] {
  const found: Mismatch[] = [];
  const limit = (keyword: string, fits: (bound: number) => boolean, wanted: string): void => {
    const bound = schema[keyword];
    if (typeof bound === 'number' && !fits(bound))
      found.push({ path, message: `must be ${wanted} ${bound}, not ${value}` });
  };
  limit('minimum', (bound) => value >= bound, 'at least');
  limit('maximum', (bound) => value <= bound, 'at most');
  limit('exclusiveMinimum', (bound) => value > bound, 'more than');
  limit('exclusiveMaximum', (bound) => value < bound, 'less than');
  limit('multipleOf', (bound) => isMultiple(value, bound), 'a multiple of');
  return found;
}

/** Of decimal fractions, too: 0.3 is three times 0.1. */
function isMultiple(value: number, of: number): boolean {
  const times = value / of;
  if (!Number.isFinite(times)) return false;
  return Math.abs(times - Math.round(times)) <= 1e-9 * Math.max(1, Math.abs(times));
}

function ofText(
  all: Schema,
  schema: Keywords,
  { text, path }: { readonly text: string; readonly path: Path },
): Mismatch[] {
  const { minLength, maxLength, pattern } = schema;
  const found: Mismatch[] = [];
  if (minLength !== undefined || maxLength !== undefined) {
    const size = Array.from(text).length;
    found.push(...ofSize({ size, least: minLength, most: maxLength, path }, 'characters'));
  }
  if (typeof pattern === 'string' && !patternOf(all, pattern).test(text))
    found.push({ path, message: `must match ${pattern}, and is ${shown(text)}` });
  return found;
}

interface Size {
  readonly size: number;
  readonly least: unknown;
  readonly most: unknown;
  readonly path: Path;
}

function ofSize({ size, least, most, path }: Size, what: string): Mismatch[] {
  if (typeof least === 'number' && size < least)
    return [{ path, message: `must have at least ${least} ${what}, not ${size}` }];
  if (typeof most === 'number' && size > most)
    return [{ path, message: `must have at most ${most} ${what}, not ${size}` }];
  return [];
}

function patternOf({ patterns }: Schema, pattern: string): RegExp {
  const known = patterns.get(pattern) ?? compiled(pattern) ?? /(?!)/;
  patterns.set(pattern, known);
  return known;
}

function ofList(
  all: Schema,
  schema: Keywords,
  { value, path, depth }: Place & { readonly value: readonly unknown[] },
): Mismatch[] {
  const { minItems, maxItems, uniqueItems, contains, items } = schema;
  const prefix = (schema['prefixItems'] ?? []) as readonly unknown[];
  const at = (index: number): Place => ({ value: value[index], path: [...path, index], depth });
  const found = ofSize({ size: value.length, least: minItems, most: maxItems, path }, 'items');
  for (const index of value.keys()) {
    const own = index < prefix.length ? prefix[index] : items;
    if (own !== undefined) found.push(...check(all, own, at(index)));
  }
  if (uniqueItems === true) {
    const seen = new Map<string, number>();
    for (const [index, item] of value.entries()) {
      const first = seen.get(canonicalJson(item));
      if (first === undefined) seen.set(canonicalJson(item), index);
      else found.push({ path: [...path, index], message: `is the same as item ${first}` });
    }
  }
  if (contains !== undefined) {
    const { minContains: least = 1, maxContains: most } = schema;
    const size = [...value.keys()].filter((i) => check(all, contains, at(i)).length === 0).length;
    found.push(...ofSize({ size, least, most, path }, 'items that fit "contains"'));
  }
  return found;
}

function ofObject(
  all: Schema,
  schema: Keywords,
  { value, path, depth }: Place & { readonly value: Keywords },
): Mismatch[] {
  const names = Object.keys(value);
  const { minProperties: least, maxProperties: most, propertyNames } = schema;
  const required = (schema['required'] ?? []) as readonly string[];
  const found: Mismatch[] = required
    .filter((name) => !Object.hasOwn(value, name))
    .map((name) => ({ path: [...path, name], message: 'is missing' }));
  found.push(...ofSize({ size: names.length, least, most, path }, 'members'));
  for (const name of names) {
    const member = { value: value[name], path: [...path, name], depth };
    for (const own of schemasOf(all, schema, name)) found.push(...check(all, own, member));
    if (propertyNames !== undefined)
      found.push(...check(all, propertyNames, { ...member, value: name }));
  }
  return [...found, ...ofDependents(all, schema, { value, path, depth })];
}

/** Those that a member of this name must fit. */
function schemasOf(all: Schema, schema: Keywords, name: string): unknown[] {
  const { properties, patternProperties, additionalProperties: others } = schema;
  const own: unknown[] = [];
  if (isMap(properties) && Object.hasOwn(properties, name)) own.push(properties[name]);
  if (isMap(patternProperties)) {
    for (const [pattern, one] of Object.entries(patternProperties))
      if (patternOf(all, pattern).test(name)) own.push(one);
  }
  return own.length === 0 && others !== undefined ? [others] : own;
}

function ofDependents(
  all: Schema,
  { dependentRequired, dependentSchemas }: Keywords,
  place: Place & { readonly value: Keywords },
): Mismatch[] {
  const { value, path } = place;
  const found: Mismatch[] = [];
  for (const [name, needed] of Object.entries(isMap(dependentRequired) ? dependentRequired : {})) {
    if (!Object.hasOwn(value, name)) continue;
    for (const other of needed as readonly string[])
      if (!Object.hasOwn(value, other))
        found.push({ path: [...path, other], message: `is missing beside ${name}` });
  }
  for (const [name, one] of Object.entries(isMap(dependentSchemas) ? dependentSchemas : {}))
    if (Object.hasOwn(value, name)) found.push(...check(all, one, place));
  return found;
}

function ofParts(all: Schema, schema: Keywords, place: Place): Mismatch[] {
  const { path } = place;
  const fits = (one: unknown): boolean => check(all, one, place).length === 0;
  const found: Mismatch[] = [];
  const { $ref: ref, allOf, anyOf, oneOf, not, if: condition } = schema;
  if (typeof ref === 'string') found.push(...check(all, resolveRef(all.root, ref), place));
  for (const one of (allOf ?? []) as readonly unknown[]) found.push(...check(all, one, place));
  if (Array.isArray(anyOf)) found.push(...ofNone(anyOf.map((one) => check(all, one, place))));
  if (Array.isArray(oneOf)) {
    const each = oneOf.map((one) => check(all, one, place));
    const fitting = each.filter((one) => one.length === 0).length;
    if (fitting === 0) found.push(...ofNone(each));
    else if (fitting > 1)
      found.push({ path, message: `fits ${fitting} of "oneOf", and must fit exactly one` });
  }
  if (not !== undefined && fits(not))
    found.push({ path, message: `is ${shown(place.value)}, which "not" excludes` });
  const next = condition === undefined ? undefined : schema[fits(condition) ? 'then' : 'else'];
  if (next !== undefined) found.push(...check(all, next, place));
  return found;
}

/**
 * What is told of alternatives of which none fits: the one that was meant fails deepest, or with the
 * least. Nothing where one fits.
 */
function ofNone(alternatives: readonly (readonly Mismatch[])[]): Mismatch[] {
  if (alternatives.some((found) => found.length === 0)) return [];
  const [nearest] = alternatives.toSorted((a, b) => (isNearer(a, b) ? -1 : isNearer(b, a) ? 1 : 0));
  const [first] = nearest ?? [];
  if (first === undefined) return [];
  const message = `${first.message} (fits none of ${alternatives.length} alternatives)`;
  return [{ path: first.path, message }];
}

function isNearer(a: readonly Mismatch[], b: readonly Mismatch[]): boolean {
  const depth = (found: readonly Mismatch[]): number => found[0]?.path.length ?? 0;
  return depth(a) !== depth(b) ? depth(a) > depth(b) : a.length < b.length;
}

/** A value as JSON, cut where it is long. */
function shown(value: unknown): string {
  const text = JSON.stringify(value ?? null);
  return text.length <= SHOWN_CHARS ? text : `${text.slice(0, SHOWN_CHARS - 1)}…`;
}
