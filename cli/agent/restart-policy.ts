/**
 * What follows when a supervised agent has ended. Pure. It is started again whatever ended it, unless
 * its end was asked for, or starting it again cannot mend it. What ran goes on meanwhile (I8).
 */
import { EXIT } from '#protocol/messages/errors.ts';
import { NOT_MENDED } from './unit-file.ts';

export interface AgentExit {
  readonly code: number | null;
  readonly signal: string | null;
  readonly livedMs: number;
}

/** What the supervisor was asked for last: `renew` by SIGUSR2, `end` by SIGTERM or SIGINT. */
export type Asked = 'nothing' | 'renew' | 'end';

export interface RestartInput {
  readonly exit: AgentExit;
  readonly asked: Asked;
  /** Ends in a row before this one, each soon after a start. */
  readonly failures: number;
}

export type Restart =
  | { readonly kind: 'end'; readonly status: number; readonly say: string | null }
  | {
      readonly kind: 'again';
      readonly afterMs: number;
      readonly failures: number;
      readonly say: string;
    };

const FIRST_MS = 1_000;
const MOST_MS = 30_000;
/** Who lives so long has not failed to start. */
const STEADY_MS = 60_000;

/** `signals`: numbers by name, for the status of what a signal ended. */
export function afterExit(
  { exit, asked, failures }: RestartInput,
  signals: Readonly<Record<string, number>>,
): Restart {
  const status = exit.code ?? 128 + (signals[exit.signal ?? ''] ?? 0);
  const how = exit.signal === null ? `ended with ${status}` : `was ended by ${exit.signal}`;
  if (asked === 'end') {
    const isLeft = status !== EXIT.ok && status !== EXIT.stopOpen;
    return { kind: 'end', status, say: isLeft ? `the agent ${how} in its drain` : null };
  }
  if (asked === 'renew') {
    return { kind: 'again', afterMs: 0, failures: 0, say: 'the agent is started again' };
  }
  if (NOT_MENDED.includes(status)) {
    return { kind: 'end', status, say: `the agent ${how}: starting it again cannot mend that` };
  }
  const inARow = exit.livedMs >= STEADY_MS ? 0 : failures;
  const afterMs = Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(inARow, 10));
  const say = `the agent ${how}; started again in ${afterMs / 1_000} s, what ran goes on`;
  return { kind: 'again', afterMs, failures: inARow + 1, say };
}
