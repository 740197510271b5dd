/**
 * Templates whose result must be of a form (a duration, a number, a URL), tried with every value they
 * may get: a run must not find out at its last cell.
 */
import { STEPS } from '../messages/attempt/attempt-spec.ts';
import type { StepTemplate, SuiteSpec } from '../messages/run/suite-spec.ts';
import { checkSpecOf, readySpecOf } from './check-values.ts';
import type { Finding, Path } from './problem.ts';
import { BUILT_IN, compileTemplate, parseTemplate, render } from './template.ts';
import { child, originOf, type Tree } from './tree.ts';
import { parseDuration } from './units.ts';
import { valuesOf } from './warnings.ts';

/** Combinations of values that are tried of one text. */
const MOST = 10_000;

export function checkValues(suite: SuiteSpec, tree: Tree): Finding[] {
  const setup = suite.steps.find(({ hostSetup }) => hostSetup !== undefined);
  const ofSetup = setup === undefined ? [] : checkStep(suite, setup);
  const ofHealth = (suite.health?.checks ?? []).flatMap((check, i) =>
    checkStep(suite, check).map((said) => placed(tree, ['health', 'checks', i], said)),
  );
  return [
    ...ofSetup.map((said) => placed(tree, ['hostSetup'], said)),
    ...ofSteps(suite, tree),
    ...ofHealth,
  ];
}

function placed(tree: Tree, at: Path, { path, message }: Said): Finding {
  const full = [...at, ...path];
  return { at: originOf(tree, full), path: full, message };
}

function ofSteps(suite: SuiteSpec, tree: Tree): Finding[] {
  return STEPS.flatMap((name) => {
    const isList = child(tree, name)?.kind === 'list';
    return suite.steps
      .filter(({ step, hostSetup }) => step === name && hostSetup === undefined)
      .flatMap((step, i) => {
        // A list of words is one command, and has none of these.
        const at: Path = isList ? [name, i] : [name];
        return checkStep(suite, step).map((said) => placed(tree, at, said));
      });
  });
}

type Said = Pick<Finding, 'path' | 'message'>;

type Texts = Pick<StepTemplate, 'timeout' | 'grace' | 'check' | 'ready'>;

function checkStep(suite: SuiteSpec, step: Texts): Said[] {
  const { timeout, grace, check, ready } = step;
  return [
    ...(timeout === undefined
      ? []
      : tryAll(suite, timeout, { path: ['timeout'], whyNot: notLimit })),
    ...(grace === undefined ? [] : tryAll(suite, grace, { path: ['grace'], whyNot: notDuration })),
    ...tryEach(suite, check, checkSpecOf).map(({ path, message }) => ({
      path:
        check?.kind === 'http' || check?.kind === 'file'
          ? [check.kind]
          : [check?.kind ?? '', ...path],
      message,
    })),
    ...tryEach(suite, ready, readySpecOf).map(({ path, message }) => ({
      path: ['ready', ...path.map((key) => (key === 'url' ? 'http' : key))],
      message,
    })),
  ];
}

/** Each value of a check, beside the others as they are where they need no template. */
function tryEach(
  suite: SuiteSpec,
  of: StepTemplate['check'],
  specOf: typeof checkSpecOf | typeof readySpecOf,
): Said[] {
  if (of === undefined) return [];
  return Object.entries(of.values).flatMap(([key, text]) => {
    const whyNot = (value: string): string | null => {
      try {
        specOf(of.kind, { ...VALID, [key]: value });
        return null;
      } catch {
        return WANTED[key] ?? 'cannot be used here';
      }
    };
    return tryAll(suite, text, { path: [key], whyNot });
  });
}

/** Of each value one that will do, so that only the value in question can fail. */
const VALID = { url: 'http://x', port: '1', minFreeMiB: '1', path: '/', text: 'x' };
const WANTED: Readonly<Record<string, string>> = {
  url: 'must be a URL, such as http://127.0.0.1:8000/health',
  port: 'must be a port, from 1 to 65535',
  minFreeMiB: 'must be a whole number',
  minFreeVramMiB: 'must be a whole number',
  driver: 'must be a version of a driver, such as 550 or 535.104.05',
};

interface Trial {
  readonly path: Path;
  readonly whyNot: (value: string) => string | null;
}

/** What is wrong with a template under the first values with which something is; else nothing. */
export function tryAll(suite: SuiteSpec, text: string, { path, whyNot }: Trial): Said[] {
  const parsed = parseTemplate(text);
  const names = parsed.kind === 'ok' ? [...new Set(parsed.names)] : [];
  const template = compileTemplate(text);
  let tried = 0;
  for (const values of combinations(suite, names)) {
    if ((tried += 1) > MOST) break;
    const value = render(template, (name) => values.get(name) ?? '');
    const why = whyNot(value);
    if (why === null) continue;
    const given = Array.from(values, ([name, each]) => `${name} ${each}`).join(', ');
    return [
      {
        path,
        message: names.length === 0 ? why : `${why}; with ${given} it is ${JSON.stringify(value)}`,
      },
    ];
  }
  return [];
}

function* combinations(
  suite: SuiteSpec,
  names: readonly string[],
): Generator<ReadonlyMap<string, string>> {
  const [name, ...rest] = names;
  if (name === undefined) {
    yield new Map();
    return;
  }
  const isOwn = (BUILT_IN as readonly string[]).includes(name);
  // A number stands for what only a run knows: most of them are one.
  const values = isOwn ? ['1'] : valuesOf(suite, name);
  for (const value of values)
    for (const others of combinations(suite, rest)) yield new Map([[name, value], ...others]);
}

function notDuration(value: string): string | null {
  return parseDuration(value) === null
    ? 'must be a duration with a unit, such as 250ms, 10s, 1m30s or 2h'
    : null;
}

function notLimit(value: string): string | null {
  return parseDuration(value) === 0 ? 'must be more than 0' : notDuration(value);
}
