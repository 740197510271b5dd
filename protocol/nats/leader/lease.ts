/**
 * The leader's lease: one key of BM_LEASES that expires on the server unless its holder renews it.
 * It decides who leads; it is not what keeps a deposed leader from writing: that is the claim
 * (leader-claim.ts, I1).
 *
 * 1. Taken by expecting that nothing, or a marker of expiry, stands last on the key: of any number
 *    of contenders one wins.
 * 2. The holder stops itself on its own monotonic clock, a margin before the server could let the
 *    key expire, counted from before its last successful renewal was sent (facts 3.16).
 * 3. Renewed by a raw publish with TTL and expected sequence: a plain update would remove the TTL
 *    (facts 3.12).
 * 4. A standby hears of the end through the marker, and looks by itself in case it does not.
 *
 *   standby -(key free)-> acquiring -(won)-> leading -(renewal late or refused)-> lost -> standby
 */
import { z } from 'zod';
import { pause, type MeshConnection } from '../connection.ts';
import { SERVER_HEADERS } from '../headers.ts';
import { publishEvent, type PublishOptions } from '../publisher.ts';
import { keys, STREAMS } from '../streams/stream-configs.ts';
import { lastMessage, type LastMessage, type StoredMessage } from '../streams/stream-read.ts';
import { tail, type Tail } from '../streams/tail.ts';

export interface LeaseOptions {
  /** Key in BM_LEASES. Default `leader`. */
  readonly name?: string;
  /** Identity of this process, new for each one. */
  readonly holder: string;
  /** Shown to who stands by: host, pid. */
  readonly description: string;
  /** Whole seconds, at least 1 s. Default 3000. */
  readonly ttlMs?: number;
  /** Leading from now on. */
  readonly onAcquired: () => void;
  /** Not leading any more: write nothing. Contending goes on. */
  readonly onLost: (reason: string) => void;
  /** Asked before it is taken or renewed; false: it is left to expire. Default: always. */
  readonly mayHold?: () => boolean;
  /** It surely holds for so long from now: at each renewal, and before `onAcquired`. */
  readonly onHeld?: (leftMs: number) => void;
  /** Another one holds it; called again when the holder changes. */
  readonly onStandby?: (holder: LeaseHolder) => void;
}

export interface LeaseHolder {
  readonly holder: string;
  readonly description: string;
}

export interface LeaseContender {
  /** True only while the lease surely holds, by this process's own clock. */
  isLeading(): boolean;
  /** Stops contending; a held lease is given back, so that a standby need not wait. */
  stop(): Promise<void>;
}

const DEFAULT_TTL_MS = 3_000;
const Value = z.object({ holder: z.string(), description: z.string() });
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Contends for the lease until stopped. Never throws; the callbacks must not. */
export function contendForLease(connection: MeshConnection, options: LeaseOptions): LeaseContender {
  return new Contender(connection, options);
}

/** Who holds the lease now, by the stream; null if nobody, or nobody knows. */
export async function leaseHolder(
  connection: MeshConnection,
  name = 'leader',
): Promise<LeaseHolder | null> {
  const look = lookAt(await lastMessage(connection, STREAMS.leases, keys.lease(name)));
  return look.kind === 'held' ? look.holder : null;
}

type Look =
  | { readonly kind: 'free'; readonly sequence: number }
  | { readonly kind: 'held'; readonly sequence: number; readonly holder: LeaseHolder }
  | { readonly kind: 'unknown' };

function lookAt(last: LastMessage): Look {
  if (last.kind === 'unknown') return { kind: 'unknown' };
  if (last.kind === 'none') return { kind: 'free', sequence: 0 };
  const { message } = last;
  const { sequence } = message;
  if (isEnd(message)) return { kind: 'free', sequence };
  try {
    const holder = Value.parse(JSON.parse(decoder.decode(message.data)));
    return { kind: 'held', sequence, holder };
  } catch {
    return { kind: 'held', sequence, holder: { holder: 'unknown', description: 'unreadable' } };
  }
}

/** The server's marker of expiry, or a lease given back. */
function isEnd(message: StoredMessage): boolean {
  return (
    message.header(SERVER_HEADERS.markerReason) !== null ||
    message.header(SERVER_HEADERS.keyOperation) !== null
  );
}

class Contender implements LeaseContender {
  readonly #connection: MeshConnection;
  readonly #options: LeaseOptions;
  readonly #subject: string;
  readonly #ttlMs: number;
  readonly #abort = new AbortController();
  readonly #watch: Tail;
  readonly #ended: Promise<void>;
  /** Monotonic ms until which the lease surely holds; null when not leading. */
  #holdsUntil: number | null = null;
  #sequence = 0;
  #standbyOf: string | null = null;
  #wake: () => void = () => undefined;
  #expiry: NodeJS.Timeout | undefined;

  constructor(connection: MeshConnection, options: LeaseOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#subject = keys.lease(options.name ?? 'leader');
    this.#ttlMs = Math.max(1, Math.round((options.ttlMs ?? DEFAULT_TTL_MS) / 1_000)) * 1_000;
    this.#watch = tail(connection, {
      stream: STREAMS.leases,
      filters: [this.#subject],
      lastPerSubject: true,
      onMessage: (message) => {
        if (this.#holdsUntil === null && isEnd(message)) this.#wake();
      },
    });
    this.#ended = this.#run();
  }

  isLeading(): boolean {
    return this.#holdsUntil !== null && performance.now() < this.#holdsUntil;
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    this.#wake();
    await this.#ended;
    await this.#watch.close();
    if (!this.isLeading()) return;
    clearTimeout(this.#expiry);
    this.#holdsUntil = null;
    await this.#put(new Uint8Array(), {
      expectedLastSubjectSequence: this.#sequence,
      headers: { [SERVER_HEADERS.keyOperation]: 'DEL' },
    });
  }

  /** A method, so that the compiler does not believe it constant. */
  #stopping(): boolean {
    return this.#abort.signal.aborted || this.#connection.isClosed();
  }

  async #run(): Promise<void> {
    while (!this.#stopping()) {
      if (this.#options.mayHold?.() !== false) {
        if (this.#holdsUntil === null) await this.#contend();
        else await this.#renew();
      }
      if (this.#stopping()) break;
      await this.#sleep(this.#holdsUntil === null ? this.#ttlMs / 3 : this.#ttlMs / 4);
    }
    if (this.#connection.isClosed()) this.#lose('the connection was closed');
  }

  async #contend(): Promise<void> {
    const look = lookAt(await lastMessage(this.#connection, STREAMS.leases, this.#subject));
    if (this.#stopping() || look.kind === 'unknown') return;
    if (look.kind === 'held' && look.holder.holder !== this.#options.holder) {
      if (this.#standbyOf === look.holder.holder) return;
      this.#standbyOf = look.holder.holder;
      this.#options.onStandby?.(look.holder);
      return;
    }
    // Free, or still ours from a renewal whose answer never came.
    const sent = performance.now();
    const outcome = await this.#put(this.#value(), {
      expectedLastSubjectSequence: look.sequence,
      ttl: this.#ttlMs / 1_000,
      timeoutMs: this.#ttlMs,
    });
    if (outcome.kind !== 'stored') return;
    this.#sequence = outcome.sequence;
    if (!this.#hold(sent)) return;
    this.#standbyOf = null;
    this.#options.onAcquired();
  }

  async #renew(): Promise<void> {
    const sent = performance.now();
    const outcome = await this.#put(this.#value(), {
      expectedLastSubjectSequence: this.#sequence,
      ttl: this.#ttlMs / 1_000,
      timeoutMs: Math.max(100, this.#ttlMs / 3),
    });
    if (outcome.kind === 'stored') {
      this.#sequence = outcome.sequence;
      if (this.#holdsUntil !== null) this.#hold(sent);
      return;
    }
    if (outcome.kind !== 'conflict') return; // tried again until the clock says lost
    const look = lookAt(await lastMessage(this.#connection, STREAMS.leases, this.#subject));
    if (look.kind === 'held' && look.holder.holder === this.#options.holder) {
      this.#sequence = look.sequence; // a renewal in doubt had been stored
    } else if (look.kind !== 'unknown') {
      this.#lose('another one took the lease');
    }
  }

  /** False when the answer came too late to be worth anything. */
  #hold(sentMs: number): boolean {
    const until = sentMs + this.#ttlMs * 0.85;
    const leftMs = until - performance.now();
    if (leftMs <= 0) return false;
    this.#holdsUntil = until;
    this.#options.onHeld?.(leftMs);
    clearTimeout(this.#expiry);
    this.#expiry = setTimeout(() => {
      this.#lose('the lease could not be renewed in time');
    }, leftMs);
    return true;
  }

  #lose(reason: string): void {
    if (this.#holdsUntil === null) return;
    clearTimeout(this.#expiry);
    this.#holdsUntil = null;
    this.#options.onLost(reason);
  }

  #value(): Uint8Array {
    const { holder, description } = this.#options;
    return encoder.encode(JSON.stringify({ holder, description }));
  }

  #put(value: Uint8Array, options: PublishOptions): ReturnType<typeof publishEvent> {
    return publishEvent(this.#connection, this.#subject, value, options);
  }

  async #sleep(ms: number): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => {
      woken.abort();
    };
    if (this.#abort.signal.aborted) return;
    await pause(ms, woken.signal);
  }
}
