import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { taskId } from '#protocol/messages/ids.ts';
import {
  countCells,
  expandCells,
  expandTasks,
  type Matrix,
  type Values,
} from '#protocol/suite/expand.ts';

const matrix = (part: Partial<Matrix>): Matrix => ({
  axes: {},
  include: [],
  exclude: [],
  only: {},
  repeats: 1,
  ...part,
});

/** Cells as short texts: `a=1 b=x`, and what include sets after a bar. */
function shown(part: Partial<Matrix>): string[] {
  return expandCells(matrix(part)).map(({ axes, vars }) =>
    [text(axes), ...(Object.keys(vars).length > 0 ? [text(vars)] : [])].join(' | '),
  );
}

function text(values: Values): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(' ');
}

describe('cells', () => {
  const axes = { a: [1, 2], b: ['x', 'y'] };

  it.each<[string, Partial<Matrix>, string[]]>([
    ['no axes are one cell', {}, ['']],
    ['the first axis varies slowest', { axes }, ['a=1 b=x', 'a=1 b=y', 'a=2 b=x', 'a=2 b=y']],
    ['an axis without values empties it', { axes: { ...axes, c: [] } }, []],
    [
      'values are told apart that are the same when run together',
      { axes: { a: ['x', 'xy'], b: ['yz', 'z'] }, exclude: [{ a: 'x', b: 'yz' }] },
      ['a=x b=z', 'a=xy b=yz', 'a=xy b=z'],
    ],
    ['exclude by one axis', { axes, exclude: [{ a: 1 }] }, ['a=2 b=x', 'a=2 b=y']],
    [
      'exclude by all axes, in any order of names',
      { axes, exclude: [{ b: 'y', a: 1 }] },
      ['a=1 b=x', 'a=2 b=x', 'a=2 b=y'],
    ],
    ['exclude by the text of a value', { axes, exclude: [{ a: '1' }] }, ['a=2 b=x', 'a=2 b=y']],
    [
      'exclude by what no cell has',
      { axes, exclude: [{ a: 9 }] },
      ['a=1 b=x', 'a=1 b=y', 'a=2 b=x', 'a=2 b=y'],
    ],
    [
      'include adds a cell that is not there, in the order of the axes',
      { axes: { a: [1], b: ['x'] }, include: [{ b: 'z', a: 3 }] },
      ['a=1 b=x', 'a=3 b=z'],
    ],
    [
      'include sets vars where its axes match',
      { axes, include: [{ a: 1, v: 5 }] },
      ['a=1 b=x | v=5', 'a=1 b=y | v=5', 'a=2 b=x', 'a=2 b=y'],
    ],
    [
      'include of vars alone sets them everywhere',
      { axes: { a: [1, 2] }, include: [{ v: 5 }] },
      ['a=1 | v=5', 'a=2 | v=5'],
    ],
    [
      'a later include wins, also over cells an earlier one added',
      {
        axes: { a: [1] },
        include: [
          { a: 2, v: 1 },
          { a: 2, v: 2, w: 3 },
        ],
      },
      ['a=1', 'a=2 | v=2 w=3'],
    ],
    [
      'include comes after exclude',
      { axes: { a: [1, 2] }, exclude: [{ a: 2 }], include: [{ a: 2 }] },
      ['a=1', 'a=2'],
    ],
    [
      'an include of some axes that matches nothing does nothing',
      { axes, include: [{ a: 3, v: 1 }] },
      ['a=1 b=x', 'a=1 b=y', 'a=2 b=x', 'a=2 b=y'],
    ],
    [
      'only: either value of an axis',
      { axes: { a: [1, 2, 3] }, only: { a: [3, 1] } },
      ['a=1', 'a=3'],
    ],
    ['only: both axes', { axes, only: { a: [2], b: ['y'] } }, ['a=2 b=y']],
    [
      'only chooses among included cells',
      { axes: { a: [1] }, include: [{ a: 2 }, { a: 3 }], only: { a: [3] } },
      ['a=3'],
    ],
  ])('%s', (_, part, cells) => {
    expect(shown(part)).toEqual(cells);
  });
});

describe('tasks', () => {
  it('measure every cell once before any twice', () => {
    const tasks = expandTasks(matrix({ axes: { a: [1, 2] }, repeats: 2 }));
    expect(tasks.map(({ index, axes, repeat }) => [index, axes['a'], repeat])).toEqual([
      [0, 1, 1],
      [1, 2, 1],
      [2, 1, 2],
      [3, 2, 2],
    ]);
  });

  it('are only those that the suite names, in their order, with positions of their own', () => {
    const part = { axes: { a: [1, 2] }, repeats: 2 };
    const all = expandTasks(matrix(part));
    const tasks = [3, 1].map((at) => all[at]?.id ?? '');
    expect(expandTasks(matrix({ ...part, tasks }))).toEqual([
      { ...all[1], index: 0 },
      { ...all[3], index: 1 },
    ]);
    expect(() => expandTasks(matrix({ ...part, tasks: [...tasks, 'other'] }))).toThrow(
      /does not have/,
    );
    expect(() => expandTasks(matrix({ ...part, tasks: [] }))).toThrow(/does not have/);
  });

  it('have the id of their axis values and repeat, whatever vars say', () => {
    const [task] = expandTasks(matrix({ axes: { a: [1] }, include: [{ v: 2 }] }));
    expect(task).toMatchObject({ id: taskId({ a: 1 }, 1), vars: { v: 2 } });
  });

  it.each<[string, Partial<Matrix>, string]>([
    ['none', { axes: { a: [] } }, 'suite_invalid'],
    ['a value twice', { axes: { a: [1, 1] } }, 'suite_invalid'],
    ['too many', { axes: { a: [1, 2] }, repeats: 500_001 }, 'suite_too_large'],
  ])('refuse %s', (_, part, code) => {
    expect(() => expandTasks(matrix(part))).toThrow(expect.objectContaining({ code }) as Error);
  });

  it('of 10^9 cells are refused by counting alone', () => {
    const tens = Array.from({ length: 10 }, (_, i) => i);
    const axes = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`a${i}`, tens]));
    expect(countCells(matrix({ axes }))).toBe(1e9);
    expect(() => expandTasks(matrix({ axes }))).toThrow('1,000,000,000 cells before exclude');
  });
});

const value = fc.oneof(
  fc.integer({ min: 0, max: 9 }),
  fc.constantFrom('x', 'y', 'z'),
  fc.boolean(),
);
const axisValues = fc.uniqueArray(value, { minLength: 1, maxLength: 4, selector: String });
const axesArbitrary = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), axisValues, {
  noNullPrototype: true,
});
const entry = fc.dictionary(fc.constantFrom('a', 'b', 'c'), value, {
  minKeys: 1,
  noNullPrototype: true,
});
const matrices = fc
  .record({
    axes: axesArbitrary,
    include: fc.array(entry, { maxLength: 3 }),
    exclude: fc.array(entry, { maxLength: 3 }),
    repeats: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ axes, include, exclude, repeats }) =>
    matrix({
      axes,
      include,
      exclude: exclude.filter((names) => Object.keys(names).every((name) => name in axes)),
      repeats,
    }),
  );

const idsOf = (of: Matrix) => new Set(expandTasks(of).map(({ id }) => id));
const isEmpty = (of: Matrix) => countCells(of) === 0;

describe('laws', () => {
  it('expansion is a function of the suite', () => {
    fc.assert(
      fc.property(matrices, (of) => {
        fc.pre(!isEmpty(of));
        const copy = JSON.parse(JSON.stringify(of)) as Matrix;
        expect(expandTasks(copy)).toEqual(expandTasks(of));
      }),
    );
  });

  it('count is length', () => {
    fc.assert(
      fc.property(matrices, (of) => {
        const cells = countCells(of);
        expect(expandCells(of)).toHaveLength(cells);
        if (cells > 0) expect(expandTasks(of)).toHaveLength(cells * of.repeats);
      }),
    );
  });

  it('ids are unique, and positions run from 0', () => {
    fc.assert(
      fc.property(matrices, (of) => {
        fc.pre(!isEmpty(of));
        const tasks = expandTasks(of);
        expect(new Set(tasks.map(({ id }) => id)).size).toBe(tasks.length);
        expect(tasks.map(({ index }) => index)).toEqual(tasks.map((_, i) => i));
      }),
    );
  });

  it('ids do not change with the order of axes or of their values', () => {
    fc.assert(
      fc.property(matrices, (of) => {
        fc.pre(!isEmpty(of));
        const turned = Object.entries(of.axes)
          .reverse()
          .map(([name, values]) => [name, values.toReversed()] as const);
        expect(idsOf({ ...of, axes: Object.fromEntries(turned) })).toEqual(idsOf(of));
      }),
    );
  });

  it('ids do not change when other cells come or go', () => {
    fc.assert(
      fc.property(axesArbitrary, fc.integer({ min: 1, max: 3 }), (axes, repeats) => {
        const more = Object.fromEntries(
          Object.entries(axes).map(([name, values]) => [name, [...values, 'new']]),
        );
        const before = idsOf(matrix({ axes, repeats }));
        const after = idsOf(matrix({ axes: more, repeats: repeats + 1 }));
        expect([...before].filter((id) => !after.has(id))).toEqual([]);
      }),
    );
  });

  it('exclude removes exactly the cells that have its values, and twice is once', () => {
    fc.assert(
      fc.property(axesArbitrary, entry, (axes, names) => {
        fc.pre(Object.keys(names).every((name) => name in axes));
        const has = ({ axes: own }: { axes: Values }) =>
          Object.entries(names).every(([name, wanted]) => String(own[name]) === String(wanted));
        const all = expandCells(matrix({ axes }));
        expect(expandCells(matrix({ axes, exclude: [names] }))).toEqual(
          all.filter((cell) => !has(cell)),
        );
        expect(expandCells(matrix({ axes, exclude: [names, names] }))).toEqual(
          all.filter((cell) => !has(cell)),
        );
      }),
    );
  });

  it('only is a filter of what there would be without it', () => {
    fc.assert(
      fc.property(
        matrices,
        fc.constantFrom('a', 'b'),
        fc.array(value, { minLength: 1, maxLength: 3 }),
        (of, axis, values) => {
          fc.pre(axis in of.axes);
          const texts = values.map(String);
          const expected = expandCells(of).filter(({ axes }) => texts.includes(String(axes[axis])));
          expect(expandCells({ ...of, only: { [axis]: values } })).toEqual(expected);
        },
      ),
    );
  });

  it('include never removes a cell, never repeats one, and its last entry twice is once', () => {
    fc.assert(
      fc.property(matrices, (of) => {
        const keys = (cells: ReturnType<typeof expandCells>) => cells.map(({ axes }) => text(axes));
        const without = keys(expandCells({ ...of, include: [] }));
        const cells = expandCells(of);
        expect(keys(cells).slice(0, without.length)).toEqual(without);
        expect(new Set(keys(cells)).size).toBe(cells.length);
        const again = [...of.include, ...of.include.slice(-1)];
        expect(expandCells({ ...of, include: again })).toEqual(cells);
      }),
    );
  });
});
