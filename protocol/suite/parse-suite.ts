/**
 * A suite file's text to a SuiteSpec, or to everything that is wrong with it.
 *
 *   text -> tree (positions) -> profile, --set -> checks (schema, templates, names) -> lower -> matrix
 *
 * Each stage runs as far as the one before allows, so that one call shows all problems.
 */
import { MeshError } from '../messages/errors.ts';
import type { SuiteSpec } from '../messages/run/suite-spec.ts';
import { axisNamesOf, checkTree } from './check.ts';
import { checkBudget } from './check-budget.ts';
import { checkRaises } from './check-raises.ts';
import { checkNeeds, checkNeedValues } from './check-needs.ts';
import { checkPriority } from './check-priority.ts';
import { explainIssues } from './explain.ts';
import { countCells, EMPTY, includeEffects, MAX_TASKS, tooLarge } from './expand.ts';
import { SuiteForm } from './form.ts';
import { lower } from './lower.ts';
import { readOnly, withProfile, withSets } from './overrides.ts';
import { type Finding, placeFindings, type SuiteProblem } from './problem.ts';
import { readYaml } from './read-yaml.ts';
import { suiteSchemas, type ReadNamed } from './schema/suite-schemas.ts';
import { textify } from './textify.ts';
import { child, keys, originOf, toPlain, type Tree } from './tree.ts';
import { checkValues } from './value-check.ts';
import { warn } from './warnings.ts';

export interface SuiteSource {
  readonly text: string;
  /** The file as it was named; for messages, and its base name is the default of `name`. */
  readonly file: string;
  /** Absolute folder of the file; null when the text came from standard input. */
  readonly dir: string | null;
  readonly profile?: string | null;
  /** `--set`: `key=value` each. */
  readonly set?: readonly string[];
  /** Files that the suite names: schemas. Absent: none can be had. */
  readonly readNamed?: ReadNamed;
  /** `--only`: `axis=value` each. */
  readonly only?: readonly string[];
}

export type ParsedSuite =
  | { readonly kind: 'ok'; readonly suite: SuiteSpec; readonly warnings: readonly SuiteProblem[] }
  | { readonly kind: 'invalid'; readonly problems: readonly SuiteProblem[] };

export function parseSuite(source: SuiteSource): ParsedSuite {
  const { tree: written, findings, warnings, position } = readYaml(source.text);
  const invalid = (all: readonly Finding[]): ParsedSuite => ({
    kind: 'invalid',
    problems: placeFindings(all, source.file, position),
  });
  if (written === null) return invalid(findings);
  if (written.kind !== 'map') {
    const message = 'a suite is a map of keys; the smallest one is: run: [echo, hello]';
    return invalid([...findings, { at: written.at, path: [], message }]);
  }
  const profiled = withProfile(written, source.profile ?? null);
  const set = withSets(profiled.tree, source.set ?? [], Object.keys(SuiteForm.shape));
  const isOverridden = (source.profile ?? null) !== null || (source.set ?? []).length > 0;
  const tree = textify(isOverridden ? set.tree : written);
  const only = readOnly(source.only ?? [], tree, axisNamesOf(tree));
  const form = checkForm(tree);
  const place = { dir: source.dir, read: source.readNamed ?? unreadable };
  const schemas = suiteSchemas(tree, place);
  const variants = [written, ...profilesOf(written)].map((one) => textify(one));
  const all = [
    ...findings,
    // A mistake in a profile shows before it is used, one in the suite also where a profile hides it.
    ...[...profilesOf(written), ...(isOverridden ? [written] : [])].flatMap((each) =>
      check(textify(each), place),
    ),
    ...profiled.findings,
    ...set.findings,
    ...form.findings,
    ...checkTree(tree, source.dir),
    ...checkBudget(tree),
    ...checkRaises(tree),
    ...[tree, ...variants].flatMap((one) => [...checkPriority(one, variants), ...checkNeeds(one)]),
    ...schemas.findings,
    ...only.findings,
  ];
  if (all.length > 0 || form.value === null) return invalid(all);
  const suite = lower(form.value, {
    defaultName: defaultName(source.file),
    dir: source.dir,
    profile: source.profile ?? null,
    only: only.only,
    schemas: schemas.schemas,
  });
  const matrix = [
    ...checkMatrix(suite, tree),
    ...checkValues(suite, tree),
    ...checkNeedValues(suite, tree),
  ];
  if (matrix.length > 0) return invalid(matrix);
  const said = placeFindings([...warnings, ...warn(suite, tree)], source.file, position);
  return { kind: 'ok', suite, warnings: said };
}

function unreadable(): never {
  throw new Error('no file can be read here');
}

/** The suite under each of its profiles. */
function profilesOf(written: Tree): Tree[] {
  return keys(child(written, 'profiles')).map((name) => withProfile(written, name).tree);
}

function check(tree: Tree, place: Parameters<typeof suiteSchemas>[1]): Finding[] {
  return [
    ...checkForm(tree).findings,
    ...checkTree(tree, place.dir),
    ...suiteSchemas(tree, place).findings,
  ];
}

function checkForm(tree: Tree): { value: SuiteForm | null; findings: Finding[] } {
  const result = SuiteForm.safeParse(toPlain(tree), { reportInput: true });
  if (result.success) return { value: result.data, findings: [] };
  return { value: null, findings: explainIssues(result.error, SuiteForm, tree) };
}

function checkMatrix(suite: SuiteSpec, tree: Tree): Finding[] {
  const cells = countCells(suite);
  if (cells > MAX_TASKS) return [atAxes(tree, tooLarge(cells, 'cells before exclude'))];
  if (cells === 0) return [atAxes(tree, new MeshError('suite_invalid', EMPTY))];
  if (cells * suite.repeats > MAX_TASKS)
    return [atAxes(tree, tooLarge(cells * suite.repeats, 'tasks'))];
  return repeatedCells(suite, tree);
}

function atAxes(tree: Tree, error: MeshError): Finding {
  const path = ['axes'];
  const code = error.code === 'suite_too_large' ? error.code : 'suite_invalid';
  return { at: originOf(tree, path), path, message: error.message, code };
}

/** Entries of `include` that name a cell, set nothing in it, and find that it is there. */
function repeatedCells(suite: SuiteSpec, tree: Tree): Finding[] {
  const message = 'this cell is in the matrix already; remove the entry';
  return includeEffects(suite).flatMap((effect, i) => {
    const setsNothing = Object.keys(suite.include[i] ?? {}).every((name) =>
      Object.hasOwn(suite.axes, name),
    );
    const path = ['include', i];
    return effect === 'extended' && setsNothing
      ? [{ at: originOf(tree, path), path, message }]
      : [];
  });
}

/** `bench/my suite.yaml` as `my-suite`. */
function defaultName(file: string): string {
  const base = file.replace(/^.*[/\\]/, '').replace(/\.[^.]*$/, '');
  const safe = base
    .replace(/[^A-Za-z0-9_-]+/g, '-')
    .replace(/^[^A-Za-z]+/, '')
    .slice(0, 64);
  return safe === '' ? 'suite' : safe;
}
