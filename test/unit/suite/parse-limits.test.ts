import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSuite } from '#protocol/suite/parse-suite.ts';
import { problemsOf } from './suite-of.ts';

describe('a suite that is too large', () => {
  const axes = Object.fromEntries(
    Array.from({ length: 9 }, (_, i) => [`axis${i}`, Array.from({ length: 10 }, (__, j) => j)]),
  );

  it('is one clear problem at its axes, without being expanded', () => {
    const text = JSON.stringify({ run: ['x'], axes });
    const parsed = parseSuite({ text, file: 'big.json', dir: '/s' });
    expect(parsed).toEqual({
      kind: 'invalid',
      problems: [
        {
          code: 'suite_too_large',
          file: 'big.json',
          line: 1,
          column: text.indexOf('{"axis0') + 1,
          path: 'axes',
          message:
            'the suite expands to 1,000,000,000 cells before exclude; a run may have 1,000,000: shorten the axes, or choose cells with --only',
        },
      ],
    });
  });

  it('is fine once narrowed, since only what is left is multiplied', () => {
    const only = ['axis0=0', 'axis1=0', 'axis2=0', 'axis3=0', 'axis4=0', 'axis5=0', 'axis6=0'];
    expect(problemsOf(JSON.stringify({ run: ['x'], axes }), { only })).toEqual([]);
  });

  it('counts repeats', () => {
    const text = 'run: [x]\naxes: { a: [1, 2] }\nrepeats: 500001\n';
    expect(problemsOf(text)).toEqual([
      'suite.yaml:2:7: axes: the suite expands to 1,000,002 tasks; a run may have 1,000,000: shorten the axes, or choose cells with --only',
    ]);
  });

  it('bounds what aliases multiply to', () => {
    const levels = Array.from(
      { length: 9 },
      (_, i) => `l${i + 1}: &l${i + 1} [${Array(10).fill(`*l${i}`).join()}]`,
    );
    const problems = problemsOf(`l0: &l0 [x]\n${levels.join('\n')}\n`);
    expect(problems.some((line) => line.includes('more than 200000 values'))).toBe(true);
  });
});

describe('a damaged suite', () => {
  const whole = readFileSync(new URL('../../../examples/node-sort.yaml', import.meta.url), 'utf8');
  const scraps = fc.constantFrom(
    '',
    ':',
    '- ',
    '[',
    '}',
    '{{',
    '&a ',
    '*a',
    '<<: ',
    '"',
    '\n',
    '\t',
    '~',
    '3',
    '\0',
    '|',
    '!!x ',
  );

  it('is parsed or refused at a place in it, and never throws', () => {
    fc.assert(
      fc.property(fc.nat(whole.length), fc.nat(30), scraps, (at, length, scrap) => {
        const text = whole.slice(0, at) + scrap + whole.slice(at + length);
        const parsed = parseSuite({ text, file: 'f', dir: '/s' });
        const said = parsed.kind === 'ok' ? parsed.warnings : parsed.problems;
        expect(parsed.kind === 'ok' || said.length > 0).toBe(true);
        const lines = text.split('\n').length;
        for (const { line, column, message } of said) {
          expect(line).toBeGreaterThanOrEqual(1);
          expect(line).toBeLessThanOrEqual(lines);
          expect(column).toBeGreaterThanOrEqual(1);
          expect(message).not.toMatch(/\n/);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
