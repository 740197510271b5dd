/**
 * Snapshots of the simulated leader: taken now and then from what is stored, each from the one before, and
 * loaded by the next leader, however old.
 */
import { createCore, type CoreState } from '#coordinator/core/core-state.ts';
import { update } from '#coordinator/core/core-reducer.ts';
import { forgetRun } from '#coordinator/core/ends/leave.ts';
import { packCore, unpackCore } from '#coordinator/snapshot/core-snapshot.ts';
import type { SnapshotPort } from '#coordinator/snapshot/snapshot-port.ts';
import { decode } from '#protocol/messages/envelope.ts';
import type { SimStream } from '../world/server.ts';

export class SimSnapshots {
  readonly #events: SimStream;
  #last: { readonly bytes: Uint8Array; readonly sequence: number } | null = null;

  constructor(events: SimStream) {
    this.#events = events;
  }

  port(): SnapshotPort {
    return {
      load: () => {
        const state = this.#restored();
        const sequence = this.#last?.sequence ?? 0;
        return Promise.resolve(state === null ? null : { state, sequence, messages: sequence });
      },
      take: () => Promise.reject(new Error('the simulation takes them itself')),
      drop: () => Promise.resolve(),
    };
  }

  take(): void {
    let state = this.#restored() ?? createCore({ epoch: 0, sequence: Infinity });
    const { messages, lastSequence } = this.#events;
    for (const found of messages.slice(this.#last?.sequence ?? 0)) {
      const decoded = found === null ? null : decode(found.data);
      if (found === null || decoded?.kind !== 'ok') continue;
      const { subject, sequence, timeMs } = found;
      const record = { subject, sequence, timeMs, message: decoded.message };
      [state] = update(state, { kind: 'event', record }, { monotonicMs: 0, wallMs: 0 });
    }
    this.#last = { bytes: packCore(state), sequence: lastSequence };
  }

  #restored(): CoreState | null {
    if (this.#last === null) return null;
    const state = unpackCore(this.#last.bytes);
    for (const { id, order } of [...state.runs.values()])
      if ((this.#events.messages[order - 1] ?? null) === null) forgetRun(state, id);
    return state;
  }
}
