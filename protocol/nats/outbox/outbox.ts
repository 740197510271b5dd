/**
 * The agent's outbox: what is appended is on disk, then published in order per subject, and is
 * delivered once in spite of kill -9 of agent and server (I1, I8, I12; design section 3).
 *
 *   append -> [batch per tick] -> journal (page cache) -> lane -> sender -> stream
 *                                                                          |
 *                              `stored` records, every so often  <---------+
 *
 * 1. A message gets its number when it is written, so the numbers of a subject have no gap even
 *    where a write failed for want of space; such an append says so and is not recorded.
 * 2. Stored messages stay in the journal until `drop`: a server's ack is never the only copy
 *    (facts section 4). Only at `maxBytes` are stored ones let go, oldest first.
 * 3. At `maxBytes` of messages not stored, append says `no_space`.
 */
import type { Log } from '../../runtime/log.ts';
import { Journal, type WriteOutcome } from './journal.ts';
import { JournaledOutbox } from './journaled-outbox.ts';
import { Lanes } from './outbox-lanes.ts';
import type { Blocked, FencedBy, OutboxStore } from './outbox-sender.ts';

export { eventStore, type FencedBy, type OutboxStore } from './outbox-sender.ts';

export interface OutboxOptions {
  /** Folder of the journal, the outbox's alone; made if missing. */
  readonly dir: string;
  readonly store: OutboxStore;
  /** Identity of the agent's state folder. */
  readonly instance: string;
  readonly log: Log;
  /** Called once, when another instance writes to one of our subjects; nothing is sent after. */
  readonly onFenced: (by: FencedBy) => void;
  /** Limit of the journal on disk. Default 1 GiB. */
  readonly maxBytes?: number;
  /** Size at which a segment is ended. Default 8 MiB. */
  readonly segmentBytes?: number;
}

export type AppendOutcome =
  /** In the journal under this number, and will be published. */
  | { readonly kind: 'recorded'; readonly seq: number }
  /** Disk or journal full: not recorded, no number used. */
  | { readonly kind: 'no_space'; readonly errno: string }
  | { readonly kind: 'failed'; readonly error: Error }
  | { readonly kind: 'too_large'; readonly bytes: number; readonly maxBytes: number }
  | { readonly kind: 'fenced' }
  | { readonly kind: 'closed' };

export interface OutboxStats {
  readonly subjects: number;
  readonly unstored: number;
  readonly unstoredBytes: number;
  /** On disk. */
  readonly journalBytes: number;
  /** Its limit. */
  readonly maxBytes: number;
  /** Why nothing is being stored just now, or null. */
  readonly blocked: Blocked;
  readonly fenced: boolean;
}

export interface Outbox {
  /**
   * Appends one message. `encode` gets the message's number on its subject, from 1, and is called
   * once, in order of the calls, within a tick or two. Resolves when recorded, which is when the
   * caller may act on it; publishing follows by itself.
   */
  append(subject: string, encode: (seq: number) => Uint8Array): Promise<AppendOutcome>;
  /** Resolves when all appended so far is stored, or tells why it will not be. */
  flush(): Promise<'stored' | 'fenced' | 'closed'>;
  stats(): OutboxStats;
  /**
   * Forgets subjects equal to or below the prefixes (`release`); they are not used again. Not yet
   * stored messages of theirs are given up. Resolves when that is on disk.
   */
  drop(prefixes: readonly string[]): Promise<WriteOutcome>;
  /** Stops sending, writes what is known, closes. In-flight messages are resolved at next open. */
  close(): Promise<void>;
}

const DEFAULT_MAX_BYTES = 1024 ** 3;
const DEFAULT_SEGMENT_BYTES = 8 * 1024 ** 2;

/** Reads the journal and begins to publish what is left. Rejects with system errors. */
export async function openOutbox(options: OutboxOptions): Promise<Outbox> {
  const { dir, log } = options;
  const { maxBytes = DEFAULT_MAX_BYTES, segmentBytes = DEFAULT_SEGMENT_BYTES } = options;
  const lanes = new Lanes();
  const journal = await Journal.open(
    { dir, segmentBytes, log },
    ({ record, offset, length }, segment) => {
      lanes.recover(record, { segment, offset, length });
    },
  );
  return new JournaledOutbox({ ...options, maxBytes, segmentBytes }, lanes, journal);
}
