/** The attempt that people mean by RUN/TASK or RUN/TASK/N. */
import type { AttemptFold } from '#protocol/fold/attempt-fold.ts';
import type { RunFold } from '#protocol/fold/run-fold.ts';
import { currentAttempt } from '#protocol/fold/task-fold.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import type { AttemptRef } from '#protocol/messages/ids.ts';
import { matchTask, type Target } from './match.ts';

export interface Asked {
  readonly ref: AttemptRef;
  readonly attempt: AttemptFold;
}

/** The current attempt where no number is given. Throws `not_found` or `usage`. */
export function attemptOf(fold: RunFold, target: Target): Asked {
  const id = target.task === null ? onlyTask(fold) : matchTask(target.task, fold.tasks.keys());
  const task = fold.tasks.get(id);
  const last = task?.attempts.findLast((one) => one !== undefined);
  const attempt =
    task === undefined
      ? null
      : target.n === null
        ? (currentAttempt(task) ?? last)
        : task.attempts[target.n - 1];
  if (attempt === undefined || attempt === null) {
    throw new MeshError(
      'not_found',
      `no agent has ${target.n === null ? 'an' : 'such an'} attempt of ${fold.run}/${id}`,
    );
  }
  return { ref: { run: fold.run, task: id, n: attempt.n }, attempt };
}

/** A run of one task needs no task to be named. */
function onlyTask(fold: RunFold): string {
  const [id, ...more] = fold.tasks.keys();
  if (id === undefined || more.length > 0)
    throw new MeshError('usage', `run ${fold.run} has ${fold.tasks.size} tasks: write RUN/TASK`);
  return id;
}
