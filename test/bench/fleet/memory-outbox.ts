/**
 * The outbox of an agent whose host is not real: the lanes and the sender of the real one, with their
 * order, expectations and repeats; only the journal is left out.
 */
import type { AppendOutcome, Outbox, OutboxStats } from '#protocol/nats/outbox/outbox.ts';
import { Lanes } from '#protocol/nats/outbox/outbox-lanes.ts';
import { Sender, type OutboxStore } from '#protocol/nats/outbox/outbox-sender.ts';
import type { WriteOutcome } from '#protocol/nats/outbox/journal.ts';
import type { Log } from '#protocol/runtime/log.ts';

const NOWHERE = { segment: 0, offset: 0, length: 0 } as const;
const WRITTEN = { kind: 'written', segment: 0, offset: 0 } as const satisfies WriteOutcome;

export interface MemoryOutboxOptions {
  readonly store: OutboxStore;
  readonly instance: string;
  readonly log: Log;
  /** Another writer of its subjects, or a message that was lost. */
  readonly onBroken: (reason: string) => void;
}

export class MemoryOutbox implements Outbox {
  readonly #lanes = new Lanes();
  readonly #sender: Sender;
  #isClosed = false;
  #flushes: (() => void)[] = [];

  constructor({ onBroken, ...options }: MemoryOutboxOptions) {
    this.#sender = new Sender({
      ...options,
      lanes: this.#lanes,
      read: (lane) => Promise.reject(new Error(`no journal holds ${lane.subject}`)),
      find: () => Promise.resolve([]),
      onStored: () => {
        this.#settle();
      },
      onFenced: ({ subject, instance }) => {
        onBroken(`${subject} was written by ${instance}`);
      },
    });
  }

  append(subject: string, encode: (seq: number) => Uint8Array): Promise<AppendOutcome> {
    if (this.#isClosed) return Promise.resolve({ kind: 'closed' });
    const lane = this.#lanes.getOrMake(subject);
    const seq = lane.nextSeq;
    const payload = encode(seq);
    this.#lanes.push(lane, { seq, place: NOWHERE, payload, bytes: payload.length });
    this.#sender.wake(lane);
    return Promise.resolve({ kind: 'recorded', seq });
  }

  flush(): Promise<'stored'> {
    return new Promise((resolve) => {
      this.#flushes.push(() => {
        resolve('stored');
      });
      this.#settle();
    });
  }

  #settle(): void {
    if (this.#flushes.length === 0 || this.#lanes.counts().unstored > 0) return;
    for (const settle of this.#flushes.splice(0)) settle();
  }

  stats(): OutboxStats {
    const { subjects, unstored, unstoredBytes } = this.#lanes.counts();
    const blocked = this.#sender.blocked();
    const none = { journalBytes: 0, maxBytes: 0, fenced: false };
    return { subjects, unstored, unstoredBytes, blocked, ...none };
  }

  drop(prefixes: readonly string[]): Promise<WriteOutcome> {
    for (const prefix of prefixes) this.#lanes.drop(prefix);
    return Promise.resolve(WRITTEN);
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#sender.stop();
    return Promise.resolve();
  }
}
