/** The end of an attempt whose steps are over: its one `exited` (I4). Pure, as attempt-reducer.ts. */
import type { AttemptMessage, Verdict } from '../attempt-state.ts';
import type { ReachedStop } from '../stop-order.ts';
import { givenOf, isProven, logBytesOf, stoppedAttempt, survivorsOf } from '../attempt-state.ts';
import { automaticMetrics } from '../automatic-metrics.ts';
import { decide } from './end-rules.ts';
import { freeIfGone, saySurvivorsGone } from './fence-rules.ts';
import { finalVerdict } from './step-rules.ts';
import type { Turn } from './turn.ts';

type Of<K extends AttemptMessage['kind']> = Extract<AttemptMessage, { kind: K }>;

export function finish(turn: Turn): void {
  const { spec, steps } = turn.state;
  decide(turn, { outcome: 'passed', stage: null, class: null, reason: null });
  turn.keep({ life: { kind: 'finishing' } });
  freeIfGone(turn);
  const isStoring = spec.files.length > 0 || spec.checkpoints.length > 0;
  if (steps.length > 0 && (isStoring || logBytesOf(turn.state) > 0))
    turn.effect({ kind: 'finish' });
  else exit(turn, { logGaps: [] });
}

/** It was the run's budget that ended it, not its own. */
function isOverBudget(stop: ReachedStop, { outcome, stage }: Verdict): boolean {
  return stop.cause === 'budget' && outcome === 'timed_out' && stage === null;
}

export function exit(turn: Turn, finished: Omit<Of<'finished'>, 'kind'>): void {
  const { state } = turn;
  const { logGaps, isRefused = false, filesLost = [] } = finished;
  const verdict = finalVerdict(state, { isOutputRefused: isRefused, filesLost });
  const { stop } = state;
  turn.emit('attempt.exited', {
    elapsedMs: turn.elapsedMs(),
    ...verdict,
    stop:
      stop !== null && (verdict.outcome === 'stopped' || isOverBudget(stop, verdict))
        ? { command: stop.commands[0] ?? '', by: stop.by, reason: stop.reason }
        : null,
    steps: [...state.steps],
    metrics: [...(state.reported?.metrics ?? []), ...state.extracted],
    logBytes: logBytesOf(state),
    logGaps: [...logGaps],
    teardownFailure: state.teardownFailure,
    proven: isProven(state),
    survivors: survivorsOf(state),
    ...(state.stderrTail === undefined ? {} : { stderrTail: state.stderrTail }),
    ...(state.steps.length === 0 ? {} : { automatic: automaticMetrics(state) }),
    ...givenOf(state),
    ...(filesLost.length === 0 ? {} : { filesLost: [...filesLost] }),
    ...(state.reported === null ? {} : { report: state.reported.summary }),
  });
  turn.set({ life: { kind: 'exited' }, verdict, originMs: null });
  saySurvivorsGone(turn);
  const end = { commands: stop?.commands ?? [], stopped: stoppedAttempt(turn.state) };
  turn.effect({ kind: 'end', end });
}
