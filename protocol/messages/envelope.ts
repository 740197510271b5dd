/**
 * The envelope: CloudEvents 1.0 in JSON, plus `seq` (per subject), and the writer's `instance` and
 * `incarnation` (agents) or `epoch` (the leading coordinator).
 *
 * `decode` never throws: what cannot be read is a value, which the reader reports with a
 * `message.rejected` event and never drops silently.
 */
import { z } from 'zod';
import { CATALOG, parseType, typeOf, type MessageData, type MessageName } from './catalog.ts';
import { upgrade } from './upgrade.ts';

const Header = z.object({
  specversion: z.literal('1.0'),
  id: z.string().min(1).max(128),
  source: z.string(),
  type: z.string(),
  subject: z.string().optional(),
  time: z.string(),
  seq: z.number().int().nonnegative().optional(),
  instance: z.string().optional(),
  incarnation: z.number().int().optional(),
  epoch: z.number().int().optional(),
  traceparent: z.string().optional(),
  data: z.unknown(),
});

/** Who writes: an agent (instance, incarnation), a coordinator (epoch), or an operator. */
export interface Writer {
  /** CloudEvents `source`: `/agents/<id>`, `/coordinators/<id>`, `/operators/<user@host>`. */
  readonly source: string;
  readonly instance?: string;
  readonly incarnation?: number;
  readonly epoch?: number;
}

export interface EncodeInput<N extends MessageName> {
  readonly name: N;
  readonly data: MessageData<N>;
  readonly id: string;
  /** Wall clock of the writer, ms. For people; order and dates come from the stream. */
  readonly timeMs: number;
  readonly writer: Writer;
  /** Per subject, from 1; for subjects with an outbox. */
  readonly seq?: number;
  readonly traceparent?: string;
}

/** A message as read: its data already upgraded to the newest version. */
export type Message = {
  [N in MessageName]: {
    readonly name: N;
    readonly data: MessageData<N>;
    readonly id: string;
    readonly source: string;
    readonly seq: number | null;
    readonly instance: string | null;
    readonly incarnation: number | null;
    readonly epoch: number | null;
  };
}[MessageName];

/** The message of one name. */
export type MessageOf<N extends MessageName> = Extract<Message, { name: N }>;

export type Decoded =
  | { readonly kind: 'ok'; readonly message: Message }
  | { readonly kind: 'rejected'; readonly type: string | null; readonly reason: string };

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

export function encode<N extends MessageName>(input: EncodeInput<N>): Uint8Array {
  const { name, data, id, timeMs, writer, seq, traceparent } = input;
  return encoder.encode(
    JSON.stringify({
      specversion: '1.0',
      id,
      source: writer.source,
      type: typeOf(name),
      time: new Date(timeMs).toISOString(),
      seq,
      instance: writer.instance,
      incarnation: writer.incarnation,
      epoch: writer.epoch,
      traceparent,
      data,
    }),
  );
}

/** A type that is longer is none of ours. */
const TYPE_MOST = 200;
const REASON_MOST = 1_000;

export function decode(bytes: Uint8Array): Decoded {
  let json: unknown;
  try {
    json = JSON.parse(decoder.decode(bytes));
  } catch {
    return { kind: 'rejected', type: null, reason: 'not JSON in UTF-8' };
  }
  const header = Header.safeParse(json);
  if (!header.success)
    return { kind: 'rejected', type: null, reason: `envelope: ${firstIssue(header.error)}` };
  const { type } = header.data;
  if (type.length > TYPE_MOST)
    return { kind: 'rejected', type: type.slice(0, TYPE_MOST), reason: 'unknown message type' };
  const parsed = parseType(type);
  if (parsed === null || parsed.name === null)
    return { kind: 'rejected', type, reason: `unknown message type ${type}` };
  const { version, schema } = CATALOG[parsed.name];
  if (parsed.version > version) {
    return {
      kind: 'rejected',
      type,
      reason: `version ${parsed.version} of ${parsed.name} is newer than ${version}, the newest this program reads`,
    };
  }
  const upgraded = upgrade(parsed.name, parsed.version, header.data.data);
  if (upgraded.kind === 'unsupported') {
    return {
      kind: 'rejected',
      type,
      reason: `version ${parsed.version} of ${parsed.name} is too old`,
    };
  }
  const data = schema.safeParse(upgraded.data);
  if (!data.success)
    return { kind: 'rejected', type, reason: `${parsed.name}: ${firstIssue(data.error)}` };
  const message = {
    name: parsed.name,
    data: data.data,
    id: header.data.id,
    source: header.data.source,
    seq: header.data.seq ?? null,
    instance: header.data.instance ?? null,
    incarnation: header.data.incarnation ?? null,
    epoch: header.data.epoch ?? null,
  } as Message; // name and data come from the same catalog entry
  return { kind: 'ok', message };
}

/** For people. */
export function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return 'invalid';
  const text =
    issue.path.length === 0 ? issue.message : `${issue.path.join('.')}: ${issue.message}`;
  return text.slice(0, REASON_MOST);
}
