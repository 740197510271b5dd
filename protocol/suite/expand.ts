/**
 * The matrix, expanded: pure, so that 10,000 tasks are one `run.submitted` event.
 *
 * 1. The product of the axes; the first axis varies slowest.
 * 2. `exclude`: an entry removes every cell that has all of its values.
 * 3. `include`, entry by entry. What it says of axes selects cells; what it says of vars is set in
 *    them. An entry that names every axis and finds no such cell adds it. (So a cell that was
 *    excluded can be added again, and an entry may extend cells that an earlier one has added.)
 * 4. `only`: a cell stays if each named axis has one of the values.
 * 5. Repeats: every cell once, then every cell again, so that early on all are covered.
 * 6. `tasks`: of these only those with one of the ids; positions count within what is left.
 *
 * Values of an axis are the same when their text is the same: 1 and "1" are one value.
 */
import { MeshError } from '../messages/errors.ts';
import { type AxisValue, taskId } from '../messages/ids.ts';
import type { SuiteSpec } from '../messages/run/suite-spec.ts';

/** Tasks a run may have, and cells a matrix may have before `exclude`. */
export const MAX_TASKS = 1_000_000;

export type Values = Readonly<Record<string, AxisValue>>;

/** What the matrix of a suite is made of; the rest of the suite does not matter here. */
export type Matrix = Pick<SuiteSpec, 'axes' | 'include' | 'exclude' | 'only' | 'repeats' | 'tasks'>;

export interface Cell {
  /** A value for every axis. */
  readonly axes: Values;
  /** Vars that `include` sets in this cell, over those of the suite. */
  readonly vars: Values;
}

export interface PlannedTask extends Cell {
  readonly id: string;
  /** Position in the expanded matrix, from 0. */
  readonly index: number;
  /** From 1. */
  readonly repeat: number;
}

const NO_VARS: Values = Object.freeze({});

/**
 * Number of cells; exact while the axes multiply to at most MAX_TASKS, beyond that their product
 * (found without expanding anything, so 10^9 cells cost nothing).
 */
export function countCells(matrix: Matrix): number {
  const size = productSize(narrowed(matrix));
  return size > MAX_TASKS ? size : expandCells(matrix).length;
}

/** Of a run of it, at most: its cells before `exclude`, by its repeats. Expands nothing. */
export function mostTasks(suite: Matrix): number {
  return Math.min(MAX_TASKS, productSize(narrowed(suite)) * suite.repeats);
}

/** Every cell in order. Throws `suite_too_large`, or `suite_invalid` for a cell listed twice. */
export function expandCells(matrix: Matrix): readonly Cell[] {
  const axes = narrowed(matrix);
  const size = productSize(axes);
  if (size > MAX_TASKS) throw tooLarge(size, 'cells before exclude');
  const names = Object.keys(matrix.axes);
  const cells = product(axes, excluder(matrix.exclude));
  if (matrix.include.length === 0) return cells;
  const extended = new Cells(cells, names);
  for (const entry of matrix.include) extended.include(entry);
  const only = Object.entries(matrix.only).map(([name, values]) => ({
    name,
    texts: new Set(values.map(String)),
  }));
  return extended.list.filter(({ axes: own }) =>
    only.every(({ name, texts }) => texts.has(String(own[name]))),
  );
}

export type IncludeEffect = 'added' | 'extended' | 'nothing';

/** What each entry of `include` does, `only` apart; nothing is known of a matrix that is too large. */
export function includeEffects(matrix: Matrix): IncludeEffect[] {
  const all = { ...matrix, only: {} };
  if (matrix.include.length === 0 || productSize(narrowed(all)) > MAX_TASKS) return [];
  const cells = new Cells(product(narrowed(all), excluder(all.exclude)), Object.keys(all.axes));
  return all.include.map((entry) => cells.include(entry));
}

/**
 * Every task in order, the same array for the same suite: a suite is never changed. Throws as `expandCells`
 * does, and `suite_invalid` where none is left.
 */
export function expandTasks(suite: Matrix): readonly PlannedTask[] {
  const before = expanded.get(suite);
  if (before !== undefined) return before;
  const tasks = expandAnew(suite);
  expanded.set(suite, tasks);
  return tasks;
}

/**
 * Of suites that somebody still holds: whoever folds a run and whoever decides on it expand the same one,
 * which takes a second for 100,000 tasks, and as many objects.
 */
const expanded = new WeakMap<Matrix, readonly PlannedTask[]>();

function expandAnew(suite: Matrix): readonly PlannedTask[] {
  const cells = expandCells(suite);
  if (cells.length === 0) throw new MeshError('suite_invalid', EMPTY);
  const total = cells.length * suite.repeats;
  if (total > MAX_TASKS) throw tooLarge(total, 'tasks');
  const tasks: PlannedTask[] = [];
  for (let repeat = 1; repeat <= suite.repeats; repeat += 1)
    for (const task of cycleTasks(cells, repeat)) tasks.push(task);
  if (new Set(tasks.map(({ id }) => id)).size !== total)
    throw new MeshError(
      'suite_invalid',
      'two tasks have the same id: a value is listed twice in an axis, or include repeats a cell; remove one',
    );
  return suite.tasks === undefined ? tasks : chosen(tasks, suite.tasks);
}

function chosen(tasks: readonly PlannedTask[], ids: readonly string[]): readonly PlannedTask[] {
  const wanted = new Set(ids);
  const left = tasks.filter(({ id }) => wanted.has(id));
  if (left.length === 0 || left.length !== wanted.size)
    throw new MeshError('suite_invalid', 'the suite names tasks that its matrix does not have');
  return left.map((task, index) => ({ ...task, index }));
}

/** Every cell once more: the tasks of one repeat, which stand behind those of the repeats before it. */
export function cycleTasks(cells: readonly Cell[], repeat: number): PlannedTask[] {
  const before = cells.length * (repeat - 1);
  return cells.map(({ axes, vars }, at) => {
    return { id: taskId(axes, repeat), index: before + at, axes, vars, repeat };
  });
}

/** How often the cells of a run that cycles are measured at most. */
export function mostCycles({ untilBudget }: Pick<SuiteSpec, 'untilBudget'>, cells: number): number {
  return Math.min(untilBudget?.maxCycles ?? Infinity, Math.floor(MAX_TASKS / Math.max(1, cells)));
}

export const EMPTY =
  'the matrix is empty: every cell is excluded, or an axis has no value; change axes, exclude or --only';

export function tooLarge(count: number, what: string): MeshError {
  const shown =
    count > Number.MAX_SAFE_INTEGER ? count.toExponential(1) : count.toLocaleString('en-US');
  return new MeshError(
    'suite_too_large',
    `the suite expands to ${shown} ${what}; a run may have ${MAX_TASKS.toLocaleString('en-US')}: shorten the axes, or choose cells with --only`,
  );
}

/** True when a cell has every value of the entry that concerns an axis. */
function matcher(entry: Values): (axes: Values) => boolean {
  const wanted = Object.entries(entry).map(([name, value]) => [name, String(value)] as const);
  return (axes) =>
    wanted.every(([name, text]) => Object.hasOwn(axes, name) && String(axes[name]) === text);
}

/** The axes with only the values that `only` lets through: a product of 10^9 may be narrowed to 10. */
function narrowed({ axes, only }: Matrix): [string, readonly AxisValue[]][] {
  return Object.entries(axes).map(([name, values]) => {
    const wanted = Object.hasOwn(only, name) ? only[name] : undefined;
    if (wanted === undefined) return [name, values];
    const texts = new Set(wanted.map(String));
    return [name, values.filter((value) => texts.has(String(value)))];
  });
}

function productSize(axes: readonly [string, readonly AxisValue[]][]): number {
  return axes.reduce((size, [, values]) => size * values.length, 1);
}

function product(
  axes: readonly [string, readonly AxisValue[]][],
  isExcluded: (axes: Values) => boolean,
): Cell[] {
  let partial: Record<string, AxisValue>[] = [{}];
  for (const [name, values] of axes)
    partial = partial.flatMap((cell) => values.map((value) => ({ ...cell, [name]: value })));
  const cells: Cell[] = [];
  for (const cell of partial) if (!isExcluded(cell)) cells.push({ axes: cell, vars: NO_VARS });
  return cells;
}

/** Entries that name the same axes are one look-up, so 1,000 of them cost a cell no more than one. */
function excluder(entries: readonly Values[]): (axes: Values) => boolean {
  const groups = new Map<string, { names: string[]; keys: Set<string> }>();
  for (const entry of entries) {
    const names = Object.keys(entry).sort();
    const group = groups.get(names.join()) ?? { names, keys: new Set() };
    group.keys.add(keyOf(entry, names));
    groups.set(names.join(), group);
  }
  const all = [...groups.values()];
  return (axes) => all.some(({ names, keys }) => keys.has(keyOf(axes, names)));
}

/** The values of the named axes as one text. */
function keyOf(axes: Values, names: readonly string[]): string {
  let key = '';
  for (const name of names) {
    const text = String(axes[name]);
    key += `${text.length}:${text}`;
  }
  return key;
}

/** The part of an include entry that names axes, and the part that names vars. */
function splitEntry(entry: Values, axisNames: readonly string[]): { axes: Values; vars: Values } {
  const axes: Record<string, AxisValue> = {};
  const vars: Record<string, AxisValue> = {};
  for (const [name, value] of Object.entries(entry))
    (axisNames.includes(name) ? axes : vars)[name] = value;
  return { axes, vars };
}

/** Cells in order, as `include` extends and adds to them. */
class Cells {
  readonly list: Cell[];
  readonly #names: readonly string[];
  readonly #index = new Map<string, number>();

  constructor(list: Cell[], names: readonly string[]) {
    this.list = list;
    this.#names = names;
    list.forEach((cell, i) => this.#index.set(keyOf(cell.axes, names), i));
  }

  include(entry: Values): IncludeEffect {
    const { axes, vars } = splitEntry(entry, this.#names);
    if (this.#names.every((name) => Object.hasOwn(axes, name)))
      return this.#extendOrAdd(axes, vars);
    const matches = matcher(axes);
    let effect: IncludeEffect = 'nothing';
    this.list.forEach((cell, i) => {
      if (matches(cell.axes)) effect = this.#extend(i, vars);
    });
    return effect;
  }

  #extendOrAdd(axes: Values, vars: Values): IncludeEffect {
    const key = keyOf(axes, this.#names);
    const found = this.#index.get(key);
    if (found !== undefined) return this.#extend(found, vars);
    this.#index.set(key, this.list.length);
    const ordered = Object.fromEntries(this.#names.map((name) => [name, axes[name] ?? '']));
    this.list.push({ axes: ordered, vars: Object.keys(vars).length === 0 ? NO_VARS : vars });
    return 'added';
  }

  #extend(i: number, vars: Values): IncludeEffect {
    const cell = this.list[i];
    if (cell !== undefined) this.list[i] = { axes: cell.axes, vars: { ...cell.vars, ...vars } };
    return 'extended';
  }
}
