/**
 * Which commands an agent runs for whoever asks (`benchmesh exec`). A rule is a command line: words
 * separated by spaces. `*` in a word stands for any characters of that word; as the last word of a rule
 * it stands for any further words, or none; a rule that is `*` alone allows everything. Pure.
 *
 * The first word is a name, looked up in the agent's PATH, or an absolute path. It is compared as it is
 * written: a rule for `df` does not allow `/tmp/df`.
 */

/**
 * What is allowed where nobody says otherwise. Each of these only reads, names no file, and tells little
 * more than what the agent publishes of its host by itself: no command line or environment of anybody.
 * Options are spelled out since the same programs can do more: `nvidia-smi --gpu-reset`, or `-f FILE`.
 */
export const DEFAULT_EXEC_RULES: readonly string[] = [
  'nvidia-smi',
  'nvidia-smi -L',
  'nvidia-smi -q',
  'nvidia-smi topo -m',
  'nvidia-smi --query-gpu=* --format=csv*',
  'nvidia-smi --query-compute-apps=* --format=csv*',
  'rocm-smi',
  'uname -a',
  'uptime',
  'free -m',
  'df -h',
  'lscpu',
];

export const EXEC_OFF = 'off';
const DEFAULTS = 'default';
const SEPARATOR = ';';
const RULES_MOST = 200;

export type ReadPolicy =
  | { readonly kind: 'rules'; readonly rules: readonly string[] }
  | { readonly kind: 'wrong'; readonly reason: string };

/** What is wrong with a rule; null for nothing. */
export function ruleProblem(rule: string): string | null {
  const [program = ''] = wordsOf(rule);
  if (program === '') return 'is empty';
  if (/[\p{Cc};]/u.test(rule)) return 'must have no ; and no control character';
  if (program === '*') return rule.trim() === '*' ? null : 'names no program: * stands alone';
  if (program.includes('*')) return 'must name one program: no * in its first word';
  if (program.includes('/') && !program.startsWith('/'))
    return 'must begin with a name or an absolute path';
  return null;
}

/** `off`, or rules separated by `;`, among which `default` stands for the default ones. */
export function readExecPolicy(text: string): ReadPolicy {
  if (text.trim() === EXEC_OFF) return { kind: 'rules', rules: [] };
  const rules = text.split(SEPARATOR).map((rule) => rule.trim());
  if (rules.length > RULES_MOST)
    return { kind: 'wrong', reason: `must have at most ${RULES_MOST} rules` };
  for (const rule of rules) {
    const problem = ruleProblem(rule);
    if (problem !== null) return { kind: 'wrong', reason: `a rule ${problem}: "${rule}"` };
  }
  return {
    kind: 'rules',
    rules: rules.flatMap((rule) => (rule === DEFAULTS ? DEFAULT_EXEC_RULES : [rule])),
  };
}

/** The text that `readExecPolicy` reads. */
export function execPolicyText(rules: readonly string[]): string {
  return rules.length === 0 ? EXEC_OFF : rules.join(`${SEPARATOR} `);
}

export function isPermitted(rules: readonly string[], argv: readonly string[]): boolean {
  return argv.length > 0 && rules.some((rule) => fits(wordsOf(rule), argv));
}

/** Rules for the same program, for whoever was refused. */
export function rulesFor(rules: readonly string[], program: string): string[] {
  return rules.filter((rule) => wordsOf(rule)[0] === program);
}

function wordsOf(rule: string): string[] {
  return rule.split(' ').filter((word) => word !== '');
}

function fits(rule: readonly string[], argv: readonly string[]): boolean {
  const isOpen = rule.at(-1) === '*';
  const fixed = isOpen ? rule.slice(0, -1) : rule;
  if (isOpen ? argv.length < fixed.length : argv.length !== fixed.length) return false;
  return fixed.every((word, at) => wordFits(word, argv[at] ?? ''));
}

/** Linear, whatever the word: what is between the stars must come in its order. */
function wordFits(pattern: string, word: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  if (rest.length === 0) return word === pattern;
  const last = rest.pop() ?? '';
  if (!word.startsWith(first) || !word.endsWith(last)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = word.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= word.length - last.length;
}
