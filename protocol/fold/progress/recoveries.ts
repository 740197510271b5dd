/** Attempts that were followed by another of their task, and the time that went into them. Pure. */
import type { FailureClass } from '../../messages/attempt/outcome.ts';
import type { RunFold } from '../run-fold.ts';
import { acceptedAttempts, attemptOf } from '../task-attempts.ts';
import type { Retry, TaskFold } from '../task-fold.ts';

export interface Recoveries {
  /** Further attempts that followed a failure. */
  readonly count: number;
  readonly classes: Readonly<Partial<Record<FailureClass, number>>>;
  /** Tasks that needed one, and those of them that have passed. */
  readonly tasks: number;
  readonly passed: number;
  /** Time of the attempts before them, of a lost one until its task went on, unless a later one went on from a checkpoint of it. */
  readonly lostMs: number;
  /** Time of those from whose checkpoint a later one went on: some of it is not lost. */
  readonly keptMs: number;
}

export interface AllRecoveries extends Recoveries {
  /** Further attempts because an agent gave one back or somebody paused or requeued: nothing had failed. */
  readonly deliberate: Recoveries;
  /** Agents that began anew and went on with an attempt that had not ended, as often as they did. */
  readonly adopted: number;
}

const DELIBERATE: ReadonlySet<FailureClass> = new Set(['drained', 'paused']);

interface Tally {
  count: number;
  readonly classes: Partial<Record<FailureClass, number>>;
  tasks: number;
  passed: number;
  lostMs: number;
  keptMs: number;
}

const newTally = (): Tally => ({
  count: 0,
  classes: {},
  tasks: 0,
  passed: 0,
  lostMs: 0,
  keptMs: 0,
});

export function recoveriesOf({ tasks }: Pick<RunFold, 'tasks'>): AllRecoveries {
  const [failures, deliberate] = [newTally(), newTally()];
  let adopted = 0;
  for (const task of tasks.values()) {
    for (const { adoptions } of acceptedAttempts(task)) adopted += adoptions;
    if (task.retries === null) continue;
    add(failures, task, (why) => !DELIBERATE.has(why));
    add(deliberate, task, (why) => DELIBERATE.has(why));
  }
  return { ...sorted(failures), deliberate: sorted(deliberate), adopted };
}

function add(tally: Tally, task: TaskFold, counts: (why: FailureClass) => boolean): void {
  const retries = (task.retries ?? []).filter((retry) => counts(retry.class));
  if (retries.length === 0) return;
  tally.tasks += 1;
  if (task.outcome === 'passed') tally.passed += 1;
  for (const retry of retries) {
    const { n, class: why } = retry;
    tally.count += 1;
    tally.classes[why] = (tally.classes[why] ?? 0) + 1;
    const wentOn = acceptedAttempts(task).some(({ resumed }) => resumed?.from?.n === n);
    tally[wentOn ? 'keptMs' : 'lostMs'] += timeOf(task, retry);
  }
}

/**
 * That of the attempt before it. Nobody says how long a lost one has taken, its last event may be of its
 * begin: it counts until its task went on without it. One that only waited its turn has taken nothing.
 */
function timeOf(task: TaskFold, { n, class: why, timeMs }: Retry): number {
  const attempt = attemptOf(task, n);
  if (attempt === null) return 0;
  const { startedMs, elapsedMs, superseded } = attempt;
  if (timeMs === undefined || startedMs === null) return elapsedMs;
  const untilMs = Math.max(0, timeMs - startedMs);
  if (superseded) return untilMs;
  return why === 'lost' ? Math.max(elapsedMs, untilMs) : elapsedMs;
}

/** The most frequent class first. */
function sorted(tally: Tally): Recoveries {
  const classes = Object.entries(tally.classes).sort(
    ([a, some], [b, others]) => others - some || (a < b ? -1 : 1),
  );
  return { ...tally, classes: Object.fromEntries(classes) };
}
