/** Schemas of result files: what is one, and what fits it. Cases by keyword, from the specification. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { schemaProblems, type JsonSchema } from '#protocol/suite/schema/json-schema.ts';
import { mismatches, mismatchText } from '#protocol/suite/schema/mismatches.ts';
import { pathText } from '#protocol/suite/problem.ts';

/** Null where it fits. */
function unfit(schema: JsonSchema, value: unknown): string | null {
  expect(schemaProblems(schema)).toEqual([]);
  return mismatchText(mismatches(schema, value));
}

describe('a value', () => {
  const tree = { properties: { left: { $ref: '#' }, right: { $ref: '#' } }, required: ['v'] };
  it.each<[JsonSchema, unknown, string | null]>([
    [true, 1, null],
    [false, 1, 'must not be there, and is 1'],
    [{ type: 'number' }, 'x', 'must be a number, not "x"'],
    [{ type: ['string', 'null'] }, 1, 'must be a string or null, not 1'],
    [{ type: 'integer' }, 1.5, 'must be a whole number, not 1.5'],
    [{ type: 'integer' }, 2.0, null],
    [{ type: 'object' }, [], 'must be an object, not []'],
    [{ type: 'array' }, {}, 'must be an array, not {}'],
    [{ type: 'object' }, null, 'must be an object, not null'],
    [{ const: { a: [1] } }, { a: [1] }, null],
    [{ const: 1 }, true, 'must be 1, not true'],
    [{ enum: ['a', null] }, 'b', 'must be one of "a", null, not "b"'],
    [{ minimum: 1 }, 0, 'must be at least 1, not 0'],
    [{ minimum: 1 }, 'text', null],
    [{ exclusiveMinimum: 1 }, 1, 'must be more than 1, not 1'],
    [{ maximum: 1 }, 2, 'must be at most 1, not 2'],
    [{ exclusiveMaximum: 1 }, 1, 'must be less than 1, not 1'],
    [{ multipleOf: 0.1 }, 0.3, null],
    [{ multipleOf: 2 }, 3, 'must be a multiple of 2, not 3'],
    [{ minLength: 2 }, '\u{1f600}', 'must have at least 2 characters, not 1'],
    [{ maxLength: 1 }, '\u{1f600}', null],
    [{ pattern: '^\\p{Lu}' }, 'a', 'must match ^\\p{Lu}, and is "a"'],
    [{ required: ['a'] }, {}, 'a: is missing'],
    [{ required: ['toString'] }, {}, 'toString: is missing'],
    [{ required: ['a'] }, 1, null],
    [{ properties: { a: { type: 'null' } } }, { a: 0 }, 'a: must be null, not 0'],
    [{ properties: { a: false } }, { a: 0 }, 'a: must not be there, and is 0'],
    [
      { properties: { a: true }, additionalProperties: false },
      { a: 1, b: 2 },
      'b: must not be there, and is 2',
    ],
    [
      { patternProperties: { '^x': { type: 'number' } }, additionalProperties: false },
      { x1: 1 },
      null,
    ],
    [{ propertyNames: { maxLength: 1 } }, { ab: 1 }, 'ab: must have at most 1 characters, not 2'],
    [{ minProperties: 2 }, { a: 1 }, 'must have at least 2 members, not 1'],
    [{ dependentRequired: { a: ['b'] } }, { a: 1 }, 'b: is missing beside a'],
    [{ dependentSchemas: { a: { required: ['b'] } } }, { a: 1 }, 'b: is missing'],
    [{ items: { type: 'number' } }, [1, 'x'], '[1]: must be a number, not "x"'],
    [{ prefixItems: [true], items: false }, [1, 2], '[1]: must not be there, and is 2'],
    [{ minItems: 1 }, [], 'must have at least 1 items, not 0'],
    [{ uniqueItems: true }, [{ a: 1, b: 2 }, 1, { b: 2, a: 1 }], '[2]: is the same as item 0'],
    [
      { contains: { type: 'number' } },
      ['a'],
      'must have at least 1 items that fit "contains", not 0',
    ],
    [{ contains: true, minContains: 0 }, [], null],
    [
      { contains: { type: 'number' }, maxContains: 1 },
      [1, 2],
      'must have at most 1 items that fit "contains", not 2',
    ],
    [
      { allOf: [{ minimum: 2 }, { maximum: 0 }] },
      1,
      'must be at least 2, not 1; must be at most 0, not 1',
    ],
    [
      { anyOf: [{ type: 'string' }, { properties: { a: { type: 'null' } }, type: 'object' }] },
      { a: 1 },
      'a: must be null, not 1 (fits none of 2 alternatives)',
    ],
    [{ oneOf: [{ minimum: 0 }, { maximum: 2 }] }, 1, 'fits 2 of "oneOf", and must fit exactly one'],
    [{ not: { type: 'string' } }, 'x', 'is "x", which "not" excludes'],
    [
      { if: { type: 'string' }, then: { minLength: 2 }, else: false },
      'x',
      'must have at least 2 characters, not 1',
    ],
    [{ if: { type: 'string' }, then: false, else: { minimum: 2 } }, 1, 'must be at least 2, not 1'],
    [{ $ref: '#/$defs/a~1b', $defs: { 'a/b': { type: 'null' } } }, 1, 'must be null, not 1'],
    [
      { $ref: '#/$defs/n', minimum: 2, $defs: { n: { type: 'number' } } },
      1,
      'must be at least 2, not 1',
    ],
    [tree, { v: 1, left: { v: 2, right: {} } }, 'left.right.v: is missing'],
    [
      {
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        title: 't',
        format: 'date',
        'x-own': 1,
      },
      'no date',
      null,
    ],
  ])('%j: %j', (schema, value, expected) => {
    expect(unfit(schema, value)).toBe(expected);
  });

  it('that does not fit in many ways is told in a few words', () => {
    const values = Array.from({ length: 9 }, () => 'x'.repeat(100));
    const text = unfit({ items: { type: 'number' } }, values);
    expect(text).toMatch(/^\[0\]: must be a number, not "x+…; .* and 6 more$/);
    expect(text?.length).toBeLessThan(250);
  });

  it.each<[string, JsonSchema]>([
    ['a circle', { $ref: '#' }],
    ['circles that multiply', { anyOf: [{ $ref: '#' }, { $ref: '#' }] }],
    [
      'a circle of two',
      { $ref: '#/$defs/a', $defs: { a: { allOf: [{ $ref: '#' }, { $ref: '#' }] } } },
    ],
  ])('under %s is a mismatch, soon', (_what, schema) => {
    expect(unfit(schema, [[1]])).toMatch(/circle/);
  });

  it('nested beyond the stack is a mismatch', () => {
    const deep = JSON.parse('['.repeat(3_000) + ']'.repeat(3_000)) as unknown;
    expect(unfit({ items: { $ref: '#' } }, deep)).toMatch(/too deep/);
  });

  it('fits, or does not fit the opposite', () => {
    const word = fc.constantFrom('a', 'b');
    const value = fc.jsonValue({ maxDepth: 3 });
    const schema = fc.oneof(
      fc.record({ type: fc.constantFrom('string', 'number', 'object', 'array', 'null') }),
      fc.record({ required: fc.array(word) }),
      fc.record({ minimum: fc.integer(), maxLength: fc.nat() }),
      fc.record({ enum: fc.array(value, { minLength: 1 }) }),
    );
    fc.assert(
      fc.property(schema, value, (one, of) => {
        const fits = unfit(one, of) === null;
        expect(unfit({ not: one }, of) === null).toBe(!fits);
        expect(unfit({ anyOf: [one, false] }, of) === null).toBe(fits);
        expect(unfit({ oneOf: [one, true] }, of) === null).toBe(!fits);
        expect(unfit({ allOf: [one, true] }, of) === null).toBe(fits);
        expect(unfit({ if: one, then: true, else: false }, of) === null).toBe(fits);
      }),
    );
  });
});

describe('a schema', () => {
  it.each<[unknown, string]>([
    [1, ': must be a schema: a map of keywords, true or false'],
    [{ tpye: 'object' }, 'tpye: unknown keyword "tpye". Did you mean "type"?'],
    [
      { type: 'text' },
      'type: must be of null, boolean, object, array, number, integer, string, or a list of them',
    ],
    [{ properties: { a: { minimum: '1' } } }, 'properties.a.minimum: must be a number'],
    [{ items: [{}] }, 'items: must be one schema; for a list of them write prefixItems'],
    [
      { additionalItems: false },
      'additionalItems: the keyword "additionalItems": write prefixItems and items instead',
    ],
    [
      { unevaluatedProperties: false },
      'unevaluatedProperties: the keyword "unevaluatedProperties": it is not supported',
    ],
    [{ pattern: '(' }, 'pattern: must be a regular expression'],
    [{ patternProperties: { '(': {} } }, 'patternProperties["("]: must be a regular expression'],
    [{ required: 'a' }, 'required: must be a list of names'],
    [{ enum: [] }, 'enum: must be a list of values'],
    [{ minLength: -1 }, 'minLength: must be a whole number from 0 on'],
    [{ multipleOf: 0 }, 'multipleOf: must be a number of more than 0'],
    [
      { $ref: 'other.json' },
      '["$ref"]: must lead to a part of this schema, such as "#/$defs/name"',
    ],
    [{ $ref: '#/$defs/x' }, '["$ref"]: must lead to a part of this schema, such as "#/$defs/name"'],
    [
      { $ref: '#/x-a', 'x-a': { nope: 1 } },
      '["$ref"].nope: unknown keyword "nope". Did you mean "type"?',
    ],
    [
      { $ref: '#/title', title: 'x' },
      '["$ref"]: must be a schema: a map of keywords, true or false',
    ],
    [{ properties: { a: { $id: 'x' } } }, 'properties.a["$id"]: a part of a schema has no $id'],
    [
      { description: 'x'.repeat(40_000) },
      ': has 40018 bytes as JSON, more than the 32768 it may have',
    ],
  ])('%j', (schema, problem) => {
    const problems = schemaProblems(schema).map(
      ({ path, message }) => `${pathText(path)}: ${message}`,
    );
    expect(problems).toEqual([problem]);
  });

  it('may be anything: it has problems, or can be used', () => {
    const keyword = fc.constantFrom(
      'type',
      'items',
      'properties',
      '$ref',
      'anyOf',
      'not',
      'enum',
      'required',
      'pattern',
      '$defs',
      'maxItems',
    );
    const piece = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom('string', '#', '#/$defs/a', 1, true, null, 'a'),
        fc.array(tie('any'), { maxLength: 2 }),
        fc.dictionary(keyword, tie('any'), { maxKeys: 3 }),
      ),
    })).any;
    fc.assert(
      fc.property(piece, fc.jsonValue({ maxDepth: 2 }), (schema, value) => {
        if (schemaProblems(schema).length > 0) return;
        expect(Array.isArray(mismatches(schema as JsonSchema, value))).toBe(true);
      }),
    );
  });
});
