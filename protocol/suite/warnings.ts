/** What is allowed in a suite and probably not meant. */
import { STEPS } from '../messages/attempt/attempt-spec.ts';
import type { SuiteSpec } from '../messages/run/suite-spec.ts';
import { axisVariable } from './check.ts';
import { includeEffects } from './expand.ts';
import type { Finding, Path } from './problem.ts';
import { parseTemplate } from './template.ts';
import { child, items, originOf, type Tree } from './tree.ts';

export function warn(suite: SuiteSpec, tree: Tree): Finding[] {
  return [
    ...rewritten(suite, tree),
    ...shellTexts(suite, tree),
    ...costlyRegexes(suite, tree),
    ...idle(suite, tree),
  ];
}

/** A number whose text changes when it is read: `08`, `1.0`, `1e3`. */
function rewritten(suite: SuiteSpec, tree: Tree): Finding[] {
  const findings: Finding[] = [];
  const look = (node: Tree | null, path: Path) => {
    if (node?.kind !== 'scalar' || typeof node.value === 'string') return;
    const text = String(node.value);
    if (node.source !== text)
      findings.push({
        at: node.at,
        path,
        message: `${node.source} is read as ${text}; quote it to keep its text`,
      });
  };
  for (const axis of Object.keys(suite.axes))
    items(child(child(tree, 'axes'), axis)).forEach((node, i) => {
      look(node, ['axes', axis, i]);
    });
  for (const name of Object.keys(suite.vars))
    look(child(child(tree, 'vars'), name), ['vars', name]);
  suite.include.forEach((entry, i) => {
    for (const name of Object.keys(entry))
      look(child(child(child(tree, 'include'), i), name), ['include', i, name]);
  });
  return findings;
}

/** A repetition inside a repeated group: time may grow exponentially with the line. */
const NESTED_REPETITION = /\((?:[^()\\]|\\.)*[+*](?:[^()\\]|\\.)*\)[+*{]/;

function costlyRegexes(suite: SuiteSpec, tree: Tree): Finding[] {
  return suite.metrics.flatMap(({ from }, i) => {
    if (from.kind !== 'regex' || !NESTED_REPETITION.test(from.pattern)) return [];
    const path = ['metrics', i, 'regex'];
    const message =
      'a repetition inside a repeated group, as in (a+)+, can take exponential time; write it flat';
    return [{ at: originOf(tree, path), path, message }];
  });
}

const PLAIN_IN_SHELL = /^[\w./:=@%+,-]+$/;

/** A value with blanks or signs of the shell that is put into the text of a `shell:`. */
function shellTexts(suite: SuiteSpec, tree: Tree): Finding[] {
  const findings: Finding[] = [];
  const places: Path[] = [['hostSetup'], ...STEPS.map((step) => [step]), ['health', 'checks']];
  for (const place of places) {
    const node = place.reduce<Tree | null>(child, tree);
    const commands = node?.kind === 'list' ? node.items : [node];
    commands.forEach((command, i) => {
      const shell = child(command, 'shell');
      if (shell?.kind !== 'scalar') return;
      const parsed = parseTemplate(String(shell.value));
      for (const name of parsed.kind === 'ok' ? new Set(parsed.names) : []) {
        const odd = valuesOf(suite, name).find((value) => !PLAIN_IN_SHELL.test(value));
        if (odd === undefined) continue;
        const isAxis = Object.hasOwn(suite.axes, name);
        const remedy = isAxis
          ? `write "$${axisVariable(name)}" there`
          : 'pass it by env and write "$NAME" there';
        const path = node?.kind === 'list' ? [...place, i, 'shell'] : [...place, 'shell'];
        findings.push({
          at: shell.at,
          path,
          message: `the value ${JSON.stringify(odd)} of {{${name}}} is read by the shell; ${remedy}`,
        });
      }
    });
  }
  return findings;
}

/** Every value a name may have, as text. */
export function valuesOf(suite: SuiteSpec, name: string): string[] {
  const listed: readonly unknown[] = Object.hasOwn(suite.axes, name)
    ? (suite.axes[name] ?? [])
    : [suite.vars[name]];
  const included = suite.include.map((entry) => entry[name]);
  return [...listed, ...included].filter((value) => value !== undefined).map(String);
}

/** Entries of include and exclude that match no cell; under a profile that is usual. */
function idle(suite: SuiteSpec, tree: Tree): Finding[] {
  if (suite.profile !== null) return [];
  const findings: Finding[] = [];
  const say = (path: Path, message: string) =>
    findings.push({ at: originOf(tree, path), path, message });
  suite.exclude.forEach((entry, i) => {
    const isPossible = Object.entries(entry).every(([name, value]) =>
      (suite.axes[name] ?? []).some((known) => String(known) === String(value)),
    );
    if (!isPossible) say(['exclude', i], 'excludes nothing: no cell has these values');
  });
  includeEffects(suite).forEach((effect, i) => {
    if (effect === 'nothing') say(['include', i], 'matches no cell: it sets nothing');
  });
  return findings;
}
