/**
 * Requests and their replies over one inbox. The client's own `request` makes a timer, a promise
 * pair and an Error with its stack for each; at thousands of publishes a second that is most of an
 * agent's CPU (I10). Here a request is a map entry, and one timer looks for those overdue.
 */
import {
  createInbox,
  headers as newHeaders,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  type PermissionViolationError,
} from '@nats-io/transport-node';
import { toError } from '../messages/errors.ts';
import type { HeaderFields } from './headers.ts';

/** What became of a request. A value, never a rejection. */
export type RequestOutcome =
  | { readonly kind: 'reply'; readonly message: Msg }
  | { readonly kind: 'no_responders' }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'disconnected' }
  | { readonly kind: 'not_permitted'; readonly reason: string }
  | { readonly kind: 'invalid'; readonly reason: string };

export interface RequestOptions {
  /** Kept to within 100 ms. */
  readonly timeoutMs: number;
  readonly headers?: HeaderFields;
}

interface Pending {
  readonly subject: string;
  readonly deadline: number;
  readonly resolve: (outcome: RequestOutcome) => void;
}

const SWEEP_MS = 50;
const NO_RESPONDERS = 503;

export class Requests {
  readonly #nats: NatsConnection;
  readonly #prefix: string;
  readonly #pending = new Map<string, Pending>();
  #count = 0;
  #sweeper: NodeJS.Timeout | null = null;

  constructor(nats: NatsConnection, inboxPrefix?: string) {
    this.#nats = nats;
    this.#prefix = `${createInbox(inboxPrefix)}.`;
    nats.subscribe(`${this.#prefix}*`, {
      callback: (error, message) => {
        if (error === null) this.#onReply(message);
      },
    });
  }

  send(subject: string, data: Uint8Array, options: RequestOptions): Promise<RequestOutcome> {
    const { timeoutMs, headers } = options;
    this.#count += 1;
    const token = this.#count.toString(36);
    const reply = `${this.#prefix}${token}`;
    try {
      this.#nats.publish(
        subject,
        data,
        headers === undefined ? { reply } : { reply, headers: toMsgHeaders(headers) },
      );
    } catch (error) {
      return Promise.resolve(failureOf(error));
    }
    return new Promise((resolve) => {
      this.#pending.set(token, { subject, deadline: performance.now() + timeoutMs, resolve });
      this.#sweeper ??= setInterval(() => {
        this.#sweep();
      }, SWEEP_MS);
    });
  }

  /** The link is broken: whether a request arrived, nobody knows. */
  breakAll(): void {
    for (const token of [...this.#pending.keys()]) this.#settle(token, { kind: 'disconnected' });
  }

  /** The server refused to let us publish to, or receive from, a subject. */
  refuse(error: PermissionViolationError): void {
    const inbox = error.subject.startsWith(this.#prefix);
    for (const [token, { subject }] of [...this.#pending]) {
      if (!inbox && subject !== error.subject) continue;
      this.#settle(token, { kind: 'not_permitted', reason: error.message });
    }
  }

  #onReply(message: Msg): void {
    const token = message.subject.slice(this.#prefix.length);
    const none = message.data.length === 0 && message.headers?.code === NO_RESPONDERS;
    this.#settle(token, none ? { kind: 'no_responders' } : { kind: 'reply', message });
  }

  #settle(token: string, outcome: RequestOutcome): void {
    const pending = this.#pending.get(token);
    if (pending === undefined) return;
    this.#pending.delete(token);
    if (this.#pending.size === 0 && this.#sweeper !== null) this.#rest();
    pending.resolve(outcome);
  }

  #sweep(): void {
    const now = performance.now();
    for (const [token, { deadline }] of [...this.#pending]) {
      if (deadline <= now) this.#settle(token, { kind: 'timeout' });
    }
  }

  #rest(): void {
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    this.#sweeper = null;
  }
}

function failureOf(error: unknown): RequestOutcome {
  const { name, message } = toError(error);
  const closed = name === 'ClosedConnectionError' || name === 'DrainingConnectionError';
  return closed ? { kind: 'disconnected' } : { kind: 'invalid', reason: message };
}

function toMsgHeaders(fields: HeaderFields): MsgHdrs {
  const result = newHeaders();
  for (const [name, value] of Object.entries(fields)) result.set(name, value);
  return result;
}
