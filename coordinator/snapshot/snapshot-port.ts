/**
 * Snapshots of the leader's state: loaded when a term begins, made now and then in a thread of their own, by
 * reading what was stored since the last (snapshot-worker.ts). The stream stays the truth: whatever is wrong
 * with a snapshot, one line is logged and all is read.
 */
import type { CoreState } from '../core/core-state.ts';

export interface Restored {
  /** Of a core that has read the events up to `sequence`, and no command. */
  readonly state: CoreState;
  readonly sequence: number;
  /** Events that it is made of. */
  readonly messages: number;
}

/** As it was stored. */
export interface Taken {
  readonly sequence: number;
  readonly messages: number;
  readonly bytes: number;
  readonly tookMs: number;
}

export interface SnapshotPort {
  /** Null: there is none that could be used. Never rejects. */
  load(): Promise<Restored | null>;
  /** Makes and stores the next. Rejects where that failed, or with `signal`. */
  take(signal: AbortSignal): Promise<Taken>;
  /** Removes what is stored. Rejects where that failed. */
  drop(): Promise<void>;
}
