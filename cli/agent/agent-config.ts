/** The config file's text to settings, or to everything that is wrong with it, each with its place. Pure. */
import { execPolicyText } from '#protocol/messages/agent/exec-policy.ts';
import { readLabels } from '#protocol/messages/agent/labels.ts';
import { explainIssues } from '#protocol/suite/explain.ts';
import { formatProblem, placeFindings, type Finding } from '#protocol/suite/problem.ts';
import { readYaml } from '#protocol/suite/read-yaml.ts';
import { textify } from '#protocol/suite/textify.ts';
import { child, toPlain, type Tree } from '#protocol/suite/tree.ts';
import { AgentForm } from './agent-form.ts';
import { SETTING_KEYS, type Said, type SettingKey } from './agent-settings.ts';

export type ParsedConfig =
  | { readonly kind: 'ok'; readonly said: Said }
  /** `agent.yaml:3:1: slots: must be a whole number, not "x"`, one each, in the order of the file. */
  | { readonly kind: 'invalid'; readonly problems: readonly string[] };

const TEXTS: ReadonlySet<string> = new Set(['labels', 'reservedCpus']);

export function parseAgentConfig(text: string, file: string): ParsedConfig {
  const { tree: written, findings, position } = readYaml(text);
  const invalid = (all: readonly Finding[]): ParsedConfig => ({
    kind: 'invalid',
    problems: placeFindings(all, file, position).map(formatProblem),
  });
  if (written === null) return invalid(findings);
  const tree = isEmpty(written) ? EMPTY : textify(written, TEXTS);
  if (tree.kind !== 'map') {
    const message = 'the config of an agent is a map of keys, such as server: nats://mesh:4222';
    return invalid([...findings, { at: tree.at, path: [], message }]);
  }
  const form = AgentForm.safeParse(toPlain(tree), { reportInput: true });
  const all = [
    ...findings,
    ...(form.success ? [] : explainIssues(form.error, AgentForm, tree)),
    ...labelFindings(child(tree, 'labels')),
  ];
  if (all.length > 0 || !form.success) return invalid(all);
  return { kind: 'ok', said: saidBy(form.data) };
}

const EMPTY: Tree = { kind: 'map', at: { offset: 0 }, entries: new Map() };

/** Every line of it may be a comment. */
function isEmpty(tree: Tree): boolean {
  return tree.kind === 'scalar' && tree.value === null;
}

function labelFindings(labels: Tree | null): Finding[] {
  if (labels?.kind !== 'map') return [];
  const texts = [...labels.entries].map(([name, { keyAt, value }]) => ({
    name,
    keyAt,
    text: `${name}=${value.kind === 'scalar' && typeof value.value === 'string' ? value.value : ''}`,
  }));
  const wrong = texts.flatMap(({ name, keyAt, text }) => {
    const read = readLabels([text]);
    return read.kind === 'wrong'
      ? [{ at: keyAt, path: ['labels', name], message: read.reason }]
      : [];
  });
  if (wrong.length > 0) return wrong;
  const together = readLabels(texts.map(({ text }) => text));
  return together.kind === 'wrong'
    ? [{ at: labels.at, path: ['labels'], message: together.reason }]
    : [];
}

function saidBy(form: AgentForm): Said {
  const values: Partial<Record<SettingKey, string>> = {};
  for (const key of SETTING_KEYS) {
    const value = form[key];
    if (value === undefined) continue;
    if (typeof value !== 'object') values[key] = String(value);
    else values[key] = 'allow' in value ? execPolicyText(value.allow) : JSON.stringify(value);
  }
  return { values, labels: form.labels ?? {} };
}
