/**
 * Records of the outbox's journal, in bytes:
 *
 *   u32 length of what follows the crc | u32 crc32 of it | u8 kind | body
 *
 * A record that is cut short or does not match its crc is a torn tail: reading stops there, and
 * nothing after it was ever acknowledged to anybody.
 */
import { crc32 } from 'node:zlib';

export type JournalRecord =
  /** A message to publish: number `seq` of its subject. */
  | {
      readonly kind: 'message';
      readonly subject: string;
      readonly seq: number;
      readonly payload: Uint8Array;
    }
  /** All messages of the subject up to `seq` are stored; the last as `streamSequence`. */
  | {
      readonly kind: 'stored';
      readonly subject: string;
      readonly seq: number;
      readonly streamSequence: number;
    }
  /** Everything before this record under `prefix` is released. */
  | { readonly kind: 'dropped'; readonly prefix: string };

export interface ReadRecord {
  readonly record: JournalRecord;
  readonly offset: number;
  readonly length: number;
  /** The record as it stands in the file. */
  readonly raw: Buffer;
}

const HEAD = 8;
const KINDS = { message: 1, stored: 2, dropped: 3 } as const;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeRecord(record: JournalRecord): Uint8Array {
  const name = encoder.encode(record.kind === 'dropped' ? record.prefix : record.subject);
  const payload = record.kind === 'message' ? record.payload : null;
  const fixed = HEAD + 1 + 2 + 8 + 8;
  const bytes = Buffer.allocUnsafe(fixed + name.length + (payload?.length ?? 0));
  bytes.writeUInt8(KINDS[record.kind], HEAD);
  bytes.writeUInt16LE(name.length, HEAD + 1);
  bytes.writeDoubleLE(record.kind === 'dropped' ? 0 : record.seq, HEAD + 3);
  bytes.writeDoubleLE(record.kind === 'stored' ? record.streamSequence : 0, HEAD + 11);
  bytes.set(name, fixed);
  if (payload !== null) bytes.set(payload, fixed + name.length);
  const body = bytes.subarray(HEAD);
  bytes.writeUInt32LE(body.length, 0);
  bytes.writeUInt32LE(crc32(body), 4);
  return bytes;
}

/** The record at `offset`, or null where the bytes end, are torn, or are of no known kind. */
export function readRecord(bytes: Buffer, offset: number): ReadRecord | null {
  if (offset + HEAD > bytes.length) return null;
  const bodyLength = bytes.readUInt32LE(offset);
  const length = HEAD + bodyLength;
  if (bodyLength < 19 || offset + length > bytes.length) return null;
  const body = bytes.subarray(offset + HEAD, offset + length);
  if (crc32(body) !== bytes.readUInt32LE(offset + 4)) return null;
  const nameLength = body.readUInt16LE(1);
  if (19 + nameLength > body.length) return null;
  const name = decoder.decode(body.subarray(19, 19 + nameLength));
  const seq = body.readDoubleLE(3);
  const record = recordOf(
    body.readUInt8(0),
    { name, seq, second: body.readDoubleLE(11) },
    body.subarray(19 + nameLength),
  );
  if (record === null) return null;
  return { record, offset, length, raw: bytes.subarray(offset, offset + length) };
}

function recordOf(
  kind: number,
  fields: { readonly name: string; readonly seq: number; readonly second: number },
  payload: Uint8Array,
): JournalRecord | null {
  const { name, seq, second } = fields;
  switch (kind) {
    case KINDS.message:
      return { kind: 'message', subject: name, seq, payload };
    case KINDS.stored:
      return { kind: 'stored', subject: name, seq, streamSequence: second };
    case KINDS.dropped:
      return { kind: 'dropped', prefix: name };
    default:
      return null;
  }
}
