/** Paths that others name, inside a work folder. Pure. */
import { join, normalize } from 'node:path';

/** The path below `work`, or null where it would be the folder itself or lead out of it. */
export function pathWithin(work: string, relative: string): string | null {
  if (relative === '' || relative.includes('\0') || relative.startsWith('/')) return null;
  const clean = normalize(relative);
  const isOutside = clean === '.' || clean === '..' || clean.startsWith('../');
  return isOutside || clean.endsWith('/') ? null : join(work, clean);
}
