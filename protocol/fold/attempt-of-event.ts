/** Whose event it is. An attempt has one writer: what another agent says of it is not of this attempt. */
import { acceptanceIn, createAttemptFold, type AttemptFold } from './attempt-fold.ts';
import { rankOf, withRank } from './gang-fold.ts';
import { heardOf, isReplacedOn, replacedOf } from './replaced-ranks.ts';
import type { EventRecord } from './record.ts';
import { attemptOf } from './task-attempts.ts';
import { isLeftBehind, type TaskFold } from './task-fold.ts';

/** An attempt, and what of it has an agent of its own: a rank of a gang, or itself. */
export interface AttemptOfEvent {
  readonly attempt: AttemptFold;
  readonly own: AttemptFold;
  /** It is accepted by this event, or that rank of it: it is not among those of its task. */
  readonly isNew: boolean;
  /** It is a rank that was given up before it was accepted, by this event. */
  readonly isLate?: boolean;
}

/** Null where it is of none that is known. */
export function attemptOfEvent(
  task: TaskFold,
  at: { readonly agent: string; readonly n: number },
  { message, timeMs }: EventRecord,
): AttemptOfEvent | null {
  const accepted = acceptanceIn(message);
  const known = attemptOf(task, at.n);
  const gang = accepted?.gang;
  if (accepted !== null && gang !== undefined && isReplacedOn(task, at)) {
    const replaced = replacedOf(known, at.agent);
    if (known === null || replaced === undefined) return null;
    const isLate = replaced.fold === null;
    const own = heardOf(replaced, at.n, { ...accepted, timeMs });
    return { attempt: known, own, isNew: false, isLate };
  }
  const isNew = gang === undefined ? known === null : known?.gang?.ranks[gang.rank] === undefined;
  if (accepted !== null && isNew && (gang === undefined || rankOrNone(known, at.agent) === null)) {
    const own = createAttemptFold(at.n, at.agent, { ...accepted, timeMs });
    own.superseded = isLeftBehind(task, at);
    const attempt = gang === undefined ? own : withRank(known ?? undefined, own, gang);
    return { attempt, own, isNew: true };
  }
  if (known === null) return null;
  const own = known.gang === undefined ? known : rankOrNone(known, at.agent);
  return own?.agent === at.agent ? { attempt: known, own, isNew: false } : null;
}

function rankOrNone(attempt: AttemptFold | null, agent: string): AttemptFold | null {
  return (attempt === null ? undefined : rankOf(attempt, agent)) ?? null;
}
