/**
 * Revokes on the host, pure, as host-reducer.ts. One takes back what waits: it is given back as by a drain,
 * and what has begun goes on. One of an attempt that was superseded ends what runs, too, and is answered when
 * that is over: a restart before does it again (I8).
 */
import type { StopCommand } from '#protocol/messages/run/command.ts';
import { attemptKey } from '#protocol/messages/ids.ts';
import type { StoppedAttempt } from '#protocol/messages/agent/host.ts';
import { endRank } from './host-gangs.ts';
import type { HostEffect, HostMessage, HostState, LiveAttempt } from './host-state.ts';

type Revoke = Extract<HostMessage, { kind: 'revoke' }>;
type Result = readonly [HostState, readonly HostEffect[]];

export function onRevoke(state: HostState, message: Revoke): Result {
  const { command, ref } = message;
  const { superseded, gang } = ref;
  const key = attemptKey(ref);
  const attempt = state.live.get(key);
  if (superseded === true && attempt !== undefined) return onSuperseded(state, message, attempt);
  const rank = gang === undefined ? null : endRank(attempt, { command, gang });
  const answered = (answer: 'started' | 'unknown' | 'revoked'): HostEffect => ({
    ...{ kind: 'revoke_answered', command, ref, answer },
  });
  if (rank !== null) {
    const live = new Map(state.live).set(key, rank.attempt);
    return [{ ...state, live }, [rank.effect, answered('started')]];
  }
  if (attempt?.stage !== 'queued') {
    const answer = attempt !== undefined || message.isKnown ? 'started' : 'unknown';
    return [state, [answered(answer)]];
  }
  const live = new Map(state.live).set(key, { ...attempt, stage: 'ending' });
  const refuse: HostEffect = { kind: 'refuse', key, class: 'drained', reason: TAKEN_BACK };
  return [{ ...state, live }, [refuse, answered('revoked')]];
}

const TAKEN_BACK = 'taken back: it had not begun there';

/** It ends as by a stop, with its grace and its teardown; what is fenced has ended already. */
function onSuperseded(state: HostState, { command, ref }: Revoke, attempt: LiveAttempt): Result {
  const { key, stage, stopped } = attempt;
  if (stage === 'fenced' && stopped !== undefined)
    return [state, [{ kind: 'revoke_answered', command, ref, answer: 'started', stopped }]];
  const live = new Map(state.live);
  if (stage === 'queued') live.set(key, { ...attempt, stage: 'ending' });
  const revoking = new Map(state.revoking).set(key, command);
  const stop = supersedingStop(attempt);
  return [
    { ...state, live, revoking },
    [{ kind: 'stop_attempt', key, command, stop, isSuperseded: true }],
  ];
}

function supersedingStop({ ref: { run, task } }: LiveAttempt): StopCommand {
  const reason = 'superseded: its agent was not heard for too long';
  return { run, task, graceMs: null, now: false, by: 'the coordinator', reason };
}

/** The attempt, which was superseded, has ended: whoever has revoked it hears so. */
export function answerRevoke(
  state: HostState,
  { key, ref }: Pick<LiveAttempt, 'key' | 'ref'>,
  stopped: StoppedAttempt,
): Result {
  const command = state.revoking.get(key);
  if (command === undefined) return [state, []];
  const revoking = new Map(state.revoking);
  revoking.delete(key);
  const superseded = { ...ref, superseded: true } as const;
  return [
    { ...state, revoking },
    [{ kind: 'revoke_answered', command, ref: superseded, answer: 'started', stopped }],
  ];
}
