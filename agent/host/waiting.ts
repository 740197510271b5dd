/** What a draining agent still waits for, and why it drains, in words. Pure. */
import type { AttemptState } from '../attempt/attempt-state.ts';
import type { LiveAttempt } from './host-state.ts';

export interface Waiting {
  /** Attempts whose processes run, or are being ended: key and what they do. */
  readonly running: readonly string[];
  /** Keys of those that have ended and whose files, log or events are not stored yet. */
  readonly storing: readonly string[];
  /** Keys of those whose survivors no signal ends: not waited for, the ledger keeps their fence. */
  readonly fenced: readonly string[];
}

interface Attempts {
  keys(): Iterable<string>;
  get(key: string): { state(): AttemptState } | undefined;
}

export function waitingOf(live: ReadonlyMap<string, LiveAttempt>, attempts: Attempts): Waiting {
  const running: string[] = [];
  const storing: string[] = [];
  const fenced: string[] = [];
  for (const key of attempts.keys()) {
    const stage = live.get(key)?.stage ?? 'ending';
    if (stage === 'fenced') fenced.push(key);
    else if (stage === 'running') running.push(`${key} (${doing(attempts.get(key)?.state())})`);
    else storing.push(key);
  }
  return { running, storing, fenced };
}

function doing(state: AttemptState | undefined): string {
  if (state?.life.kind !== 'stepping') return state?.life.kind ?? 'ending';
  const step = state.spec.steps[state.life.index]?.step ?? 'step';
  return state.stop === null ? step : `${step}, being stopped`;
}

interface Asked {
  readonly by: string;
  readonly reason: string | null;
}

export function drainReason({ by, reason }: Asked): string {
  return `drained by ${by}${reason === null ? '' : `: ${reason}`}`;
}

export function undrainReason({ by, reason }: Asked): string {
  return `put back by ${by}${reason === null ? '' : `: ${reason}`}`;
}
