/**
 * Who must not share a host with whom: an attempt has tags, and tags that it avoids, and no two are on one
 * host of which one has what the other avoids. Pure.
 */
import type { Labels } from '../agent/labels.ts';
import type { Needs } from './needs.ts';

export interface Tags {
  readonly has: readonly string[];
  readonly avoids: readonly string[];
}

/** Of the tasks with these needs of a run with these labels; null where there are none. */
export function tagsOf(run: string, { apart }: Needs, labels: Labels): Tags | null {
  const own = apart?.key === undefined ? [] : [`${run} ${apart.key}`];
  const has = [...own, ...labelTags(labels)];
  if (has.length === 0 && apart === undefined) return null;
  return { has, avoids: [...own, ...labelTags(apart?.labels ?? {})] };
}

function labelTags(labels: Labels): string[] {
  return Object.entries(labels).map(([name, value]) => `label ${name}=${value}`);
}

export function conflict(a: Tags | null, b: Tags | null): boolean {
  if (a === null || b === null) return false;
  return a.avoids.some((tag) => b.has.includes(tag)) || b.avoids.some((tag) => a.has.includes(tag));
}
