/**
 * Publishes the lanes of the outbox: one message in flight per subject, many subjects together.
 *
 * 1. Each message carries the stream sequence of the one before it on its subject as expectation
 *    (I1), and `bm-instance`, `bm-seq`, `bm-crc`, by which it is recognised later.
 * 2. A doubt is repeated identically. A conflict (10071) is resolved by the subject's last message:
 *      mine, `seq` at or beyond the front: it is stored, go on after it
 *      mine, `seq` before what was acknowledged: the server lost some: publish them again
 *      none: retention took it: expect 0, go on after what the journal knows stored
 *      another instance's: fenced: stop, say so
 * 3. A full stream and a refusal are waited out: nothing recorded is given up (I12).
 */
import { crc32 } from 'node:zlib';
import { toError } from '../../messages/errors.ts';
import { backoffMs } from '../../runtime/backoff.ts';
import type { Log } from '../../runtime/log.ts';
import { pause, type MeshConnection } from '../connection.ts';
import { HEADERS } from '../headers.ts';
import type { Entry, Lane, Lanes } from './outbox-lanes.ts';
import { publishEvent, type PublishOptions, type PublishOutcome } from '../publisher.ts';
import { STREAMS } from '../streams/stream-configs.ts';
import { lastMessage, type LastMessage } from '../streams/stream-read.ts';

/** Where an outbox publishes to. */
export interface OutboxStore {
  publish(subject: string, payload: Uint8Array, options: PublishOptions): Promise<PublishOutcome>;
  last(subject: string): Promise<LastMessage>;
  isConnected(): boolean;
  whenConnected(): Promise<void>;
  /** The largest payload the store takes, in bytes. */
  maxPayloadBytes(): number;
}

/** The stream of events as a store. */
export function eventStore(connection: MeshConnection): OutboxStore {
  return {
    publish: (subject, payload, options) => publishEvent(connection, subject, payload, options),
    last: (subject) => lastMessage(connection, STREAMS.events, subject),
    isConnected: () => connection.isConnected(),
    whenConnected: () => connection.whenConnected(),
    maxPayloadBytes: () => (connection.nats.info?.max_payload ?? 1024 * 1024) - 4096,
  };
}

export interface FencedBy {
  readonly subject: string;
  /** The other writer's instance. */
  readonly instance: string;
}

export type Blocked = 'disconnected' | 'stream_full' | 'unavailable' | 'rejected' | null;

export interface SenderOptions {
  readonly lanes: Lanes;
  readonly store: OutboxStore;
  readonly instance: string;
  readonly log: Log;
  /** Payload of an entry that memory does not hold. */
  readonly read: (lane: Lane, entry: Entry) => Promise<Uint8Array>;
  /** Entries of the lane with `after` < seq <= `upTo`, from the journal. */
  readonly find: (lane: Lane, after: number, upTo: number) => Promise<Entry[]>;
  readonly onStored: (lane: Lane) => void;
  readonly onFenced: (by: FencedBy) => void;
}

/** Subjects in flight together. */
const WINDOW = 128;
/**
 * After a pause what one turn of the loop has appended goes out at its end; what follows within this time goes
 * together, in one write to the socket. With 2,000 tasks of `true` half of this took 16 % off the CPU of the server,
 * 14 % off the coordinator's and 6 % off the agent's.
 */
const GATHER_MS = 10;
const RETRY = { firstMs: 25, maxMs: 2_000, factor: 2 } as const;

export class Sender {
  readonly #options: SenderOptions;
  #ready: Lane[] = [];
  #inFlight = 0;
  #isGathering = false;
  #lastPumpMs = -Infinity;
  #stopped = false;
  #blocked: Blocked = null;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** There is something in the lane to send. */
  wake(lane: Lane): void {
    if (lane.busy || lane.queue.length === 0) return;
    lane.busy = true;
    this.#ready.push(lane);
    this.#pumpSoon();
  }

  blocked(): Blocked {
    return this.#options.store.isConnected() ? this.#blocked : 'disconnected';
  }

  stop(): void {
    this.#stopped = true;
    this.#ready = [];
  }

  /** A method, so that the compiler does not believe it constant across an await. */
  #isStopped(): boolean {
    return this.#stopped;
  }

  #pumpSoon(): void {
    if (this.#isGathering) return;
    this.#isGathering = true;
    const sinceMs = performance.now() - this.#lastPumpMs;
    const pump = (): void => {
      this.#isGathering = false;
      this.#pump();
    };
    if (sinceMs >= GATHER_MS) setImmediate(pump);
    else setTimeout(pump, GATHER_MS - sinceMs);
  }

  #pump(): void {
    if (this.#ready.length > 0) this.#lastPumpMs = performance.now();
    while (!this.#stopped && this.#inFlight < WINDOW && this.#ready.length > 0) {
      const batch = this.#ready.splice(0, WINDOW - this.#inFlight);
      for (const lane of batch) {
        this.#inFlight += 1;
        void this.#step(lane).then((waitMs) => {
          this.#inFlight -= 1;
          this.#again(lane, waitMs);
          if (!this.#isGathering) this.#pump();
        });
      }
    }
  }

  #again(lane: Lane, waitMs: number): void {
    if (this.#stopped) return;
    const next = (): void => {
      lane.busy = lane.queue.length > 0;
      if (!lane.busy) return;
      this.#ready.push(lane);
      this.#pump(); // what follows on the same subject has waited already
    };
    if (waitMs === 0) next();
    else void pause(waitMs).then(next);
  }

  /** Sends the message in front; resolves with how long to wait before the next step. */
  async #step(lane: Lane): Promise<number> {
    const { store, log } = this.#options;
    try {
      if (!store.isConnected()) await store.whenConnected();
      const entry = lane.queue[0];
      if (entry === undefined || this.#isStopped()) return 0;
      const payload = entry.payload ?? (await this.#options.read(lane, entry));
      const outcome = await store.publish(
        lane.subject,
        payload,
        this.#publishOptions(lane, entry, payload),
      );
      // The lane may have been dropped meanwhile.
      if (this.#isStopped() || lane.queue[0] !== entry) return 0;
      if (outcome.kind === 'stored') {
        this.#onStored(lane, entry.seq, outcome.sequence);
        return 0;
      }
      if (outcome.kind === 'conflict') return await this.#onConflict(lane);
      return this.#onTrouble(lane, outcome);
    } catch (error) {
      log.error(
        { subject: lane.subject, err: toError(error) },
        'a message could not be read from the journal',
      );
      return this.#delay(lane);
    }
  }

  #publishOptions(lane: Lane, entry: Entry, payload: Uint8Array): PublishOptions {
    return {
      expectedLastSubjectSequence: lane.streamSequence,
      headers: {
        [HEADERS.instance]: this.#options.instance,
        [HEADERS.seq]: String(entry.seq),
        [HEADERS.crc]: String(crc32(payload)),
      },
    };
  }

  #onStored(lane: Lane, seq: number, streamSequence: number): void {
    this.#blocked = null;
    lane.attempt = 0;
    this.#options.lanes.markStored(lane, seq, streamSequence);
    this.#options.onStored(lane);
  }

  #onTrouble(
    lane: Lane,
    outcome: Exclude<PublishOutcome, { kind: 'stored' | 'conflict' }>,
  ): number {
    const { log } = this.#options;
    if (outcome.kind !== 'ambiguous') {
      this.#blocked = outcome.kind === 'full' ? 'stream_full' : outcome.kind;
      if (lane.attempt % 50 === 0) {
        log.warn({ subject: lane.subject, ...outcome }, 'a message is not taken, trying on');
      }
    }
    return this.#delay(lane);
  }

  #delay(lane: Lane): number {
    lane.attempt += 1;
    return Math.max(1, backoffMs(RETRY, Math.min(lane.attempt, 10) - 1, Math.random()));
  }

  async #onConflict(lane: Lane): Promise<number> {
    const { store, lanes, log, instance } = this.#options;
    const { subject } = lane;
    const last = await store.last(subject);
    if (last.kind === 'unknown') return this.#delay(lane);
    if (this.#isStopped() || lanes.get(subject) !== lane) return 0;
    if (last.kind === 'none') {
      log.warn(
        { subject, storedSeq: lane.storedSeq },
        'the stream has nothing left of this subject, going on after what is known stored',
      );
      if (lane.streamSequence === 0) return this.#delay(lane);
      lane.streamSequence = 0;
      return 0;
    }
    const { message } = last;
    const owner = message.header(HEADERS.instance);
    const number = message.header(HEADERS.seq);
    if (owner !== instance || number === null) {
      this.stop();
      this.#options.onFenced({ subject, instance: owner ?? 'unknown' });
      return 0;
    }
    const seq = Number(number);
    if (seq < lane.storedSeq) {
      await this.#rewind(lane, seq);
      lane.streamSequence = message.sequence;
      return 0;
    }
    const entry = lanes.entry(lane, seq);
    if (
      seq === lane.storedSeq ||
      (entry !== undefined && (await this.#isSame(lane, entry, message.header(HEADERS.crc))))
    ) {
      this.#onStored(lane, seq, message.sequence);
      return 0;
    }
    // The journal lost its end (power failure) and gave the number to another message: keep both.
    log.warn(
      { subject, seq, nextSeq: lane.nextSeq },
      'the stream is ahead of the journal, adding after it',
    );
    lane.streamSequence = message.sequence;
    return 0;
  }

  async #isSame(lane: Lane, entry: Entry, crc: string | null): Promise<boolean> {
    if (crc === null) return true;
    const payload = entry.payload ?? (await this.#options.read(lane, entry));
    return String(crc32(payload)) === crc;
  }

  async #rewind(lane: Lane, seq: number): Promise<void> {
    const { lanes, log } = this.#options;
    const upTo = lane.storedSeq;
    const entries = await this.#options.find(lane, seq, upTo);
    const fields = { subject: lane.subject, from: seq + 1, to: upTo, found: entries.length };
    log.error(fields, 'the server lost messages it had acknowledged, publishing them again');
    lanes.rewind(lane, seq, entries);
  }
}
