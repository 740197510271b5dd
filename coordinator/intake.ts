/**
 * What comes in during a term, as messages to the core: both streams and the registry, first as far
 * as they go, then as they grow; heartbeats. One message after the other, in stream order.
 */
import { typeOf } from '#protocol/messages/catalog.ts';
import { decode } from '#protocol/messages/envelope.ts';
import { Heartbeat, Registration } from '#protocol/messages/agent/host.ts';
import { unreadIn, whyUnread } from '#protocol/messages/run/starts.ts';
import { parseSubject } from '#protocol/messages/subjects.ts';
import { HEADERS } from '#protocol/nats/headers.ts';
import { STREAMS } from '#protocol/nats/streams/stream-configs.ts';
import type { Tail, TailMessage } from '#protocol/nats/streams/tail.ts';
import type { CoreMessage, OwnStarts } from './core/core-state.ts';
import type { IntakeSource } from './intake-source.ts';
import { ownStarts } from './own-starts.ts';

export interface IntakeOptions {
  readonly source: IntakeSource;
  /** Identity of the claim: messages of this term carry it. */
  readonly instance: string;
  readonly post: (message: CoreMessage) => void;
  readonly onBug: (error: unknown) => void;
}

export class Intake {
  readonly #options: IntakeOptions;
  readonly #tails: Tail[] = [];
  readonly #stops: (() => void)[] = [];
  #isClosed = false;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /**
   * Resolves when all that existed has been posted (or this was closed): the events, the commands,
   * then the registry: which agents share a host must be known before anything is placed. `fromEvent`: the
   * sequence of the first event that is not known yet.
   */
  async read(fromEvent = 1): Promise<void> {
    await this.#readStream(STREAMS.events, 'event', fromEvent);
    await this.#readStream(STREAMS.commands, 'command');
    await this.#readRegistry();
  }

  /** Heartbeats and the state of the link, from now on. */
  listen(): void {
    if (this.#isClosed) return;
    const { source, post } = this.#options;
    const beats = source.heartbeats((_agent, body) => {
      const beat = Heartbeat.safeParse(parseJson(body));
      if (beat.success) post({ kind: 'heartbeat', beat: beat.data });
    });
    this.#stops.push(
      () => {
        beats.stop();
      },
      source.onStatus((status) => {
        if (status === 'reconnected') post({ kind: 'reconnected' });
      }),
    );
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const stop of this.#stops.splice(0)) stop();
    await Promise.all(this.#tails.map((one) => one.close()));
  }

  #readStream(stream: string, kind: 'event' | 'command', fromSequence = 1): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      const reader = this.#options.source.tail({
        stream,
        filters: [],
        fromSequence,
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

  #readRegistry(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    const { source, post } = this.#options;
    return new Promise((resolve) => {
      const reader = source.watchAgents({
        onAgent: ({ agent, data, timeMs }) => {
          this.#onRegistration(agent, data, timeMs);
        },
        onForgotten: (agent) => {
          post({ kind: 'forgotten', agent });
        },
        onCaughtUp: resolve,
      });
      this.#tails.push(reader);
      void reader.ended.then(resolve);
    });
  }

  #onStored(kind: 'event' | 'command', message: TailMessage): void {
    const { post } = this.#options;
    const { subject, sequence, timeMs, data } = message;
    const own = kind === 'command' ? this.#ownStarts(message) : null;
    if (own !== null) {
      post({ kind: 'own_starts', ...own });
      return;
    }
    const decoded = decode(data);
    if (decoded.kind === 'ok') {
      const { message: read } = decoded;
      post({ kind, record: { subject, sequence, timeMs, message: read } });
      for (const id of read.name === 'command.starts' ? unreadIn(read.data) : [])
        post({
          ...{ kind: 'unreadable', subject, sequence, type: typeOf(read.name) },
          reason: whyUnread(data, id),
        });
      return;
    }
    const { type, reason } = decoded;
    post({ kind: 'unreadable', subject, sequence, type, reason });
  }

  /** The attempts, if this starts some and is of this term. */
  #ownStarts(message: TailMessage): OwnStarts | null {
    const { sequence, data } = message;
    if (message.header(HEADERS.instance) !== this.#options.instance) return null;
    const subject = parseSubject(message.subject);
    if (subject?.kind !== 'command' || subject.command !== 'start') return null;
    const starts = ownStarts(data, subject.run);
    return starts === null ? null : { agent: subject.agent, sequence, starts };
  }

  #onRegistration(agent: string, data: Uint8Array, timeMs: number): void {
    const { post } = this.#options;
    const registration = Registration.safeParse(parseJson(data));
    if (registration.success && registration.data.agent === agent) {
      post({ kind: 'registered', registration: registration.data, timeMs });
      return;
    }
    const reason = 'the registration is malformed';
    const subject = `${STREAMS.agents}.${agent}`;
    post({ kind: 'unreadable', subject, sequence: null, type: null, reason });
  }
}

function parseJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(data));
  } catch {
    return null;
  }
}
