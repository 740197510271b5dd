/** What the coordinator says to one rank of a gang: that it goes on with the others, or is over with them. Pure. */
import type { GangOver } from '#protocol/messages/attempt/gang.ts';
import type { HostEffect, HostState, LiveAttempt } from './host-state.ts';

/**
 * It ends as by a stop, also where it has begun, so that its exit says what became of it; what waits never
 * begins. Null where it has ended, or its end is on the way.
 */
export function endRank(
  attempt: LiveAttempt | undefined,
  over: { readonly command: string; readonly gang: GangOver },
): { readonly attempt: LiveAttempt; readonly effect: HostEffect } | null {
  if (attempt === undefined || attempt.stage === 'fenced') return null;
  const { key, stage, ref } = attempt;
  const { command, gang } = over;
  const { reason } = gang;
  const { run, task } = ref;
  const given = { graceMs: null, now: false, by: 'the coordinator', cause: 'gang' } as const;
  return {
    attempt: stage === 'queued' ? { ...attempt, stage: 'ending' } : attempt,
    effect: { kind: 'stop_attempt', key, command, stop: { run, task, ...given, reason } },
  };
}

/** A word to a rank: it may go on, or another one was replaced. */
export function onRankWord(
  state: HostState,
  message: Extract<HostEffect, { kind: 'go' | 'peers' }>,
): readonly [HostState, readonly HostEffect[]] {
  return [state, state.live.has(message.key) ? [message] : []];
}
