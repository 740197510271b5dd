/** What was stored of commands. */
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';

export interface Start {
  readonly command: string;
  readonly agent: string;
  readonly spec: AttemptSpec;
  readonly sequence: number;
  readonly afterStop: number;
}

export interface StopSeen {
  readonly command: string;
  readonly run: string;
  readonly task: string | null;
  readonly sequence: number;
  readonly isPause: boolean;
}
