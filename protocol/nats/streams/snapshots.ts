/**
 * One snapshot of the leader's state in BM_SNAPSHOTS, in pieces.
 *
 *   piece 0 .. piece n-1 --(all stored)--> head --> everything older goes
 *
 * 1. The head is stored last and names the pieces, their number, length and hash: what is torn or has been
 *    removed in part is found out, never taken for whole.
 * 2. Of two writers at once one stores the head that counts; whichever it is, both were right (a snapshot is a
 *    function of the log). The pieces of the other go with the next.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { MeshError } from '../../messages/errors.ts';
import { newId } from '../../messages/ids.ts';
import { filters, subjects } from '../../messages/subjects.ts';
import type { MeshConnection } from '../connection.ts';
import { publishEvent } from '../publisher.ts';
import { STREAMS } from './stream-configs.ts';
import { purgeSubject } from './stream-purge.ts';
import { lastMessage } from './stream-read.ts';
import { ensureSnapshots } from './streams.ts';

/** What a snapshot is of; whoever reads it compares. */
const About = z.object({
  /** The program that wrote it: no other reads it. */
  build: z.string(),
  /** When BM_EVENTS was made, and up to which of its sequences the snapshot holds. */
  stream: z.string(),
  sequence: z.number(),
  /** How many messages that were. */
  messages: z.number(),
});
const Head = About.extend({
  id: z.string(),
  pieces: z.number(),
  bytes: z.number(),
  sha256: z.string(),
});

export type SnapshotAbout = z.infer<typeof About>;
export type SnapshotHead = z.infer<typeof Head>;

export type FoundHead =
  | { readonly kind: 'found'; readonly head: SnapshotHead }
  | { readonly kind: 'none' }
  | { readonly kind: 'unreadable'; readonly reason: string };

const PIECE_BYTES = 512 * 1024;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The newest. Never rejects. */
export async function snapshotHead(connection: MeshConnection): Promise<FoundHead> {
  const last = await lastMessage(connection, STREAMS.snapshots, subjects.snapshotHead());
  if (last.kind === 'unknown')
    return last.reason === 'no_responders'
      ? { kind: 'none' } // no such stream: there never was one
      : { kind: 'unreadable', reason: last.reason };
  if (last.kind === 'none') return { kind: 'none' };
  try {
    const head = Head.parse(JSON.parse(decoder.decode(last.message.data)));
    return { kind: 'found', head };
  } catch {
    return { kind: 'unreadable', reason: 'its head is malformed' };
  }
}

/** The bytes of that snapshot. Rejects with MeshError `mesh_unreachable` where they are not there, or others. */
export async function readSnapshot(
  connection: MeshConnection,
  head: SnapshotHead,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for (let piece = 0; piece < head.pieces; piece += 1) {
    const subject = subjects.snapshotPiece(head.id, piece);
    const found = await lastMessage(connection, STREAMS.snapshots, subject);
    if (found.kind !== 'found')
      throw new MeshError('mesh_unreachable', `piece ${piece} of ${head.pieces} is not there`);
    pieces.push(found.message.data);
  }
  const bytes = Buffer.concat(pieces);
  if (bytes.length !== head.bytes || hashOf(bytes) !== head.sha256)
    throw new MeshError('mesh_unreachable', 'its pieces are not those that were stored');
  return bytes;
}

/** Stores it and removes what is older. Rejects with MeshError `disk_full` or `mesh_unreachable`. */
export async function storeSnapshot(
  connection: MeshConnection,
  about: SnapshotAbout,
  bytes: Uint8Array,
): Promise<void> {
  await ensureSnapshots(connection);
  const id = newId();
  const pieces = Math.ceil(bytes.length / PIECE_BYTES);
  let first = Infinity;
  for (let piece = 0; piece < pieces; piece += 1) {
    const from = piece * PIECE_BYTES;
    const data = bytes.subarray(from, from + PIECE_BYTES);
    const sequence = await put(connection, subjects.snapshotPiece(id, piece), data);
    first = Math.min(first, sequence);
  }
  const head: SnapshotHead = { ...about, id, pieces, bytes: bytes.length, sha256: hashOf(bytes) };
  const sequence = await put(
    connection,
    subjects.snapshotHead(),
    encoder.encode(JSON.stringify(head)),
  );
  const before = Math.min(first, sequence);
  await purgeSubject(connection, STREAMS.snapshots, filters.snapshots(), { seq: before });
}

/** Removes every snapshot. Idempotent; rejects with MeshError `mesh_unreachable`. */
export async function dropSnapshots(connection: MeshConnection): Promise<void> {
  await purgeSubject(connection, STREAMS.snapshots, filters.snapshots());
}

async function put(connection: MeshConnection, subject: string, data: Uint8Array): Promise<number> {
  const outcome = await publishEvent(connection, subject, data);
  if (outcome.kind === 'stored') return outcome.sequence;
  const reason = 'reason' in outcome ? outcome.reason : outcome.kind;
  throw new MeshError(outcome.kind === 'full' ? 'disk_full' : 'mesh_unreachable', reason);
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
