/** From the ledger to what the host's actor begins with. Pure. */
import { attemptKey } from '#protocol/messages/ids.ts';
import { isFenced, stoppedAttempt } from '../attempt/attempt-state.ts';
import { isSettingUp, setupOf } from '../attempt/rules/host-setup-rules.ts';
import type { AttemptRecord, LedgerFold } from '../state/ledger-entries.ts';
import { SETUP_DONE, type LiveAttempt, type RestoredHost } from './host-state.ts';
import { wishesOf } from './live-attempt.ts';

export function restoredHost(fold: LedgerFold): RestoredHost {
  const live = [...fold.attempts.values()].flatMap((record) => liveOf(record) ?? []);
  return {
    live,
    floors: new Map(fold.floors),
    openStops: Array.from(fold.stops.values(), (stop) => ({ ...stop, era: stop.era ?? 0 })),
    isDraining: fold.isDraining,
    setups: setupsOf(fold),
  };
}

/** What was made, and what an attempt that runs is making. */
function setupsOf(fold: LedgerFold): Map<string, string> {
  const setups = new Map(Array.from(fold.setups, (setup) => [setup, SETUP_DONE]));
  for (const [key, { spec, state }] of fold.attempts) {
    const setup = setupOf(spec);
    if (setup === undefined || state === null || setups.has(setup)) continue;
    if (isSettingUp({ spec, life: state.life })) setups.set(setup, key);
  }
  return setups;
}

/** It has its claim, whether a process of it runs or not. */
const HOLDING: ReadonlySet<string> = new Set(['stepping', 'barrier', 'closing', 'collecting']);

/** Null for one that has ended, has no survivors and only has its log to ship. */
function liveOf(record: AttemptRecord): LiveAttempt | null {
  const { spec, state, priority, era = 0, sequence, place = 0, afterStop } = record;
  const life = state?.life.kind ?? 'queued';
  const fencing = state !== null && isFenced(state) ? state : null;
  if (life === 'exited' && fencing === null) return null;
  const ref = { run: spec.run, task: spec.task, n: spec.n };
  // A finishing one with survivors ends as fenced.
  const isRunning = HOLDING.has(life) || fencing !== null;
  return {
    key: attemptKey(ref),
    ref,
    needs: spec.needs,
    priority,
    ...wishesOf(spec),
    era,
    sequence,
    ...(place > 0 && { place }),
    afterStop,
    stage: isRunning ? 'running' : life === 'new' || life === 'queued' ? 'queued' : 'ending',
    slots: isRunning ? (state?.slots ?? []) : [],
    gpus: isRunning ? (state?.resources?.gpus ?? []).map(({ id }) => id) : [],
    cpus: isRunning ? (state?.resources?.cpus ?? []) : [],
    ...(life === 'exited' && fencing !== null
      ? { stage: 'fenced', stopped: stoppedAttempt({ ...fencing, spec, reported: null }) }
      : {}),
  };
}
