import { CommanderError } from 'commander';
import { describe, expect, it } from 'vitest';
import { reportOf } from '#cli/errors.ts';
import { differences } from '#cli/audit/differences.ts';
import { ERROR_CODES, MeshError, type ErrorCode } from '#protocol/messages/errors.ts';

describe('errors', () => {
  it.each(Object.keys(ERROR_CODES) as ErrorCode[])(
    '%s is one line with its exit status',
    (code) => {
      const report = reportOf(new MeshError(code, 'first\n  second'), false);
      expect(report).toEqual({ line: 'benchmesh: first second', exit: ERROR_CODES[code].exit });
    },
  );

  it('a wrong flag is usage; help that was asked for is not', () => {
    expect(reportOf(new CommanderError(1, 'x', 'bad flag'), false)).toEqual({
      line: null,
      exit: 2,
    });
    expect(reportOf(new CommanderError(0, 'x', 'help'), false)).toEqual({ line: null, exit: 0 });
  });

  it('a defect is named as one, its stack only when asked for', () => {
    const defect = new TypeError('x is undefined');
    const report = reportOf(defect, false);
    expect(report.exit).toBe(1);
    expect(report.line).toMatch(/^benchmesh: internal: x is undefined/);
    expect(report.line).not.toContain('\n');
    expect(reportOf(defect, true).line).toContain('    at ');
  });
});

describe('differences', () => {
  it('names each path', () => {
    const folded = { a: 1, b: [1, { c: 2 }], d: null };
    expect(differences(folded, { a: 1, b: [1, { c: 2 }], d: null })).toEqual([]);
    expect(differences(folded, { a: 2, b: [1, { c: 3 }, 4] })).toEqual([
      { path: 'a', folded: 1, found: 2 },
      { path: 'b[1].c', folded: 2, found: 3 },
      { path: 'b[2]', folded: undefined, found: 4 },
      { path: 'd', folded: null, found: undefined },
    ]);
  });

  it('stops at 50', () => {
    const many = Array.from({ length: 100 }, (_, index) => index);
    expect(
      differences(
        many,
        many.map((value) => value + 1),
      ),
    ).toHaveLength(50);
  });
});
