/** Which checkpoints of a task count: the newest of all its attempts, as many as it keeps. Pure. */
import { DEFAULT_CHECKPOINT_RULES, type ResumePoint } from '../messages/attempt/checkpoint.ts';
import type { AttemptFold } from './attempt-fold.ts';

type Stored = Pick<AttemptFold, 'n' | 'agent' | 'checkpoints'>;

/** Newest first, at most `keep`. */
export function resumePoints(
  attempts: readonly (Stored | undefined)[],
  keep = DEFAULT_CHECKPOINT_RULES.keep,
): ResumePoint[] {
  const points: ResumePoint[] = [];
  for (const attempt of attempts.toReversed()) {
    if (attempt === undefined) continue;
    const { n, agent } = attempt;
    for (const checkpoint of attempt.checkpoints.toReversed()) {
      if (points.length === keep) return points;
      points.push({ n, agent, ...checkpoint });
    }
  }
  return points;
}
