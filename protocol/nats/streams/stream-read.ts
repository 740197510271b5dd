/** Questions to a stream that need no consumer: its state, and the last message of a subject. */
import { z } from 'zod';
import { MeshError } from '../../messages/errors.ts';
import type { MeshConnection, RequestOutcome } from '../connection.ts';

export interface StreamPosition {
  /** First and last sequence in the stream; last is 0 where it never had a message. */
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly messages: number;
  readonly bytes: number;
  /** Bytes it may hold; -1 for no limit. */
  readonly maxBytes: number;
  /** When the stream was made, as the server says it: another one of the same name says another. */
  readonly created: string;
  /** The server's clock when it answered, ms since 1970. */
  readonly serverMs: number;
}

export interface StoredMessage {
  readonly subject: string;
  readonly sequence: number;
  /** The stream's timestamp, ms since 1970. */
  readonly timeMs: number;
  readonly data: Uint8Array;
  header(name: string): string | null;
}

export type LastMessage =
  | { readonly kind: 'found'; readonly message: StoredMessage }
  /** Nothing is stored on the subject: never was, or retention took it. */
  | { readonly kind: 'none' }
  /** No answer now: time-out, broken link, server starting. Ask again. */
  | { readonly kind: 'unknown'; readonly reason: string };

const TIMEOUT_MS = 5_000;
const EMPTY = new Uint8Array();
const NOT_FOUND = 404;
const decoder = new TextDecoder();

const StreamInfo = z.object({
  config: z.object({ max_bytes: z.number() }),
  created: z.string(),
  state: z.object({
    messages: z.number(),
    bytes: z.number(),
    first_seq: z.number(),
    last_seq: z.number(),
  }),
  ts: z.string().optional(),
});
const Failure = z.object({ error: z.object({ code: z.number(), description: z.string() }) });

/**
 * The stream's extent and the server's clock. Rejects with MeshError `mesh_unreachable` (no answer)
 * or `not_found` (no such stream).
 */
export async function streamState(
  connection: MeshConnection,
  stream: string,
): Promise<StreamPosition> {
  const outcome = await connection.request(`$JS.API.STREAM.INFO.${stream}`, EMPTY, {
    timeoutMs: TIMEOUT_MS,
  });
  if (outcome.kind !== 'reply') throw noAnswer(connection, outcome);
  const json: unknown = JSON.parse(decoder.decode(outcome.message.data));
  const failure = Failure.safeParse(json);
  if (failure.success) {
    const { code, description } = failure.data.error;
    throw new MeshError(
      code === NOT_FOUND ? 'not_found' : 'mesh_unreachable',
      `stream ${stream} at ${connection.url}: ${description}`,
    );
  }
  const { config, created, state, ts } = StreamInfo.parse(json);
  return {
    created,
    firstSequence: state.first_seq,
    lastSequence: state.last_seq,
    messages: state.messages,
    bytes: state.bytes,
    maxBytes: config.max_bytes,
    serverMs: ts === undefined ? Date.now() : Date.parse(ts),
  };
}

/** The last message stored on `subject`, by direct get. Never rejects. */
export async function lastMessage(
  connection: MeshConnection,
  stream: string,
  subject: string,
): Promise<LastMessage> {
  return directGet(connection, `$JS.API.DIRECT.GET.${stream}.${subject}`, EMPTY);
}

/** The message of a sequence, by direct get. Never rejects. */
export async function messageAt(
  connection: MeshConnection,
  stream: string,
  sequence: number,
): Promise<LastMessage> {
  const query = new TextEncoder().encode(JSON.stringify({ seq: sequence }));
  return directGet(connection, `$JS.API.DIRECT.GET.${stream}`, query);
}

async function directGet(
  connection: MeshConnection,
  subject: string,
  query: Uint8Array,
): Promise<LastMessage> {
  const outcome = await connection.request(subject, query, { timeoutMs: TIMEOUT_MS });
  if (outcome.kind !== 'reply') return { kind: 'unknown', reason: outcome.kind };
  const { data, headers } = outcome.message;
  if (headers === undefined) return { kind: 'unknown', reason: 'the answer has no headers' };
  if (headers.code === NOT_FOUND) return { kind: 'none' };
  if (headers.code !== 0) return { kind: 'unknown', reason: headers.description };
  return {
    kind: 'found',
    message: {
      subject: headers.get('Nats-Subject'),
      sequence: Number(headers.get('Nats-Sequence')),
      timeMs: Date.parse(headers.get('Nats-Time-Stamp')),
      data,
      header: (name) => (headers.has(name) ? headers.get(name) : null),
    },
  };
}

function noAnswer(
  connection: MeshConnection,
  outcome: Exclude<RequestOutcome, { kind: 'reply' }>,
): MeshError {
  switch (outcome.kind) {
    case 'not_permitted':
      return new MeshError('not_permitted', outcome.reason);
    case 'no_responders':
      return new MeshError('jetstream_disabled', `JetStream does not answer at ${connection.url}`);
    case 'timeout':
    case 'disconnected':
      return new MeshError(
        'mesh_unreachable',
        `the server at ${connection.url} does not answer (${outcome.kind})`,
      );
    case 'invalid':
      return new MeshError('internal', outcome.reason);
  }
}
