/**
 * One term of leadership: from the claim to the loss of the lease or the first refused write.
 *
 *   claim -> (snapshot) -> read BM_EVENTS -> read BM_COMMANDS -> read the registry -> act, serve ... -> ended
 *
 * 1. Nothing is written before all three are read up to the claim; every write is fenced by the
 *    claim (I1).
 * 2. At the end all state is dropped: the next term begins from the streams.
 */
import { encode, type Writer } from '#protocol/messages/envelope.ts';
import { MeshError, toError } from '#protocol/messages/errors.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import {
  fencedPublisher,
  type Claim,
  type FencedPublisher,
} from '#protocol/nats/leader/fenced-publisher.ts';
import { STREAMS } from '#protocol/nats/streams/stream-configs.ts';
import { deleteMessage } from '#protocol/nats/streams/stream-purge.ts';
import { startActor, type Actor } from '#protocol/runtime/actor.ts';
import type { Clock, Timer } from '#protocol/runtime/clock.ts';
import type { Log } from '#protocol/runtime/log.ts';
import type { Api } from './api/serve-api.ts';
import {
  CORE_TIMING,
  createCore,
  type CoreMessage,
  type CoreState,
  type CoreTiming,
  type Effect,
  type PublishEffect,
} from './core/core-state.ts';
import { update } from './core/core-reducer.ts';
import { isLive } from './core/ends/sweep.ts';
import { Intake } from './intake.ts';
import type { Archivist } from './results/archivist.ts';
import { dropFiles, dropStarts, releaseRun } from './results/release.ts';
import { SnapshotKeeper } from './snapshot/snapshot-keeper.ts';
import type { SnapshotPort } from './snapshot/snapshot-port.ts';
import { natsPorts, type TermPorts } from './term-ports.ts';

const TICK_MS = 1_000;
const RETRY_MS = 1_000;
/** Below what an agent's queue of started tasks covers. */
const BATCH_MS = 4;

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
  /** Absent: those of its connection. */
  readonly ports?: TermPorts;
  /** Absent: all is read, each time. */
  readonly snapshots?: SnapshotPort;
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
  readonly #ports: TermPorts;
  readonly #writer: Writer & { readonly epoch: number };
  readonly #publisher: FencedPublisher;
  readonly #actor: Actor<CoreState, CoreMessage>;
  readonly #archivist: Archivist;
  readonly #sweep: ReturnType<TermPorts['sweeper']>;
  #sweeping: Promise<void> = Promise.resolve();
  readonly #abort = new AbortController();
  readonly #intake: Intake;
  readonly #snapshots: SnapshotKeeper | null;
  #outgoing: PublishEffect[] = [];
  #lastFlushMs = 0;
  #api: Api | null = null;
  #tick: Timer | null = null;
  #wake: Timer | null = null;
  #lastRequestMs: number;

  constructor(options: TermOptions) {
    this.#options = options;
    const { connection, clock, claim, id } = options;
    this.#ports = options.ports ?? natsPorts(connection);
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
    this.#archivist = this.#ports.archivist(
      {
        connection,
        clock,
        resultsDir: options.resultsDir,
        epoch: claim.epoch,
        version: options.version,
        isUnreachable: (agent) => this.#actor.state().fleet.agents.get(agent)?.unreachable ?? true,
        goneMs: (options.timing ?? CORE_TIMING).logGoneMs,
        signal: this.#abort.signal,
      },
      {
        log: options.log,
        onArchived: (run, directory) => {
          this.#actor.post({ kind: 'archived', run, directory });
        },
      },
    );
    this.#sweep = this.#ports.sweeper({
      ...options,
      waitMs: (options.timing ?? CORE_TIMING).purgeAfterMs,
      isLive: (run) => isLive(this.#actor.state(), run),
    });
    const { snapshots, log } = options;
    this.#snapshots =
      snapshots === undefined
        ? null
        : new SnapshotKeeper(snapshots, { log, signal: this.#abort.signal });
    this.#intake = new Intake({
      source: this.#ports.source,
      instance: claim.instance,
      post: (message) => {
        if (message.kind === 'event') this.#snapshots?.onEvent();
        this.#actor.post(message);
      },
      onBug: options.onBug,
    });
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
    this.#wake?.cancel();
    this.#options.onEnded(reason);
    await this.#intake.close();
  }

  #isOver(): boolean {
    return this.#abort.signal.aborted;
  }

  async #begin(): Promise<void> {
    const { clock, log, claim } = this.#options;
    const startedMs = clock.now().monotonicMs;
    const restored = (await this.#snapshots?.load()) ?? null;
    if (this.#isOver()) return;
    if (restored !== null) this.#actor.post({ kind: 'restored', state: restored.state });
    await this.#intake.read((restored?.sequence ?? 0) + 1);
    if (this.#isOver()) return;
    this.#actor.post({ kind: 'replayed' });
    this.#intake.listen();
    this.#api = this.#ports.serveApi({
      post: (message) => {
        this.#actor.post(message);
      },
      state: () => this.#actor.state(),
      isArchived: (run) => this.#ports.isArchived(this.#options.resultsDir, run),
      lastRunOf: (suite) => this.#ports.lastRunOf(this.#options.resultsDir, suite),
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
    const snapshot = restored === null ? {} : { snapshot: restored.messages };
    log.info({ epoch: claim.epoch, runs: runs.size, replayMs: tookMs, ...snapshot }, 'leading');
  }

  #scheduleTick(): void {
    this.#tick = this.#options.clock.after(TICK_MS, () => {
      if (this.#isOver()) return;
      if (this.#options.connection.isConnected()) {
        this.#actor.post({ kind: 'tick' });
        this.#snapshots?.look({ isIdle: this.isQuiet() });
      }
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
      case 'free_agent':
        void this.#untilDone(`removal of what was kept of agent ${effect.agent}`, async () => {
          const { agent, beforeMs } = effect;
          await this.#ports.freeAgent(effect);
          this.#actor.post({ kind: 'freed', agent, beforeMs });
        });
        return;
      case 'read_history':
        void this.#readHistory(effect.run, effect.basis);
        return;
      case 'say_passed_soon':
        this.#options.clock.after(effect.afterMs, () => {
          this.#actor.post({ kind: 'say_passed' });
        });
        return;
      case 'wake_soon':
        this.#wake?.cancel();
        this.#wake = this.#options.clock.after(effect.afterMs, () => {
          this.#actor.post({ kind: 'wake' });
        });
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
      case 'sweep':
        this.#sweeping = this.#sweeping.then(() =>
          this.#untilDone('sweep', () => this.#sweep(effect)),
        );
        return;
      case 'drop_files':
        void this.#untilDone(`removal of old checkpoints of ${effect.run}`, () =>
          dropFiles(this.#options.connection, effect.run, effect.files),
        );
        return;
      case 'drop_starts':
        void this.#untilDone(`removal of old starts of ${effect.run}`, () =>
          dropStarts(this.#options.connection, effect),
        );
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
      await this.#ports.ensureMailbox(agent);
      this.#actor.post({ kind: 'mailbox', agent, made: true });
    } catch (error) {
      this.#options.log.warn({ agent, err: toError(error).message }, 'mailbox could not be made');
      this.#actor.post({ kind: 'mailbox', agent, made: false });
    }
  }

  async #readHistory(run: string, basis: string): Promise<void> {
    try {
      const history = await this.#ports.historyOf(this.#options.resultsDir, basis);
      this.#actor.post({ kind: 'history', run, history, reason: null });
    } catch (error) {
      const reason = toError(error).message;
      this.#actor.post({ kind: 'history', run, history: null, reason });
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
