/**
 * Files of a work folder that match a suite's patterns: `*` and `?` within a name, `**` across
 * folders, `{a,b}` alternatives. Links are not followed, so nothing outside is ever stored.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

const FILES_MOST = 10_000;

/** The pattern as an expression over a path with `/`. */
export function globToRegExp(pattern: string): RegExp {
  const clean = pattern.replace(/^(\.\/)+/, '');
  let source = '';
  let depth = 0;
  for (let at = 0; at < clean.length; at += 1) {
    const char = clean.charAt(at);
    if (clean.startsWith('**/', at)) {
      source += '(?:[^/]+/)*';
      at += 2;
    } else if (clean.startsWith('**', at)) {
      source += '.*';
      at += 1;
    } else if (char === '*') source += '[^/]*';
    else if (char === '?') source += '[^/]';
    else if (char === '{') {
      source += '(?:';
      depth += 1;
    } else if (char === '}' && depth > 0) {
      source += ')';
      depth -= 1;
    } else if (char === ',' && depth > 0) source += '|';
    else source += char.replace(/[\\^$.|+()[\]{}]/g, '\\$&');
  }
  return new RegExp(`^${source}${')'.repeat(depth)}$`);
}

/** Paths relative to `root`, sorted. Rejects only with system errors of `root` itself. */
export async function matchFiles(root: string, patterns: readonly string[]): Promise<string[]> {
  if (patterns.length === 0) return [];
  const expressions = patterns.map(globToRegExp);
  const found: string[] = [];
  const folders = [''];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) folders.push(path);
      else if (entry.isFile() && expressions.some((each) => each.test(path))) found.push(path);
      if (found.length >= FILES_MOST) return found.sort();
    }
  }
  return found.sort();
}
