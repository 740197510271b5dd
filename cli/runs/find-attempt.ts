/** The attempt that people mean by RUN/TASK or RUN/TASK/N. */
import type { AttemptFold } from '#protocol/fold/attempt-fold.ts';
import { sinceOf } from '#protocol/fold/replaced-ranks.ts';
import type { RunFold } from '#protocol/fold/run-fold.ts';
import { attemptOf as taskAttempt, lastAttempt } from '#protocol/fold/task-attempts.ts';
import { currentAttempt } from '#protocol/fold/task-fold.ts';
import { MeshError } from '#protocol/messages/errors.ts';
import type { AttemptRef } from '#protocol/messages/ids.ts';
import { matchTask, type Target } from './match.ts';

export interface Asked {
  readonly ref: AttemptRef;
  readonly attempt: AttemptFold;
}

/** The current attempt where no number is given, one of its ranks where that is. Throws `not_found` or `usage`. */
export function attemptOf(fold: RunFold, target: Target): Asked {
  const id = target.task === null ? onlyTask(fold) : matchTask(target.task, fold.tasks.keys());
  const task = fold.tasks.get(id);
  const attempt =
    task === undefined
      ? null
      : target.n === null
        ? (currentAttempt(task) ?? lastAttempt(task))
        : taskAttempt(task, target.n);
  if (attempt === null) {
    throw new MeshError(
      'not_found',
      `no agent has ${target.n === null ? 'an' : 'such an'} attempt of ${fold.run}/${id}`,
    );
  }
  const ref = { run: fold.run, task: id, n: attempt.n };
  return target.rank === undefined ? { ref, attempt } : rankOf({ ref, attempt }, target.rank);
}

/** Each that has an agent of its own: the ranks of a gang where none is named, else itself. */
export function membersAsked(fold: RunFold, target: Target): Asked[] {
  const asked = attemptOf(fold, target);
  const { gang } = asked.attempt;
  if (gang === undefined) return [asked];
  return gang.ranks.flatMap((one, rank) => (one === undefined ? [] : [rankOf(asked, rank)]));
}

function rankOf({ ref, attempt }: Asked, rank: number): Asked {
  const own = attempt.gang?.ranks[rank];
  if (own !== undefined) {
    const since = sinceOf(attempt, own.agent);
    return { ref: { ...ref, rank, ...(since === 0 ? {} : { since }) }, attempt: own };
  }
  const name = `attempt ${ref.n} of ${ref.run}/${ref.task}`;
  throw new MeshError('not_found', `${name} ${whyNobody(attempt, rank)}`);
}

function whyNobody({ gang, state }: AttemptFold, rank: number): string {
  if (gang === undefined) return 'is on one host only';
  if (rank >= gang.hosts) return `has no rank ${rank}: its ranks are 0 to ${gang.hosts - 1}`;
  const lost = gang.replaced?.findLast((one) => one.rank === rank);
  if (lost === undefined) return `has no rank ${rank} yet`;
  const found = state === 'exited' ? 'no other host was found' : 'another host is looked for';
  const next = lost.by === null ? found : `agent ${lost.by} begins it anew`;
  return `has no rank ${rank} now: agent ${lost.agent} was lost, and ${next}`;
}

/** A run of one task needs no task to be named. */
function onlyTask(fold: RunFold): string {
  const [id, ...more] = fold.tasks.keys();
  if (id === undefined || more.length > 0)
    throw new MeshError('usage', `run ${fold.run} has ${fold.tasks.size} tasks: write RUN/TASK`);
  return id;
}
