/** What an attempt is told of a stop, and what it keeps of one that reached it. */
import type { StopCause } from '#protocol/messages/run/command.ts';

export interface StopOrder {
  /** By the agent's own draining: the task is to go on elsewhere. */
  readonly givesBack?: true;
  readonly cause?: StopCause | undefined;
  /** The task is to go on later. */
  readonly isPause?: true;
  readonly isRequeue?: true;
  readonly isSuperseded?: true;
  readonly command: string;
  readonly by: string;
  readonly reason: string | null;
  readonly graceMs: number | null;
  readonly now: boolean;
}

/** A stop that reached this attempt, and what it did to its processes. */
export interface ReachedStop {
  /** It ended the attempt only to give it back: its class is then `drained`. */
  readonly givesBack?: true;
  readonly cause?: StopCause;
  /** It ended the attempt only for a while: its class is then `paused`. */
  readonly isPause?: true;
  /** With `isPause`: the next attempt follows at once. */
  readonly isRequeue?: true;
  /** Its task has gone on elsewhere: it is told as lost. */
  readonly isSuperseded?: true;
  /** Every stop command that asked; the first is the one that ended it. */
  readonly commands: readonly string[];
  /** Those of them that `attempt.stopping` was said of; absent: none. */
  readonly said?: readonly string[];
  readonly by: string;
  readonly reason: string | null;
  readonly graceMs: number;
  readonly now: boolean;
  /** Monotonic; of the first. */
  readonly arrivedMs: number;
  readonly processes: number;
  readonly signal: string | null;
  readonly goneMs: number;
}
