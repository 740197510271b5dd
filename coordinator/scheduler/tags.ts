/**
 * Who must not share a host with whom: an attempt has tags, and tags that it avoids, and no two are on one
 * host of which one has what the other avoids. Pure.
 */
import type { Labels } from '#protocol/messages/agent/labels.ts';
import type { Needs } from '#protocol/messages/attempt/needs.ts';
import type { AgentCapacity, SchedulerState, Usage } from './scheduler-state.ts';

export interface Tags {
  readonly has: readonly string[];
  readonly avoids: readonly string[];
}

/** Of the tasks of a run with these needs; null where there are none. */
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

/** The tag for which nothing with these tags may go to the host of the agent now; null: it may. */
export function tagInTheWay(
  { usage, agentsOn }: SchedulerState,
  { id, hostId }: Pick<AgentCapacity, 'id' | 'hostId'>,
  tags: Tags | null,
): string | null {
  if (tags === null) return null;
  for (const agent of agentsOn.get(hostId) ?? [id]) {
    const there = usage.get(agent);
    const found =
      tags.avoids.find((tag) => there?.has.has(tag)) ??
      tags.has.find((tag) => there?.avoids.has(tag));
    if (found !== undefined) return found;
  }
  return null;
}

/** An attempt with these tags has come to the agent (1), or has ended there (-1). */
export function countTags({ has, avoids }: Usage, tags: Tags, sign: 1 | -1): void {
  count(has, tags.has, sign);
  count(avoids, tags.avoids, sign);
}

function count(counts: Map<string, number>, tags: readonly string[], sign: 1 | -1): void {
  for (const tag of tags) {
    const left = (counts.get(tag) ?? 0) + sign;
    if (left === 0) counts.delete(tag);
    else counts.set(tag, left);
  }
}
