/**
 * A ramp: the ranks of a gang begin their run in steps, and each step is measured.
 *
 *   all ranks ready -> stage 1 opened -> go, to its ranks -> measured, by each of them -> stage 2 opened -> ...
 *                                                                   -> ramp ended -> go (over), to every rank
 *
 * Stages are numbered from 1. What joined in one stays for those that follow.
 */
import { z } from 'zod';

const positive = z.number().int().positive();

/** Of a suite. */
export const RampRules = z.object({
  /** How many ranks there are in each stage, fewer first; the last stage has all of them in any case. */
  steps: z.array(positive).min(1),
  /** How long a stage is measured. */
  everyMs: z.number().positive(),
  /** It ends with the stage that makes the metric better by less than this share of what it was before. */
  until: z.object({ metric: z.string(), gain: z.number().nonnegative() }).optional(),
});
export type RampRules = z.infer<typeof RampRules>;

/** In a `go`: of a rank that begins with the stage, or is in it already. */
export const GoStage = z.object({ number: positive, measureMs: z.number().positive() });
export type GoStage = z.infer<typeof GoStage>;

/** In a `go`: nothing more is to be measured; a rank that runs ends its run, one that waits leaves it out. */
export const GoOver = z.object({ reason: z.string() });

/** How many ranks there are in each stage of a gang on so many hosts. */
export function stagesOf({ steps }: Pick<RampRules, 'steps'>, hosts: number): number[] {
  return [...steps.filter((ranks) => ranks < hosts), hosts];
}

/** The step whose begin the stages share out. */
export const RAMP_STEP = 'run';
