/**
 * One message into a stream, with the expectations that make a subject single-writer (I1). The
 * outcome is a value; nothing here retries. Retrying is the outbox's and the fenced publisher's.
 */
import { z } from 'zod';
import type { MeshConnection, RequestOutcome } from './connection.ts';
import { SERVER_HEADERS, type HeaderFields } from './headers.ts';

export interface PublishOptions {
  readonly headers?: HeaderFields;
  /** Stream sequence of the last message this writer knows on the subject; 0 for none. */
  readonly expectedLastSubjectSequence?: number;
  /** Stream sequence of the last message on another subject: the leader's claim. */
  readonly fence?: Fence;
  /** Seconds the message lives, or `never`; only where the stream allows it. */
  readonly ttl?: number | 'never';
  /** Dropped by the server as a repeat within its window of 120 s. Not to be relied on alone. */
  readonly messageId?: string;
  /** How long to wait for the server's answer. Default 5 s. */
  readonly timeoutMs?: number;
}

/** The writer is refused as soon as `subject` has another last message than `sequence`. */
export interface Fence {
  readonly subject: string;
  readonly sequence: number;
}

export type PublishOutcome =
  /** Stored. `duplicate`: it was already, under this sequence. */
  | { readonly kind: 'stored'; readonly sequence: number; readonly duplicate: boolean }
  /** An expectation does not hold (10071): another message stands last on the subject. */
  | { readonly kind: 'conflict'; readonly reason: string }
  /** The stream or the disk is full (10077, 10023, 10047): not stored. */
  | { readonly kind: 'full'; readonly code: number; readonly reason: string }
  /** Time-out or broken link: stored or not, nobody knows. Repeat identically. */
  | { readonly kind: 'ambiguous'; readonly reason: 'timeout' | 'disconnected' }
  /** Nothing listens on the subject: no such stream, or JetStream is starting. Not stored. */
  | { readonly kind: 'unavailable' }
  /** Refused for what it is: too large, not permitted, not understood. Not stored. */
  | { readonly kind: 'rejected'; readonly code: number; readonly reason: string };

const DEFAULT_TIMEOUT_MS = 5_000;
const WRONG_LAST_SEQUENCE: ReadonlySet<number> = new Set([10071, 10164]);
const FULL: ReadonlySet<number> = new Set([10077, 10023, 10047, 10028]);
/** JetStream is off or not ready yet for the account: it may come. */
const NOT_READY: ReadonlySet<number> = new Set([10008, 10039, 10076]);

const PubAck = z.object({
  stream: z.string().optional(),
  seq: z.number().optional(),
  duplicate: z.boolean().optional(),
  error: z
    .object({
      code: z.number(),
      err_code: z.number().optional(),
      description: z.string().optional(),
    })
    .optional(),
});
const decoder = new TextDecoder();

/** Publishes once and says what became of it. Never rejects. */
export async function publishEvent(
  connection: MeshConnection,
  subject: string,
  payload: Uint8Array,
  options: PublishOptions = {},
): Promise<PublishOutcome> {
  const outcome = await connection.request(subject, payload, {
    timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    headers: headersOf(options),
  });
  return publishOutcome(outcome);
}

function headersOf(options: PublishOptions): HeaderFields {
  const { headers, fence, expectedLastSubjectSequence, ttl, messageId } = options;
  const result: Record<string, string> = { ...headers };
  if (fence !== undefined) {
    result[SERVER_HEADERS.expectedLastSubjectSequence] = String(fence.sequence);
    result[SERVER_HEADERS.expectedLastSubjectSequenceSubject] = fence.subject;
  } else if (expectedLastSubjectSequence !== undefined) {
    result[SERVER_HEADERS.expectedLastSubjectSequence] = String(expectedLastSubjectSequence);
  }
  if (ttl !== undefined) result[SERVER_HEADERS.ttl] = ttl === 'never' ? ttl : `${ttl}s`;
  if (messageId !== undefined) result[SERVER_HEADERS.messageId] = messageId;
  return result;
}

function publishOutcome(outcome: RequestOutcome): PublishOutcome {
  switch (outcome.kind) {
    case 'timeout':
    case 'disconnected':
      return { kind: 'ambiguous', reason: outcome.kind };
    case 'no_responders':
      return { kind: 'unavailable' };
    case 'not_permitted':
    case 'invalid':
      return { kind: 'rejected', code: 0, reason: outcome.reason };
    case 'reply':
      return parseAck(outcome.message.data);
  }
}

function parseAck(data: Uint8Array): PublishOutcome {
  const ack = PubAck.safeParse(safeJson(decoder.decode(data)));
  if (!ack.success) return { kind: 'rejected', code: 0, reason: 'the answer is no publish ack' };
  const { seq, duplicate, error } = ack.data;
  if (error !== undefined) {
    const code = error.err_code ?? error.code;
    const reason = error.description ?? `error ${code}`;
    if (WRONG_LAST_SEQUENCE.has(code)) return { kind: 'conflict', reason };
    if (FULL.has(code)) return { kind: 'full', code, reason };
    if (NOT_READY.has(code)) return { kind: 'unavailable' };
    return { kind: 'rejected', code, reason };
  }
  if (seq === undefined) return { kind: 'rejected', code: 0, reason: 'the ack has no sequence' };
  return { kind: 'stored', sequence: seq, duplicate: duplicate === true };
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
