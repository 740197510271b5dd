/**
 * How far a run is, as plain JSON made from folds: of the run's own events, and of those that say which
 * agents there were. Nothing in it depends on the reader's clock: times are as of the run's last event.
 */
import type {
  RunOutcome,
  RunState,
  TaskOutcome,
  TaskState,
} from '../../messages/attempt/outcome.ts';
import { cellKey } from '../cell-key.ts';
import type { Paused } from '../orders-view.ts';
import type { RunFold } from '../run-fold.ts';
import { runView } from '../run-view.ts';
import { hostUseOf, type HostUse } from './host-use.ts';
import type { PresenceFold } from './presence-fold.ts';
import { hasRun, ratesOf, type Rate } from './rate.ts';
import { recoveriesOf, type AllRecoveries } from './recoveries.ts';
import { lengthMs } from './spans.ts';
import { timeLeftOf, type TimeLeft } from './time-left.ts';
import { utilisationOf, type Utilisation } from './utilisation.ts';
import { workedSpans } from './working-time.ts';

export interface ProgressView {
  readonly id: string;
  readonly suite: string;
  readonly state: RunState;
  readonly outcome: RunOutcome | null;
  readonly paused: Paused | null;
  readonly submitted: string;
  readonly started: string | null;
  readonly ended: string | null;
  /** Of the last event folded; ISO 8601, the stream's clock. */
  readonly at: string;
  /** As in the run's view. */
  readonly elapsedMs: number;
  /** From the first start on, without the time in which all of it was paused. */
  readonly workedMs: number;
  readonly tasks: number;
  readonly states: Readonly<Record<TaskState, number>>;
  readonly outcomes: Readonly<Partial<Record<TaskOutcome, number>>>;
  /** Of all tasks. */
  readonly endedPercent: number;
  readonly passedPercent: number;
  /** Of those that have ended; null while none has. */
  readonly passedOfEndedPercent: number | null;
  readonly cells: CellCounts;
  /** Null before anything has begun. */
  readonly rate: Rate | null;
  /** Of the last ten minutes, or of a tenth of its time where that is more; null while it is younger. */
  readonly recent: Rate | null;
  readonly recoveries: AllRecoveries;
  /** Null where it has ended. */
  readonly left: TimeLeft | null;
  /** Null where it is not known which agents there were. */
  readonly utilisation: Utilisation | null;
  readonly hosts: HostUse;
}

interface CellCounts {
  readonly total: number;
  /** A task of it has had an attempt and has ended, and nobody stopped it. */
  readonly covered: number;
  /** A task of it has passed. */
  readonly passed: number;
  /** Every task of it has passed. */
  readonly whole: number;
}

/** Null before `run.submitted` was folded. */
export function progressView(fold: RunFold, presence: PresenceFold | null): ProgressView | null {
  const run = runView(fold);
  if (run === null) return null;
  const { id, suite, state, outcome, paused, submitted, started, ended, elapsedMs } = run;
  const { tasks, states, outcomes } = run;
  const passed = outcomes.passed ?? 0;
  const { all: rate, recent } = ratesOf(fold);
  return {
    ...{ id, suite, state, outcome, paused, submitted, started, ended },
    at: new Date(fold.lastMs).toISOString(),
    elapsedMs,
    workedMs: lengthMs(workedSpans(fold)),
    ...{ tasks, states, outcomes },
    endedPercent: percentOf(states.ended, tasks),
    passedPercent: percentOf(passed, tasks),
    passedOfEndedPercent: states.ended === 0 ? null : percentOf(passed, states.ended),
    cells: cellCounts(fold),
    ...{ rate, recent },
    recoveries: recoveriesOf(fold),
    left: timeLeftOf(fold, presence),
    utilisation: presence === null ? null : utilisationOf(fold, presence),
    hosts: hostUseOf(fold),
  };
}

function percentOf(count: number, of: number): number {
  return of === 0 ? 0 : (count / of) * 100;
}

function cellCounts({ tasks }: RunFold): CellCounts {
  const cells = new Map<string, { isCovered: boolean; passed: number; tasks: number }>();
  for (const task of tasks.values()) {
    const key = cellKey(task.axes);
    const cell = cells.get(key) ?? { isCovered: false, passed: 0, tasks: 0 };
    cells.set(key, cell);
    cell.tasks += 1;
    cell.isCovered ||= hasRun(task);
    if (task.outcome === 'passed') cell.passed += 1;
  }
  const all = [...cells.values()];
  return {
    total: all.length,
    covered: all.filter(({ isCovered }) => isCovered).length,
    passed: all.filter(({ passed }) => passed > 0).length,
    whole: all.filter((cell) => cell.passed === cell.tasks).length,
  };
}
