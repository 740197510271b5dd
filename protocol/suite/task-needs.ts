/**
 * What each task of a suite needs: the same for all, or by the values of axes and vars that its
 * templates name. Tasks with the same needs are of one class. Pure.
 */
import type { Needs } from '../messages/attempt/needs.ts';
import type { AxisValue } from '../messages/ids.ts';
import type { SuiteSpec } from '../messages/run/suite-spec.ts';
import { hasTemplate } from './form-parts.ts';
import { needsOf, type NeedsForm } from './needs-form.ts';
import { compileTemplate, parseTemplate, render } from './template.ts';

type Suite = Pick<SuiteSpec, 'needs' | 'needsTemplate' | 'vars'>;
type Values = Readonly<Record<string, AxisValue>>;
interface Cell {
  readonly axes: Values;
  readonly vars: Values;
}

/** Null where no text of it is a template; `fixed`: it without what is one. */
export function needsTemplateOf(form: NeedsForm): { readonly fixed: NeedsForm } | null {
  if (namesIn(form).length === 0) return null;
  const fixed = Object.entries(form).filter(([, value]) => namesIn(value).length === 0);
  return { fixed: Object.fromEntries(fixed) };
}

function namesIn(value: unknown): string[] {
  if (typeof value === 'string') {
    const parsed = hasTemplate(value) ? parseTemplate(value) : null;
    return parsed?.kind === 'ok' ? [...parsed.names] : [];
  }
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(namesIn) : [];
}

interface Known {
  readonly names: readonly string[];
  /** By the values of the names. */
  readonly needs: Map<string, Needs>;
}
const KNOWN = new WeakMap<object, Known>();

function knownOf(template: NonNullable<Suite['needsTemplate']>): Known {
  const known = KNOWN.get(template);
  if (known !== undefined) return known;
  const fresh = { names: [...new Set(namesIn(template))].sort(), needs: new Map<string, Needs>() };
  KNOWN.set(template, fresh);
  return fresh;
}

/** Of one task. Throws for what no parsed suite has. */
export function taskNeeds(suite: Suite, cell: Cell): Needs {
  const { needsTemplate: template } = suite;
  if (template === undefined) return suite.needs;
  const { names, needs: made } = knownOf(template);
  const valueOf = (name: string): string => {
    for (const values of [cell.vars, cell.axes, suite.vars])
      if (Object.hasOwn(values, name)) return String(values[name]);
    throw new Error(`no value for {{${name}}} in a parsed suite`);
  };
  const key = names.map(valueOf).join('\0');
  const known = made.get(key);
  if (known !== undefined) return known;
  const needs = needsOf(rendered(template, valueOf) as NeedsForm);
  made.set(key, needs);
  return needs;
}

function rendered(value: unknown, valueOf: (name: string) => string): unknown {
  if (typeof value === 'string') return render(compileTemplate(value), valueOf);
  if (Array.isArray(value)) return value.map((each) => rendered(each, valueOf));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, rendered(each, valueOf)]),
  );
}

export interface NeedClasses {
  /** In the order of their first tasks. */
  readonly classes: readonly Needs[];
  /** By index of the task; null where all are of the first. */
  readonly of: Uint32Array | null;
}

export function needClasses(suite: Suite, tasks: readonly Cell[]): NeedClasses {
  if (suite.needsTemplate === undefined) return { classes: [suite.needs], of: null };
  const classes: Needs[] = [];
  const numbers = new Map<string, number>();
  /** The same object for the same values, so that few are compared by what is in them. */
  const seen = new Map<Needs, number>();
  const of = Uint32Array.from(tasks, (task) => {
    const needs = taskNeeds(suite, task);
    const known = seen.get(needs);
    if (known !== undefined) return known;
    const key = needsKey(needs);
    const number = numbers.get(key) ?? classes.push(needs) - 1;
    numbers.set(key, number);
    seen.set(needs, number);
    return number;
  });
  return classes.length === 1 ? { classes, of: null } : { classes, of };
}

/** The same text for the same needs, as far as placing is concerned. */
export function needsKey({ pin: _pin, ...needs }: Needs): string {
  return JSON.stringify(sorted(needs));
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, each]) => [key, sorted(each)]));
}
