/** Which tags (protocol/messages/attempt/apart.ts) are on each host now, and whom they keep away. Pure. */
import type { Tags } from '#protocol/messages/attempt/apart.ts';
import type { AgentCapacity, SchedulerState, Usage } from './scheduler-state.ts';

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
