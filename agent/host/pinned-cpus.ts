/** Which CPUs are bound to attempts; said when they are others, before anything is started there. Pure. */
import type { HostEffect, HostState, LiveAttempt } from './host-state.ts';

/** The effects of a turn, with that of the CPUs. */
export function sayPinned(
  before: HostState,
  after: HostState,
  effects: readonly HostEffect[],
): readonly HostEffect[] {
  if (after.layout === null || before.live === after.live) return effects;
  const [was, is] = [pinnedBy(before.live), pinnedBy(after.live)];
  if (String(was) === String(is)) return effects;
  return [{ kind: 'pinned', cpus: is }, ...effects];
}

function pinnedBy(live: ReadonlyMap<string, LiveAttempt>): number[] {
  const cpus: number[] = [];
  for (const attempt of live.values()) if (attempt.cpus.length > 0) cpus.push(...attempt.cpus);
  return cpus.sort((a, b) => a - b);
}
