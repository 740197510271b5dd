/**
 * `{{name}}` in strings of a suite.
 *
 * Names are the axes, the vars and the built-in ones. A quoted text stands for itself:
 * `{{'{{'}}` gives `{{`. Values are put in as they are; argv is never read by a shell.
 */

/** What every template may name besides the suite's own axes and vars. */
export const BUILT_IN = ['suite.dir', 'run', 'task', 'attempt', 'index', 'repeat', 'seed'] as const;

/** Literals and names by turns; a string alone has no name in it. */
export type Template = string | readonly Part[];
type Part = string | { readonly name: string };

export type ParsedTemplate =
  | { readonly kind: 'ok'; readonly template: Template; readonly names: readonly string[] }
  | { readonly kind: 'unclosed'; readonly rest: string }
  | { readonly kind: 'malformed'; readonly inner: string };

export function parseTemplate(text: string): ParsedTemplate {
  if (!text.includes('{{')) return { kind: 'ok', template: text, names: [] };
  const parts: Part[] = [];
  const names: string[] = [];
  let at = 0;
  for (;;) {
    const open = text.indexOf('{{', at);
    if (open < 0) break;
    parts.push(text.slice(at, open));
    const rest = text.slice(open);
    const quoted = /^\{\{\s*(?:'([^']*)'|"([^"]*)")\s*\}\}/.exec(rest);
    if (quoted !== null) {
      parts.push(quoted[1] ?? quoted[2] ?? '');
      at = open + quoted[0].length;
      continue;
    }
    const close = rest.indexOf('}}');
    if (close < 0) return { kind: 'unclosed', rest };
    const inner = rest.slice(2, close).trim();
    if (!/^[A-Za-z_][\w.-]*$/.test(inner)) return { kind: 'malformed', inner };
    parts.push({ name: inner });
    names.push(inner);
    at = open + close + 2;
  }
  parts.push(text.slice(at));
  const literals = parts.filter((part) => typeof part === 'string');
  const template = names.length === 0 ? literals.join('') : parts.filter((part) => part !== '');
  return { kind: 'ok', template, names };
}

/** For a text that was checked when the suite was parsed. Throws on one that was not. */
export function compileTemplate(text: string): Template {
  const parsed = parseTemplate(text);
  if (parsed.kind !== 'ok') throw new Error(`bad template in a parsed suite: ${text}`);
  return parsed.template;
}

/** The text of a template; `valueOf` knows every name in it. */
export function render(template: Template, valueOf: (name: string) => string): string {
  if (typeof template === 'string') return template;
  let text = '';
  for (const part of template) text += typeof part === 'string' ? part : valueOf(part.name);
  return text;
}
