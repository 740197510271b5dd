/** State and events of an attempt to the ledger first, then the events to the outbox (I8). */
import { attemptKey } from '#protocol/messages/ids.ts';
import { subjects } from '#protocol/messages/subjects.ts';
import type { Log } from '#protocol/runtime/log.ts';
import type { Ledger } from '../state/ledger.ts';
import type { StoredAttempt } from '../state/ledger-entries.ts';
import type { AttemptDeps } from './attempt-deps.ts';
import type { AttemptEvent, AttemptState } from './attempt-state.ts';

export interface AttemptEntry {
  readonly state: AttemptState;
  readonly events: readonly AttemptEvent[];
  /** Its whole log is stored, or it has none. */
  readonly isShipped: boolean;
  readonly log: Log;
}

type Deps = Pick<AttemptDeps, 'sink' | 'agent'> & {
  readonly ledger: Pick<Ledger, 'write' | 'sync'>;
};

export function recordAttempt(
  { ledger, sink, agent }: Deps,
  { state, events, isShipped, log }: AttemptEntry,
): void {
  const { spec, reported: _reported, ...stored } = state;
  const subject = subjects.attemptEvents(agent, spec);
  const ev = events.map((event) => ({ subject, run: spec.run, ...event }));
  ledger.write({
    t: 'attempt',
    key: attemptKey(spec),
    state: stored satisfies StoredAttempt,
    ev,
    isShipped,
  });
  for (const event of ev) {
    sink.publish(event);
    if (event.name === 'attempt.exited') {
      ledger.sync();
      const { outcome, reason } = event.data;
      // Thousands pass; who reads this log looks for the others.
      log[outcome === 'passed' ? 'debug' : 'info']({ outcome, reason }, 'attempt exited');
    }
  }
}
