/**
 * The leading coordinator's writes. Each carries, as its expectation, the sequence of the leader's
 * own claim on the stream's epoch subject (I1): after a newer claim none of them is stored any more.
 *
 * 1. One in flight per subject, so that no repeat can change the order on a subject (facts 3.2);
 *    up to `window` subjects in flight together. Nothing is promised across subjects: who needs
 *    that awaits the first before the second. An `unordered` message goes beside its subject's
 *    queue: for those whose order does not matter and whose repeat is recognised by the reader.
 * 2. A doubt (time-out, broken link) is repeated identically, for ever. The expectation does not
 *    recognise a repeat, so each message has an id the server drops repeats by, and on doubt the
 *    subject's last message is asked for first: it shows whether this one is stored, however long
 *    ago that was.
 * 3. A conflict means deposed: `onDeposed` once, and everything queued or later is refused.
 * 4. A full stream is waited out. What waits is bounded by the caller, who sees `pending()` and
 *    gets a promise for each message (I12).
 */
import { MeshError } from '../../messages/errors.ts';
import { backoffMs } from '../../runtime/backoff.ts';
import { pause, type MeshConnection } from '../connection.ts';
import { HEADERS, type HeaderFields } from '../headers.ts';
import { publishEvent, type Fence, type PublishOutcome } from '../publisher.ts';
import { STREAMS } from '../streams/stream-configs.ts';
import { lastMessage } from '../streams/stream-read.ts';

/** A leader's claim: what its writes are fenced by. */
export interface Claim {
  readonly epoch: number;
  /** Identity of the claimant, new for each claim. */
  readonly instance: string;
  readonly events: Fence;
  readonly commands: Fence;
}

export interface FencedPublisher {
  /**
   * Stores one message. Resolves with its sequence once stored. Rejects with MeshError `deposed`,
   * `mesh_unreachable` (the connection was closed: stored or not), or `internal` for a message that
   * no stream takes (too large, not permitted). Calls for one subject are stored in their order.
   */
  publish(subject: string, payload: Uint8Array, options?: FencedOptions): Promise<number>;
  /** Resolves when all that was given so far is stored or refused. */
  flush(): Promise<void>;
  isDeposed(): boolean;
  /** Messages given and not yet settled. */
  pending(): number;
  /** Refuses what is queued and what comes, as `deposed`. */
  close(): void;
}

export interface FencedOptions {
  readonly headers?: HeaderFields;
  /** Seconds the message lives, or `never`. BM_COMMANDS only. */
  readonly ttl?: number | 'never';
  /** Not queued behind others of its subject; may be stored twice (a doubt older than 120 s). */
  readonly unordered?: boolean;
}

export interface FencedPublisherOptions {
  readonly connection: MeshConnection;
  readonly claim: Claim;
  /** Called once, at the first refusal. */
  readonly onDeposed: (reason: string) => void;
  /** Subjects in flight at a time. Default 128. */
  readonly window?: number;
}

interface Job {
  readonly subject: string;
  /** What it is queued under: its subject, or itself alone. */
  readonly lane: string;
  readonly payload: Uint8Array;
  readonly options: FencedOptions;
  readonly number: number;
  readonly resolve: (sequence: number) => void;
  readonly reject: (error: MeshError) => void;
}

const DEFAULT_WINDOW = 128;
const RETRY = { firstMs: 25, maxMs: 2_000, factor: 2 } as const;

export function fencedPublisher(options: FencedPublisherOptions): FencedPublisher {
  return new Publisher(options);
}

class Publisher implements FencedPublisher {
  readonly #connection: MeshConnection;
  readonly #claim: Claim;
  readonly #onDeposed: (reason: string) => void;
  readonly #window: number;
  /** Jobs by lane; a lane in the map is in flight or in `#ready`. */
  readonly #lanes = new Map<string, Job[]>();
  /** Lanes with a job and none in flight, in the order they became so. */
  #ready: string[] = [];
  #inFlight = 0;
  #count = 0;
  #number = 0;
  #deposed: string | null = null;
  #idle: (() => void)[] = [];

  constructor(options: FencedPublisherOptions) {
    this.#connection = options.connection;
    this.#claim = options.claim;
    this.#onDeposed = options.onDeposed;
    this.#window = options.window ?? DEFAULT_WINDOW;
  }

  publish(subject: string, payload: Uint8Array, options: FencedOptions = {}): Promise<number> {
    if (this.#deposed !== null) return Promise.reject(deposed(this.#deposed));
    return new Promise((resolve, reject) => {
      this.#number += 1;
      const number = this.#number;
      const lane = options.unordered === true ? `${subject} ${number}` : subject;
      this.#count += 1;
      const jobs = this.#lanes.get(lane);
      const job: Job = { subject, lane, payload, options, number, resolve, reject };
      if (jobs === undefined) {
        this.#lanes.set(lane, [job]);
        this.#ready.push(lane);
        this.#pump();
      } else {
        jobs.push(job);
      }
    });
  }

  flush(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle.push(resolve);
    });
  }

  isDeposed(): boolean {
    return this.#deposed !== null;
  }

  pending(): number {
    return this.#count;
  }

  close(): void {
    this.#refuseAll('this coordinator has stopped');
  }

  #onConflict(reason: string): void {
    if (this.#deposed !== null) return;
    this.#refuseAll(reason);
    this.#onDeposed(reason);
  }

  #pump(): void {
    while (this.#inFlight < this.#window && this.#ready.length > 0) {
      const batch = this.#ready.splice(0, this.#window - this.#inFlight);
      for (const lane of batch) {
        const job = this.#lanes.get(lane)?.[0];
        if (job === undefined) continue;
        this.#inFlight += 1;
        void this.#store(job).then((settle) => {
          this.#inFlight -= 1;
          this.#advance(lane);
          settle();
          this.#pump();
          if (this.#count === 0) this.#wakeIdle();
        });
      }
    }
  }

  #advance(lane: string): void {
    const jobs = this.#lanes.get(lane);
    if (jobs === undefined) return; // refused meanwhile
    jobs.shift();
    this.#count -= 1;
    if (jobs.length === 0) this.#lanes.delete(lane);
    else this.#ready.push(lane);
  }

  /** Repeats one job until it is settled; resolves with what tells its caller. */
  async #store(job: Job): Promise<() => void> {
    for (let attempt = 0; ; attempt += 1) {
      if (this.#deposed !== null) return refusal(job, this.#deposed);
      await this.#connection.whenConnected();
      if (this.#connection.isClosed()) {
        return () => {
          job.reject(
            new MeshError(
              'mesh_unreachable',
              'the connection was closed before the write was stored',
            ),
          );
        };
      }
      if (attempt > 0) {
        const stored = await this.#storedAlready(job);
        if (stored === 'unknown') {
          await pause(backoffMs(RETRY, Math.min(attempt, 10), Math.random()));
          continue;
        }
        if (stored !== null) {
          return () => {
            job.resolve(stored);
          };
        }
      }
      const outcome = await this.#send(job);
      if (outcome.kind === 'stored') {
        return () => {
          job.resolve(outcome.sequence);
        };
      }
      if (outcome.kind === 'conflict') {
        this.#onConflict(outcome.reason);
        return refusal(job, outcome.reason);
      }
      if (outcome.kind === 'rejected') {
        return () => {
          job.reject(new MeshError('internal', `${job.subject}: ${outcome.reason}`));
        };
      }
      if (attempt === 0 || attempt % 50 === 0) {
        this.#connection.log.warn(
          { subject: job.subject, outcome: outcome.kind, attempt },
          'write not stored yet, repeating',
        );
      }
      await pause(backoffMs(RETRY, Math.min(attempt, 10), Math.random()));
    }
  }

  #send(job: Job): Promise<PublishOutcome> {
    const { epoch, instance } = this.#claim;
    const { ttl, headers } = job.options;
    return publishEvent(this.#connection, job.subject, job.payload, {
      headers: {
        ...headers,
        [HEADERS.epoch]: String(epoch),
        [HEADERS.instance]: instance,
        [HEADERS.seq]: String(job.number),
      },
      fence: this.#fenceOf(job.subject),
      messageId: `${instance}:${job.number}`,
      ...(ttl === undefined ? {} : { ttl }),
    });
  }

  /** The sequence under which the job is stored, null if it is not. */
  async #storedAlready(job: Job): Promise<number | null | 'unknown'> {
    const stream = isCommand(job.subject) ? STREAMS.commands : STREAMS.events;
    const last = await lastMessage(this.#connection, stream, job.subject);
    if (last.kind === 'unknown') return 'unknown';
    if (last.kind === 'none') return null;
    const { message } = last;
    const mine =
      message.header(HEADERS.instance) === this.#claim.instance &&
      message.header(HEADERS.seq) === String(job.number);
    return mine ? message.sequence : null;
  }

  #fenceOf(subject: string): Fence {
    return isCommand(subject) ? this.#claim.commands : this.#claim.events;
  }

  #refuseAll(reason: string): void {
    if (this.#deposed !== null) return;
    this.#deposed = reason;
    const lanes = [...this.#lanes.values()];
    this.#lanes.clear();
    this.#ready = [];
    this.#count = 0;
    for (const job of lanes.flat()) job.reject(deposed(reason));
    this.#wakeIdle();
  }

  #wakeIdle(): void {
    const waiting = this.#idle;
    this.#idle = [];
    for (const wake of waiting) wake();
  }
}

function isCommand(subject: string): boolean {
  return subject.startsWith('bm.v1.cmd.');
}

function deposed(reason: string): MeshError {
  return new MeshError(
    'deposed',
    `another coordinator leads now: this one may not write (${reason})`,
  );
}

function refusal(job: Job, reason: string): () => void {
  return () => {
    job.reject(deposed(reason));
  };
}
