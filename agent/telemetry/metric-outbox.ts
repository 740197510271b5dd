/**
 * Samples on their way to BM_METRICS: in memory, bounded, the oldest dropped first and counted. They
 * never hold up events or logs: one message is in flight, none while events wait, nothing is on disk.
 *
 *   offer --> queue (oldest dropped) --> one in flight --> stored
 *                                            \--not now: the same again, while it is not too old
 */
import type { Writer } from '#protocol/messages/envelope.ts';
import type { PublishOutcome } from '#protocol/nats/publisher.ts';
import { backoffMs } from '#protocol/runtime/backoff.ts';
import type { Clock } from '#protocol/runtime/clock.ts';
import type { Log } from '#protocol/runtime/log.ts';

/** A batch of a series: 256 of them are 20 minutes of one attempt and its host, or 20 s of 64. */
const QUEUE_MOST = 256;
const RETRY = { firstMs: 250, maxMs: 5_000, factor: 2 } as const;
const BEHIND_MS = 500;

export interface MetricBatch {
  readonly subject: string;
  /** The same for a repeat: the server drops it. */
  readonly id: string;
  readonly samples: number;
  /** Called when it is sent. */
  readonly encode: () => Uint8Array;
  readonly onDropped: (samples: number) => void;
  readonly onStored?: () => void;
}

/** Where measurements of attempts go in. */
export interface MetricSink {
  readonly writer: Writer;
  offer(batch: MetricBatch): void;
}

export interface MetricStore {
  publish(subject: string, payload: Uint8Array, id: string): Promise<PublishOutcome>;
  /** Resolves when it makes sense to try. */
  whenReachable(): Promise<void>;
}

export interface MetricOutboxOptions {
  readonly store: MetricStore;
  /** Events wait to be stored: they go first. */
  readonly isBehind: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
}

export class MetricOutbox {
  readonly #options: MetricOutboxOptions;
  readonly #queue: MetricBatch[] = [];
  #isPumping = false;
  #isClosed = false;
  #hasWarned = false;
  #whenIdle: (() => void) | null = null;

  constructor(options: MetricOutboxOptions) {
    this.#options = options;
  }

  offer(batch: MetricBatch): void {
    if (this.#isClosed) return;
    this.#queue.push(batch);
    if (this.#queue.length > QUEUE_MOST) this.#drop(this.#queue.shift());
    if (!this.#isPumping) void this.#pump();
  }

  /** Sends what there is for at most `patienceMs`; what is left then is lost. */
  async close(patienceMs: number): Promise<void> {
    if (this.#isPumping) {
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
        this.#options.clock.after(patienceMs, resolve);
      });
    }
    this.#isClosed = true;
  }

  #drop(batch: MetricBatch | undefined): void {
    if (batch === undefined) return;
    batch.onDropped(batch.samples);
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    const { log } = this.#options;
    log.warn({ subject: batch.subject }, 'samples are dropped: they cannot be stored in time');
  }

  async #pump(): Promise<void> {
    this.#isPumping = true;
    for (let batch = this.#queue.shift(); batch !== undefined; batch = this.#queue.shift()) {
      if (this.#isOver()) break;
      await this.#send(batch);
    }
    this.#isPumping = false;
    this.#whenIdle?.();
  }

  async #send(batch: MetricBatch): Promise<void> {
    const { store, isBehind } = this.#options;
    for (let attempt = 0; !this.#isOver(); attempt += 1) {
      await store.whenReachable();
      while (isBehind() && !this.#isOver()) await this.#pause(BEHIND_MS);
      if (this.#isOver()) return;
      const outcome = await store.publish(batch.subject, batch.encode(), batch.id);
      switch (outcome.kind) {
        case 'stored':
          batch.onStored?.();
          return;
        case 'rejected':
          this.#options.log.error({ subject: batch.subject, outcome }, 'samples are refused');
          this.#drop(batch);
          return;
        case 'ambiguous':
        case 'conflict':
        case 'full':
        case 'unavailable':
          // Newer ones matter more: this one has its turn only while there is room.
          if (this.#queue.length >= QUEUE_MOST) {
            this.#drop(batch);
            return;
          }
          await this.#pause(backoffMs(RETRY, Math.min(attempt, 10), Math.random()));
      }
    }
  }

  /** A method, so that the compiler does not believe it constant across an await. */
  #isOver(): boolean {
    return this.#isClosed;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#options.clock.after(ms, resolve);
    });
  }
}
