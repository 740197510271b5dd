/**
 * An agent's mailbox: one durable pull consumer on BM_COMMANDS, made by the coordinator at
 * enrolment, read by the agent.
 *
 * 1. One message at a time (`max_ack_pending` 1): more than one reorders on redelivery.
 * 2. A command is acknowledged after the handler has journalled it, at once, whatever it waits for.
 * 3. What was handled and comes again is acknowledged again without the handler, as far as this
 *    process remembers: a kill -9 of the server takes back many acks, not only the last. Across
 *    restarts of the agent the handler deduplicates, by command id.
 * 4. Once nothing is left that was there before, that is said: an agent that comes back begins nothing until then.
 * 5. It resumes for ever, also when the consumer is missing: the coordinator may not have made it. It says so
 *    when it misses it again and again: it is gone for good where the agent was forgotten.
 */
import {
  AckPolicy,
  DeliverPolicy,
  jetstream,
  jetstreamManager,
  JetStreamApiError,
  ReplayPolicy,
  type ConsumerConfig,
  type ConsumerMessages,
  type JsMsg,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import { MeshError, toError } from '../../messages/errors.ts';
import { filters } from '../../messages/subjects.ts';
import { pause, type MeshConnection } from '../connection.ts';
import { STREAMS } from '../streams/stream-configs.ts';

export interface MailMessage {
  readonly subject: string;
  /** Sequence in BM_COMMANDS. */
  readonly sequence: number;
  /** The stream's timestamp, ms since 1970. */
  readonly timeMs: number;
  readonly data: Uint8Array;
  /** Delivered before, to this process or an earlier one. */
  readonly redelivered: boolean;
}

/** `ack`: journalled, never again. `term`: unreadable, never again, and reported. */
export type MailDecision = 'ack' | 'term';

export interface MailboxEvents {
  /** The server does not know of it, again and again. */
  readonly onMissing?: () => void;
  /** Once: everything that was in it has been handled. */
  readonly onRead?: () => void;
}

export interface Mailbox {
  /** Resolves when the consumer has been found and is being read. */
  readonly opened: Promise<void>;
  /** Ends it; resolves when the running handler is done and its ack sent. Before the drain. */
  close(): Promise<void>;
}

/**
 * How long the server waits for an ack before it delivers again. Short, because with one message
 * at a time a lost ack holds up what follows, a stop among it.
 */
const ACK_WAIT_MS = 3_000;
const RETRY_MS = 500;
const LOOK_MS = 100;
/** Found missing so often in a row it is told, and then each so often. */
const TELL_MISSING = { first: 2, each: 10 } as const;
const NO_CONSUMER = 10014;
const CONSUMER_EXISTS: ReadonlySet<number> = new Set([10013, 10105, 10148]);

export function mailboxName(agent: string): string {
  return `agent-${agent}`;
}

/**
 * Makes the agent's mailbox, or finds it. Idempotent. Rejects with MeshError
 * `stream_config_mismatch` if one of that name reads something else, or `mesh_unreachable`.
 */
export async function ensureMailbox(connection: MeshConnection, agent: string): Promise<void> {
  const asked = {
    durable_name: mailboxName(agent),
    filter_subjects: filters.mailbox(agent),
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(ACK_WAIT_MS),
    deliver_policy: DeliverPolicy.All,
    replay_policy: ReplayPolicy.Instant,
    max_ack_pending: 1,
    max_deliver: -1,
  } satisfies Partial<ConsumerConfig>;
  try {
    const manager = await jetstreamManager(connection.nats, { checkAPI: false });
    const { config } = await manager.consumers
      .add(STREAMS.commands, asked)
      .catch((error: unknown) => {
        if (error instanceof JetStreamApiError && CONSUMER_EXISTS.has(error.code)) {
          return manager.consumers.info(STREAMS.commands, asked.durable_name);
        }
        throw error;
      });
    checkMailbox(asked, config);
  } catch (error) {
    if (error instanceof MeshError) throw error;
    throw new MeshError(
      'mesh_unreachable',
      `the mailbox of ${agent} could not be made: ${toError(error).message}`,
      error,
    );
  }
}

/**
 * Removes it, unless its agent listens; it is made anew when its agent enrols again. Idempotent; rejects with
 * MeshError `mesh_unreachable`.
 */
export async function dropMailbox(connection: MeshConnection, agent: string): Promise<void> {
  try {
    const manager = await jetstreamManager(connection.nats, { checkAPI: false });
    const { num_waiting } = await manager.consumers.info(STREAMS.commands, mailboxName(agent));
    if (num_waiting === 0) await manager.consumers.delete(STREAMS.commands, mailboxName(agent));
  } catch (error) {
    if (isMissing(error)) return;
    const message = `the mailbox of ${agent} could not be removed: ${toError(error).message}`;
    throw new MeshError('mesh_unreachable', message, error);
  }
}

/**
 * The agent has taken over every command up to this sequence of BM_COMMANDS; 0 where there is no
 * mailbox. Rejects with MeshError `mesh_unreachable`.
 */
export async function mailboxFloor(connection: MeshConnection, agent: string): Promise<number> {
  try {
    const manager = await jetstreamManager(connection.nats, { checkAPI: false });
    const info = await manager.consumers.info(STREAMS.commands, mailboxName(agent));
    return info.ack_floor.stream_seq;
  } catch (error) {
    if (isMissing(error)) return 0;
    const reason = toError(error).message;
    throw new MeshError('mesh_unreachable', `the mailbox of ${agent}: ${reason}`, error);
  }
}

function checkMailbox(asked: Partial<ConsumerConfig>, got: ConsumerConfig): void {
  const returned = new Map<string, unknown>(Object.entries(got));
  for (const [field, want] of Object.entries(asked)) {
    const have = returned.get(field) ?? null;
    const same = Array.isArray(want)
      ? JSON.stringify(want) === JSON.stringify(have)
      : want === have;
    if (same) continue;
    throw new MeshError(
      'stream_config_mismatch',
      `consumer ${String(asked.durable_name)}: ${field} is ${JSON.stringify(have)}, benchmesh needs ${JSON.stringify(want)}`,
    );
  }
}

/**
 * Reads the agent's mailbox until closed. A handler that rejects is a bug: it is logged and the
 * message comes again after a second.
 */
export function openMailbox(
  connection: MeshConnection,
  agent: string,
  handler: (message: MailMessage) => Promise<MailDecision>,
  events: MailboxEvents = {},
): Mailbox {
  return new Reader(connection, agent, handler, events);
}

class Reader implements Mailbox {
  readonly opened: Promise<void>;
  readonly #connection: MeshConnection;
  readonly #agent: string;
  readonly #taker: MailTaker;
  readonly #events: MailboxEvents;
  readonly #abort = new AbortController();
  readonly #ended: Promise<void>;
  #onOpened: () => void = () => undefined;
  /** In a row. */
  #missed = 0;
  #messages: ConsumerMessages | null = null;

  constructor(
    connection: MeshConnection,
    agent: string,
    handler: (message: MailMessage) => Promise<MailDecision>,
    events: MailboxEvents,
  ) {
    this.#connection = connection;
    this.#agent = agent;
    this.#events = events;
    this.#taker = new MailTaker(handler, (error, sequence) => {
      connection.log.error({ err: error, sequence }, 'a command handler threw');
    });
    this.opened = new Promise((resolve) => {
      this.#onOpened = resolve;
    });
    this.#ended = this.#run();
    if (events.onRead !== undefined) void this.#untilRead(events.onRead);
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#messages?.stop();
    await this.#ended;
  }

  #closing(): boolean {
    return this.#abort.signal.aborted || this.#connection.isClosed();
  }

  async #run(): Promise<void> {
    const name = mailboxName(this.#agent);
    for (let attempt = 0; !this.#closing(); attempt += 1) {
      try {
        const consumer = await jetstream(this.#connection.nats).consumers.get(
          STREAMS.commands,
          name,
        );
        const messages = await consumer.consume({
          max_messages: 16,
          expires: 5_000,
          idle_heartbeat: 1_000,
          abort_on_missing_resource: true,
        });
        this.#messages = messages;
        if (this.#closing()) messages.stop();
        this.#missed = 0;
        this.#onOpened();
        for await (const message of messages) {
          if (this.#closing()) break;
          await this.#taker.take(deliveryOf(message));
        }
      } catch (error) {
        const fields = { consumer: name, err: toError(error).message };
        if (attempt % 20 === 0)
          this.#connection.log.info(fields, 'mailbox not there yet, trying on');
        if (isMissing(error)) this.#tellMissing();
      } finally {
        this.#messages?.stop();
        this.#messages = null;
      }
      if (!this.#closing()) await pause(RETRY_MS, this.#abort.signal);
    }
  }

  /** Asked, not told by the last message: one that was on its way to the process before may be gone by now. */
  async #untilRead(onRead: () => void): Promise<void> {
    await Promise.race([this.opened, this.#ended]);
    while (!this.#closing()) {
      try {
        const manager = await jetstreamManager(this.#connection.nats, { checkAPI: false });
        const name = mailboxName(this.#agent);
        const { num_pending, num_ack_pending } = await manager.consumers.info(
          STREAMS.commands,
          name,
        );
        if (num_pending + num_ack_pending === 0) {
          onRead();
          return;
        }
      } catch (error) {
        this.#connection.log.debug({ err: toError(error).message }, 'mailbox not looked at');
      }
      await pause(LOOK_MS, this.#abort.signal);
    }
  }

  #tellMissing(): void {
    this.#missed += 1;
    const { first, each } = TELL_MISSING;
    if (this.#missed % each === first && !this.#closing()) this.#events.onMissing?.();
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === NO_CONSUMER;
}

/** A message as the server delivers it, and what may be answered. */
export interface Delivery extends MailMessage {
  ack(): void;
  term(): void;
  /** To be delivered again after so long. */
  nak(afterMs: number): void;
}

/** Hands deliveries to the handler, and answers them; what it knows as handled is acknowledged (3). */
export class MailTaker {
  readonly #handler: (message: MailMessage) => Promise<MailDecision>;
  readonly #onThrown: (error: Error, sequence: number) => void;
  /** The newest message handled: all before it were too (1). */
  #handled = { sequence: 0, timeMs: 0 };

  constructor(
    handler: (message: MailMessage) => Promise<MailDecision>,
    onThrown: (error: Error, sequence: number) => void,
  ) {
    this.#handler = handler;
    this.#onThrown = onThrown;
  }

  async take(delivery: Delivery): Promise<void> {
    const { sequence, timeMs } = delivery;
    // By time too: the sequences of a stream that was made anew begin again.
    if (sequence <= this.#handled.sequence && timeMs <= this.#handled.timeMs) {
      delivery.ack();
      return;
    }
    let decision: MailDecision;
    try {
      decision = await this.#handler(delivery);
    } catch (error) {
      this.#onThrown(toError(error), sequence);
      delivery.nak(1_000);
      return;
    }
    this.#handled = { sequence, timeMs };
    if (decision === 'ack') delivery.ack();
    else delivery.term();
  }
}

function deliveryOf(message: JsMsg): Delivery {
  const { subject, data } = message;
  const { streamSequence: sequence, redelivered } = message.info;
  return {
    subject,
    data,
    sequence,
    redelivered,
    timeMs: Number(message.timestampNanos / 1_000_000n),
    ack: () => {
      message.ack();
    },
    term: () => {
      message.term();
    },
    nak: (afterMs) => {
      message.nak(afterMs);
    },
  };
}
