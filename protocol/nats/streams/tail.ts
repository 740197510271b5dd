/**
 * Ordered reading of a stream: every message that matches, once, in stream order, through restarts
 * of the server and broken links.
 *
 * 1. The reader resumes by the last sequence it has handed over, with a consumer of its own each
 *    time; nothing is skipped, nothing repeated, whatever became of the old consumer (I2, I7).
 * 2. It starts again as soon as the connection is back, and after missed heartbeats (facts 3.9).
 * 3. Time is the stream's own timestamp, cut to milliseconds: the same for every reader (I2).
 * 4. A handler that returns a promise is waited for; the server is then asked for no more than one
 *    window of messages ahead (I12).
 *
 *   waiting for the link -> session (a consumer) -> broken -> waiting -> ... -> ended
 */
import {
  AckPolicy,
  DeliverPolicy,
  jetstream,
  jetstreamManager,
  type Consumer,
  type ConsumerConfig,
  type ConsumerMessages,
  type JsMsg,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import { randomBytes } from 'node:crypto';
import { MeshError, toError } from '../../messages/errors.ts';
import { backoffMs } from '../../runtime/backoff.ts';
import { pause, type MeshConnection } from '../connection.ts';
import { streamState, type StoredMessage, type StreamPosition } from './stream-read.ts';

/** `sequence` is the stream's; `timeMs` the stream's timestamp. `data` belongs to the receiver. */
export type TailMessage = StoredMessage;

export interface TailQuery {
  readonly stream: string;
  /**
   * Subjects, wildcards allowed. None of them may cover another. Empty: the whole stream, which no filter may
   * say: one that covers every subject costs the server as much as any (2.11.6, measured: 23 s of its CPU
   * for 100,000 messages of 50,000 subjects, 0.8 s without). With `lastPerSubject` it needs one all the same.
   */
  readonly filters: readonly string[];
  /** First sequence to look at. Default 1. */
  readonly fromSequence?: number;
  /** Of what exists at the start only the last message of each subject; then all that follows. */
  readonly lastPerSubject?: boolean;
}

export interface ReadLimits {
  readonly upToSequence?: number;
  /** Ends with the message that makes so many bytes. */
  readonly upToBytes?: number;
  readonly timeoutMs?: number;
}

export interface TailOptions extends TailQuery {
  readonly onMessage: (message: TailMessage) => void | Promise<void>;
  /** Called once, when all that existed at the start has been handed over. */
  readonly onCaughtUp?: (position: CaughtUp) => void | Promise<void>;
  /** A handler has thrown, which is a bug: the tail ends. Without it, it is logged. */
  readonly onError?: (error: unknown) => void;
}

export interface CaughtUp {
  /** The stream is read up to here: its last sequence at the start, or later. */
  readonly sequence: number;
  /** The server's clock when that was asked, ms since 1970. */
  readonly serverMs: number;
}

export interface Tail {
  /** The last sequence handed over; `fromSequence - 1` before the first. */
  sequence(): number;
  /** Ends it; no handler is called any more. Resolves when the running one is done. Idempotent. */
  close(): Promise<void>;
  /** Resolves when it has ended: closed, connection closed, or a handler threw. */
  readonly ended: Promise<void>;
}

const EXPIRES_MS = 5_000;
const HEARTBEAT_MS = 1_000;
const WINDOW_MESSAGES = 1_000;
const WINDOW_BYTES = 16 * 1024 * 1024;
/** Streams of large messages: a window of many would be cut off as a slow consumer (facts 3.11). */
const LARGE: ReadonlySet<string> = new Set(['BM_LOGS', 'BM_METRICS', 'BM_FILES']);
/** Without a message, before what is said to come is counted anew; longer each time. */
const IDLE_SECONDS = 2;
const RETRY = { firstMs: 20, maxMs: 1_000, factor: 2 } as const;

/** Reads until closed. Never rejects: what goes wrong is retried for ever. */
export function tail(connection: MeshConnection, options: TailOptions): Tail {
  return new Reader(connection, options);
}

/**
 * Reads what exists now, in order, and ends: for one-shot folds. Resolves with the position read
 * up to. Rejects with what `onMessage` throws, with MeshError `timed_out` after `timeoutMs`
 * (default: never), or `mesh_unreachable` when the connection is closed.
 */
export async function readAll(
  connection: MeshConnection,
  query: TailQuery & ReadLimits,
  onMessage: (message: TailMessage) => void,
): Promise<CaughtUp> {
  const { upToSequence: upTo = Number.MAX_SAFE_INTEGER, upToBytes = Infinity, timeoutMs } = query;
  let bytes = 0;
  let reader: Tail | null = null;
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<CaughtUp>((resolve, reject) => {
      let done = false;
      const finish = (position: CaughtUp): void => {
        done = true;
        resolve({ ...position, sequence: Math.min(upTo, position.sequence) });
      };
      reader = tail(connection, {
        ...query,
        onMessage: (message) => {
          if (done) return;
          const { sequence, timeMs: serverMs } = message;
          if (sequence <= upTo) onMessage(message);
          bytes += message.data.length;
          if (sequence > upTo) finish({ sequence: upTo, serverMs });
          else if (bytes >= upToBytes) finish({ sequence, serverMs });
        },
        onCaughtUp: finish,
        onError: reject,
      });
      void reader.ended.then(() => {
        reject(new MeshError('mesh_unreachable', 'the connection was closed while reading'));
      });
      if (timeoutMs === undefined) return;
      timer = setTimeout(() => {
        reject(new MeshError('timed_out', `reading ${query.stream} took over ${timeoutMs} ms`));
      }, timeoutMs);
    });
  } finally {
    clearTimeout(timer);
    await (reader as Tail | null)?.close();
  }
}

class Reader implements Tail {
  readonly ended: Promise<void>;
  readonly #connection: MeshConnection;
  readonly #options: TailOptions;
  readonly #abort = new AbortController();
  #next: number;
  /** Whether a session has begun to deliver: from then on it resumes by sequence. */
  #begun = false;
  #caughtUp = false;
  #messages: ConsumerMessages | null = null;
  #attempt = 0;
  #isHanding = false;
  /** Seconds without a message, in this session. */
  #idleSeconds = 0;

  constructor(connection: MeshConnection, options: TailOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#next = options.fromSequence ?? 1;
    this.ended = this.#run();
  }

  sequence(): number {
    return this.#next - 1;
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#messages?.stop();
    await this.ended;
  }

  #closing(): boolean {
    return this.#abort.signal.aborted || this.#connection.isClosed();
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    const aborted = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => {
        resolve();
      });
    });
    while (!this.#closing()) {
      await Promise.race([this.#connection.whenConnected(), aborted]);
      if (this.#closing()) return;
      try {
        await this.#session();
      } catch (error) {
        if (error instanceof HandlerFailure) {
          this.#onHandlerFailure(error.cause);
          return;
        }
        const fields = { stream: this.#options.stream, err: toError(error).message };
        if (this.#attempt % 20 === 3)
          this.#connection.log.warn(fields, 'tail cannot read, trying on');
      }
      if (this.#closing()) return;
      await pause(backoffMs(RETRY, Math.min(this.#attempt, 10), Math.random()), signal);
      this.#attempt += 1;
    }
  }

  #onHandlerFailure(error: unknown): void {
    if (this.#options.onError !== undefined) this.#options.onError(error);
    else this.#connection.log.error({ err: toError(error) }, 'a tail handler threw');
  }

  /** One consumer's life; returns when it is broken or the tail is closing. */
  async #session(): Promise<void> {
    const { stream } = this.#options;
    const position = this.#caughtUp ? null : await streamState(this.#connection, stream);
    const manager = await jetstreamManager(this.#connection.nats, { checkAPI: false });
    const info = await manager.consumers.add(stream, this.#consumerConfig());
    const consumer = jetstream(this.#connection.nats).consumers.getConsumerFromInfo(info);
    const stopStatus = this.#connection.onStatus(() => this.#messages?.stop());
    let ticker: NodeJS.Timeout | undefined;
    try {
      if (position !== null && info.num_pending === 0) await this.#onCaughtUp(position);
      if (this.#closing()) return;
      const messages = await consumer.consume({
        ...(LARGE.has(stream) ? { max_bytes: WINDOW_BYTES } : { max_messages: WINDOW_MESSAGES }),
        expires: EXPIRES_MS,
        idle_heartbeat: HEARTBEAT_MS,
      });
      this.#messages = messages;
      void this.#watch(messages);
      if (this.#closing() || !this.#connection.isConnected()) messages.stop();
      // What was to come may be purged meanwhile: then no message says that it is over.
      ticker = this.#caughtUp
        ? undefined
        : setInterval(() => void this.#checkPending(consumer, messages), 1_000);
      await this.#deliver(messages, info.num_pending, position);
    } finally {
      clearInterval(ticker);
      stopStatus();
      this.#messages?.stop();
      this.#messages = null;
      if (this.#connection.isConnected()) consumer.delete().catch(() => undefined);
    }
  }

  async #deliver(
    messages: ConsumerMessages,
    pending: number,
    position: StreamPosition | null,
  ): Promise<void> {
    this.#begun = true;
    this.#idleSeconds = 0;
    let left = pending;
    let delivered = 0;
    for await (const message of messages) {
      if (this.#closing()) return;
      const { deliverySequence, streamSequence, pending: behind } = message.info;
      // A gap among the consumer's own deliveries: begin anew from the last one handed over.
      if (deliverySequence !== delivered + 1) return;
      delivered = deliverySequence;
      left -= 1;
      this.#attempt = 0;
      if (streamSequence >= this.#next) {
        await this.#hand(message);
        this.#next = streamSequence + 1;
      }
      if (position !== null && (left <= 0 || behind === 0)) await this.#onCaughtUp(position);
    }
  }

  async #hand(message: JsMsg): Promise<void> {
    this.#isHanding = true;
    try {
      const done = this.#options.onMessage(toTailMessage(message));
      if (done instanceof Promise) await done;
    } catch (error) {
      throw new HandlerFailure(error);
    } finally {
      this.#isHanding = false;
      this.#idleSeconds = 0;
    }
  }

  async #onCaughtUp({ lastSequence, serverMs }: StreamPosition): Promise<void> {
    if (this.#caughtUp || this.#closing()) return;
    this.#caughtUp = true;
    try {
      await this.#options.onCaughtUp?.({
        sequence: Math.max(lastSequence, this.sequence()),
        serverMs,
      });
    } catch (error) {
      throw new HandlerFailure(error);
    }
  }

  async #checkPending(consumer: Consumer, messages: ConsumerMessages): Promise<void> {
    // The client's own count of what it holds is no sign: it may stay at 1 with nothing to come.
    if (this.#caughtUp || this.#isHanding) return;
    this.#idleSeconds += 1;
    // After a purge by subject the server may count for ever what is gone; a new consumer counts anew.
    if (this.#idleSeconds > Math.min(IDLE_SECONDS * (this.#attempt + 1), 10 * IDLE_SECONDS)) {
      messages.stop();
      return;
    }
    try {
      // Nothing is coming and we have not caught up: a new session sees nothing pending.
      // A message that is being handed over meanwhile is handed over whole: stop ends what follows it.
      if ((await consumer.info()).num_pending === 0) messages.stop();
    } catch {
      // The heartbeat or the link will tell.
    }
  }

  async #watch(messages: ConsumerMessages): Promise<void> {
    for await (const status of messages.status()) {
      if (status.type === 'heartbeats_missed' || status.type === 'consumer_deleted')
        messages.stop();
    }
  }

  #consumerConfig(): Partial<ConsumerConfig> {
    const { filters, lastPerSubject } = this.#options;
    const start: Partial<ConsumerConfig> =
      lastPerSubject === true && !this.#begun
        ? { deliver_policy: DeliverPolicy.LastPerSubject }
        : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: this.#next };
    return {
      ...start,
      name: `tail-${randomBytes(9).toString('base64url')}`,
      ack_policy: AckPolicy.None,
      ...(filters.length === 0 ? {} : { filter_subjects: [...filters] }),
      inactive_threshold: nanos(30_000),
      mem_storage: true,
      num_replicas: 1,
      max_deliver: 1,
    };
  }
}

/** Set apart from what is retried: the handler is at fault, not the mesh. */
class HandlerFailure extends Error {
  constructor(cause: unknown) {
    super('handler failed', { cause });
  }
}

function toTailMessage(message: JsMsg): TailMessage {
  return {
    subject: message.subject,
    sequence: message.info.streamSequence,
    // Exact: the nanoseconds do not fit a double.
    timeMs: Number(message.timestampNanos / 1_000_000n),
    data: message.data,
    header: (name) => (message.headers?.has(name) === true ? message.headers.get(name) : null),
  };
}
