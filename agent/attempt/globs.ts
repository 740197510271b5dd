/**
 * Files of a work folder that match a suite's patterns: `*` and `?` within a name, `**` across
 * folders, `{a,b}` alternatives. Links are not followed, so nothing outside is ever stored.
 */
import type { Dirent } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, toError } from '#protocol/messages/errors.ts';

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

/** Told of what matches, or may hold what does, and cannot be had. */
type OnSkipped = (path: string, reason: string) => void;

/** Paths relative to `root`, sorted. Rejects only with system errors of `root` itself. */
export async function matchFiles(
  root: string,
  patterns: readonly string[],
  onSkipped: OnSkipped = () => undefined,
): Promise<string[]> {
  if (patterns.length === 0) return [];
  const expressions = patterns.map(globToRegExp);
  const found: string[] = [];
  const folders = [''];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of await entriesOf(root, folder, onSkipped)) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) folders.push(path);
      else if (expressions.some((each) => each.test(path))) {
        const problem = await problemOf(root, path, entry);
        if (problem === null) found.push(path);
        else onSkipped(path, problem);
      }
      if (found.length >= FILES_MOST) return found.sort();
    }
  }
  return found.sort();
}

async function entriesOf(root: string, folder: string, onSkipped: OnSkipped): Promise<Dirent[]> {
  try {
    return await readdir(join(root, folder), { withFileTypes: true });
  } catch (error) {
    if (folder === '') throw error;
    const isOdd = folder.includes(REPLACED) && errnoOf(error) === 'ENOENT';
    onSkipped(folder, isOdd ? NOT_UTF8 : toError(error).message);
    return [];
  }
}

/** What a name that is not UTF-8 is read as. */
const REPLACED = '\uFFFD';
const NOT_UTF8 = 'its name is not UTF-8';

async function problemOf(root: string, path: string, entry: Dirent): Promise<string | null> {
  if (entry.isSymbolicLink()) return 'a link, which is not followed';
  if (!entry.isFile()) return 'no regular file';
  if (!path.includes(REPLACED)) return null;
  try {
    await lstat(join(root, path));
    return null;
  } catch {
    return NOT_UTF8;
  }
}
