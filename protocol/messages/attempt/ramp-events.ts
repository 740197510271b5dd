/** What is said while the ranks of a gang begin in steps (ramp.ts). */
import { z } from 'zod';
import { Metric } from './outcome.ts';
import { RequestSummary } from './report.ts';

const positive = z.number().int().positive();

/** So many ranks go from `startMs` on, ms since 1970 UTC by the coordinator's clock; measured for `measureMs`. */
export const TaskStageOpened = z.object({
  n: positive,
  stage: positive,
  ranks: positive,
  startMs: z.number(),
  measureMs: z.number().positive(),
});
export type TaskStageOpened = z.infer<typeof TaskStageOpened>;

export const RampEnd = z.enum([
  /** Every stage was measured. */
  'steps',
  /** The last stage made the metric better by less than the suite wants. */
  'gain',
  /** The run of a rank has ended by itself. */
  'rank_ended',
]);
export type RampEnd = z.infer<typeof RampEnd>;

/** No stage follows: the run of each rank is ended as it should, and its attempt goes on. */
export const TaskRampEnded = z.object({
  n: positive,
  /** The last one. */
  stage: positive,
  why: RampEnd,
  /** In words. */
  reason: z.string(),
});
export type TaskRampEnded = z.infer<typeof TaskRampEnded>;

/** What a rank has measured in a stage: what its benchmark reported meanwhile. */
export const AttemptStageMeasured = z.object({
  elapsedMs: z.number().nonnegative(),
  stage: positive,
  /** Its run lasted to the end of the stage. */
  isWhole: z.boolean(),
  metrics: z.array(Metric),
  requests: RequestSummary.nullable(),
});
export type AttemptStageMeasured = z.infer<typeof AttemptStageMeasured>;
