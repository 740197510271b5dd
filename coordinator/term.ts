/**
 * One term of leadership: from the claim to the loss of the lease or the first refused write.
 *
 *   claim -> replay BM_EVENTS -> replay BM_COMMANDS -> registry -> act, serve ... -> ended
 *
 * 1. Nothing is written before both streams are replayed up to the claim; every write is fenced by
 *    the claim (I1).
 * 2. At the end all state is dropped: the next term begins from the streams.
 */
import { decode, encode, type Writer } from '#protocol/messages/envelope.ts';
import { MeshError, toError } from '#protocol/messages/errors.ts';
import type { AttemptRef } from '#protocol/messages/ids.ts';
import { parseSubject } from '#protocol/messages/subjects.ts';
import { HEADERS } from '#protocol/nats/headers.ts';
import { Heartbeat, Registration } from '#protocol/messages/host.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import {
  fencedPublisher,
  type Claim,
  type FencedPublisher,
} from '#protocol/nats/fenced-publisher.ts';
import { subscribeHeartbeats } from '#protocol/nats/heartbeat.ts';
import { ensureMailbox } from '#protocol/nats/mailbox.ts';
import { watchAgents } from '#protocol/nats/registry.ts';
import { STREAMS } from '#protocol/nats/stream-configs.ts';
import { deleteMessage } from '#protocol/nats/stream-purge.ts';
import { tail, type Tail, type TailMessage } from '#protocol/nats/tail.ts';
import { startActor, type Actor } from '#protocol/runtime/actor.ts';
import type { Clock, Timer } from '#protocol/runtime/clock.ts';
import type { Log } from '#protocol/runtime/log.ts';
import { serveApi, type Api } from './api/serve-api.ts';
import {
  createCore,
  type CoreMessage,
  type CoreState,
  type CoreTiming,
  type Effect,
  type PublishEffect,
} from './core/core-state.ts';
import { update } from './core/core-reducer.ts';
import { attemptOfStart } from './core/act.ts';
import { isArchived } from './results/archive.ts';
import { createArchivist, type Archivist } from './results/archivist.ts';
import { releaseRun } from './results/release.ts';

const TICK_MS = 1_000;
const RETRY_MS = 1_000;
/** Below what an agent's queue of started tasks covers. */
const BATCH_MS = 4;
/** The envelope's first members, its id among them. */
const HEAD_BYTES = 200;

export interface TermOptions {
  readonly connection: MeshConnection;
  readonly clock: Clock;
  readonly log: Log;
  readonly claim: Claim;
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  readonly resultsDir: string;
  readonly logFile: string;
  /** For tests. */
  readonly timing?: CoreTiming;
  /** The term is over; called once. */
  readonly onEnded: (reason: string) => void;
  /** A defect: the process ends. */
  readonly onBug: (error: unknown) => void;
}

export interface Term {
  /** Resolves when it acts and serves; also when it ended before that. */
  readonly serving: Promise<void>;
  /** Nothing is live or on its way. */
  isQuiet(): boolean;
  /** Monotonic time of the last request, or of the beginning. */
  lastRequestMs(): number;
  /** Stops acting at once; resolves when nothing of it runs any more. */
  end(reason: string): Promise<void>;
}

export function beginTerm(options: TermOptions): Term {
  return new LeaderTerm(options);
}

class LeaderTerm implements Term {
  readonly serving: Promise<void>;
  readonly #options: TermOptions;
  readonly #writer: Writer & { readonly epoch: number };
  readonly #publisher: FencedPublisher;
  readonly #actor: Actor<CoreState, CoreMessage>;
  readonly #archivist: Archivist;
  readonly #abort = new AbortController();
  readonly #tails: Tail[] = [];
  readonly #stops: (() => void)[] = [];
  #outgoing: PublishEffect[] = [];
  #lastFlushMs = 0;
  #api: Api | null = null;
  #tick: Timer | null = null;
  #lastRequestMs: number;

  constructor(options: TermOptions) {
    this.#options = options;
    const { connection, clock, claim, id } = options;
    this.#writer = { source: `/coordinators/${id}`, epoch: claim.epoch };
    this.#lastRequestMs = clock.now().monotonicMs;
    this.#publisher = fencedPublisher({
      connection,
      claim,
      onDeposed: (reason) => void this.end(`deposed: ${reason}`),
    });
    this.#actor = startActor<CoreState, CoreMessage, Effect>({
      initial: createCore({ epoch: claim.epoch, sequence: claim.events.sequence }, options.timing),
      update,
      perform: (effect) => {
        this.#perform(effect);
      },
      clock,
      onBug: options.onBug,
    });
    this.#archivist = createArchivist(
      {
        connection,
        clock,
        resultsDir: options.resultsDir,
        epoch: claim.epoch,
        version: options.version,
        isUnreachable: (agent) => this.#actor.state().fleet.agents.get(agent)?.unreachable ?? true,
        signal: this.#abort.signal,
      },
      {
        log: options.log,
        onArchived: (run, directory) => {
          this.#actor.post({ kind: 'archived', run, directory });
        },
      },
    );
    this.serving = this.#begin();
  }

  isQuiet(): boolean {
    const { acting, runs, submitting } = this.#actor.state();
    return acting && runs.size === 0 && submitting.size === 0 && this.#publisher.pending() === 0;
  }

  lastRequestMs(): number {
    return this.#lastRequestMs;
  }

  async end(reason: string): Promise<void> {
    if (this.#isOver()) return;
    this.#abort.abort();
    this.#actor.close();
    this.#publisher.close();
    this.#api?.stop();
    this.#tick?.cancel();
    for (const stop of this.#stops) stop();
    this.#options.onEnded(reason);
    await Promise.all(this.#tails.map((one) => one.close()));
  }

  #isOver(): boolean {
    return this.#abort.signal.aborted;
  }

  async #begin(): Promise<void> {
    const { connection, clock, log, claim } = this.#options;
    const startedMs = clock.now().monotonicMs;
    await this.#replay(STREAMS.events, ['bm.v1.evt.>'], 'event');
    await this.#replay(STREAMS.commands, ['bm.v1.cmd.>'], 'command');
    if (this.#isOver()) return;
    this.#actor.post({ kind: 'replayed' });
    const beats = subscribeHeartbeats(connection, (_agent, body) => {
      this.#onHeartbeat(body);
    });
    this.#stops.push(
      () => {
        beats.stop();
      },
      connection.onStatus((status) => {
        if (status === 'reconnected') this.#actor.post({ kind: 'reconnected' });
      }),
    );
    this.#tails.push(
      watchAgents(connection, {
        onAgent: ({ agent, data }) => {
          this.#onRegistration(agent, data);
        },
        onForgotten: (agent) => {
          this.#actor.post({ kind: 'forgotten', agent });
        },
      }),
    );
    this.#api = serveApi({
      connection,
      post: (message) => {
        this.#actor.post(message);
      },
      state: () => this.#actor.state(),
      isArchived: (run) => isArchived(this.#options.resultsDir, run),
      about: () => ({
        coordinator: this.#options.id,
        epoch: claim.epoch,
        version: this.#options.version,
        pid: this.#options.pid,
        host: this.#options.host,
        resultsDir: this.#options.resultsDir,
        logFile: this.#options.logFile,
        notices: this.#archivist.notices(),
      }),
      onRequest: () => {
        this.#lastRequestMs = clock.now().monotonicMs;
      },
    });
    this.#scheduleTick();
    const { runs } = this.#actor.state();
    const tookMs = Math.round(clock.now().monotonicMs - startedMs);
    log.info({ epoch: claim.epoch, runs: runs.size, replayMs: tookMs }, 'leading');
  }

  /** Reads a stream for the rest of the term; resolves when it is read up to the claim. */
  #replay(stream: string, subjectFilters: string[], kind: 'event' | 'command'): Promise<void> {
    if (this.#isOver()) return Promise.resolve();
    return new Promise((resolve) => {
      const reader = tail(this.#options.connection, {
        stream,
        filters: subjectFilters,
        onMessage: (message) => {
          this.#onStored(kind, message);
        },
        onCaughtUp: () => {
          resolve();
        },
        onError: this.#options.onBug,
      });
      this.#tails.push(reader);
      void reader.ended.then(resolve);
    });
  }

  #onStored(kind: 'event' | 'command', message: TailMessage): void {
    const { subject, sequence, timeMs, data } = message;
    const own = kind === 'command' ? this.#ownStart(message) : null;
    if (own !== null) {
      this.#actor.post({ kind: 'own_start', sequence, ...own });
      return;
    }
    const decoded = decode(data);
    if (decoded.kind === 'ok') {
      this.#actor.post({ kind, record: { subject, sequence, timeMs, message: decoded.message } });
      return;
    }
    const { type, reason } = decoded;
    this.#actor.post({ kind: 'unreadable', subject, sequence, type, reason });
  }

  /** The attempt, if this is a start of this term: what is in it need not be read back. */
  #ownStart(message: TailMessage): AttemptRef | null {
    if (message.header(HEADERS.instance) !== this.#options.claim.instance) return null;
    const subject = parseSubject(message.subject);
    if (subject?.kind !== 'command' || subject.command !== 'start') return null;
    const head = new TextDecoder().decode(message.data.subarray(0, HEAD_BYTES));
    const id = /^\{"specversion":"1\.0","id":"([\w-]+)"/.exec(head)?.[1];
    return id === undefined ? null : attemptOfStart(id, subject.run);
  }

  #onHeartbeat(body: Uint8Array): void {
    const beat = Heartbeat.safeParse(parseJson(body));
    if (beat.success) this.#actor.post({ kind: 'heartbeat', beat: beat.data });
  }

  #onRegistration(agent: string, data: Uint8Array): void {
    const registration = Registration.safeParse(parseJson(data));
    if (registration.success && registration.data.agent === agent) {
      this.#actor.post({ kind: 'registered', registration: registration.data });
      return;
    }
    const reason = 'the registration is malformed';
    const subject = `${STREAMS.agents}.${agent}`;
    this.#actor.post({ kind: 'unreadable', subject, sequence: null, type: null, reason });
  }

  #scheduleTick(): void {
    this.#tick = this.#options.clock.after(TICK_MS, () => {
      if (this.#isOver()) return;
      if (this.#options.connection.isConnected()) this.#actor.post({ kind: 'tick' });
      this.#scheduleTick();
    });
  }

  #perform(effect: Effect): void {
    switch (effect.kind) {
      case 'publish':
        this.#publishSoon(effect);
        return;
      case 'reply':
        this.#api?.answer(effect.token, effect.reply);
        return;
      case 'make_mailbox':
        void this.#makeMailbox(effect.agent);
        return;
      case 'archive':
        this.#archivist.archive(effect);
        return;
      case 'purge':
        void this.#untilDone(`purge of ${effect.run}`, async () => {
          const { connection, clock } = this.#options;
          await releaseRun(
            { connection, clock, publisher: this.#publisher, writer: this.#writer },
            effect,
          );
          this.#actor.post({ kind: 'purged', run: effect.run });
        });
        return;
      case 'delete_stop':
        void this.#untilDone(`removal of stop ${effect.sequence}`, () =>
          deleteMessage(this.#options.connection, STREAMS.commands, effect.sequence),
        );
        return;
      case 'log':
        this.#options.log[effect.level](effect.fields, effect.text);
        return;
    }
  }

  /**
   * After a pause a message goes out at once; those that follow within the window go together, in
   * one write to the socket: most of a trivial task's cost is writes and wake-ups.
   */
  #publishSoon(effect: PublishEffect): void {
    this.#outgoing.push(effect);
    if (this.#outgoing.length > 1) return;
    const sinceMs = this.#options.clock.now().monotonicMs - this.#lastFlushMs;
    if (sinceMs >= BATCH_MS) setImmediate(this.#flush);
    else this.#options.clock.after(BATCH_MS - sinceMs, this.#flush);
  }

  readonly #flush = (): void => {
    const batch = this.#outgoing;
    this.#outgoing = [];
    this.#lastFlushMs = this.#options.clock.now().monotonicMs;
    if (!this.#isOver()) for (const one of batch) void this.#publish(one);
  };

  async #publish(effect: PublishEffect): Promise<void> {
    const { name, data, id } = effect;
    const timeMs = this.#options.clock.now().wallMs;
    const payload = encode({ name, data, id, timeMs, writer: this.#writer });
    const { ttl, unordered } = effect;
    try {
      await this.#publisher.publish(effect.subject, payload, {
        ...(ttl === undefined ? {} : { ttl }),
        ...(unordered === undefined ? {} : { unordered }),
      });
    } catch (error) {
      if (error instanceof MeshError && error.code === 'deposed') return; // the term ends by it
      this.#actor.post({ kind: 'unstorable', effect, reason: toError(error).message });
    }
  }

  async #makeMailbox(agent: string): Promise<void> {
    try {
      await ensureMailbox(this.#options.connection, agent);
      this.#actor.post({ kind: 'mailbox', agent, made: true });
    } catch (error) {
      this.#options.log.warn({ agent, err: toError(error).message }, 'mailbox could not be made');
      this.#actor.post({ kind: 'mailbox', agent, made: false });
    }
  }

  /** Repeats what may be repeated until it is done or the term is over. */
  async #untilDone(what: string, work: () => Promise<void>): Promise<void> {
    const { clock, log } = this.#options;
    while (!this.#isOver()) {
      try {
        await work();
        return;
      } catch (error) {
        if (this.#isOver()) return;
        log.warn({ err: toError(error).message }, `${what} failed, trying again`);
      }
      await new Promise<void>((resolve) => {
        clock.after(RETRY_MS, resolve);
      });
    }
  }
}

function parseJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(data));
  } catch {
    return null;
  }
}
