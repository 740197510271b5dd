/** What lets a rank of a gang begin a step, as its agent keeps it. */
import type { GoStage } from '#protocol/messages/attempt/ramp.ts';

export interface Go {
  /** By the wall clock. */
  readonly startMs: number;
  /** But no longer than this. */
  readonly withinMs: number;
  /** Of a gang that is started in steps. */
  readonly stage?: GoStage | undefined;
  /** It is over: nothing more is to be measured. */
  readonly over?: { readonly reason: string } | undefined;
}
