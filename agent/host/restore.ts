/** From the ledger to what the host's actor begins with. Pure. */
import { attemptKey } from '#protocol/messages/ids.ts';
import type { AttemptRecord, LedgerFold } from '../state/ledger-entries.ts';
import type { LiveAttempt, RestoredHost } from './host-state.ts';

export function restoredHost(fold: LedgerFold): RestoredHost {
  const live = [...fold.attempts.values()].flatMap((record) => liveOf(record) ?? []);
  return {
    live,
    floors: new Map(fold.floors),
    openStops: [...fold.stops.values()],
    isDraining: fold.isDraining,
  };
}

/** Null for one that has ended and only has its log to ship. */
function liveOf(record: AttemptRecord): LiveAttempt | null {
  const { spec, state, priority, sequence, afterStop } = record;
  const life = state?.life.kind ?? 'queued';
  if (life === 'exited') return null;
  const ref = { run: spec.run, task: spec.task, n: spec.n };
  const isRunning = life === 'stepping' || life === 'collecting';
  return {
    key: attemptKey(ref),
    ref,
    needs: spec.needs,
    priority,
    sequence,
    afterStop,
    stage: life === 'new' || life === 'queued' ? 'queued' : isRunning ? 'running' : 'ending',
    slots: isRunning ? (state?.slots ?? []) : [],
  };
}
