/** Tasks that no agent could ever run, by why: equal reasons are one, and few lines tell of many. Pure. */
import type { Unplaceable } from '../run/explain.ts';
import { unplaceableText } from './fit.ts';

/** In the order of the first of each. */
export function mergedUnplaceable(list: readonly Unplaceable[]): Unplaceable[] {
  const merged = new Map<string, Unplaceable>();
  for (const each of list) {
    // What is said of it, whatever the number of its tasks.
    const key = unplaceableText({ ...each, tasks: 2 });
    const known = merged.get(key);
    merged.set(key, { ...(known ?? each), tasks: (known?.tasks ?? 0) + each.tasks });
  }
  return [...merged.values()];
}

/** More reasons than these are only counted: a suite may have as many as it has tasks. */
const MOST_LINES = 5;

/** Warnings of a plan, and of a run just submitted. */
export function unplaceableWarnings(list: readonly Unplaceable[]): string[] {
  const merged = mergedUnplaceable(list);
  const shown = merged.length > MOST_LINES ? merged.slice(0, MOST_LINES - 1) : merged;
  const lines = shown.map(
    (each) => `${unplaceableText(each)}: they wait until one joins that can run them`,
  );
  const rest = merged.slice(shown.length);
  if (rest.length === 0) return lines;
  return [
    ...lines,
    `${tasksOf(rest)} more tasks wait for an agent that can run them, for ${rest.length} other reasons`,
  ];
}

/** All of them in one line. */
export function unplaceableSummary(list: readonly Unplaceable[]): string {
  const [first, ...rest] = mergedUnplaceable(list);
  if (first === undefined) return 'no agent has room for a task';
  if (rest.length === 0) return unplaceableText(first);
  const more = tasksOf(rest);
  return `${unplaceableText(first)}; ${more} more ${more === 1 ? 'waits' : 'wait'} for other reasons`;
}

function tasksOf(list: readonly Unplaceable[]): number {
  return list.reduce((sum, { tasks }) => sum + tasks, 0);
}
