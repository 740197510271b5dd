/**
 * Stores a file in BM_FILES under its run and hash, 256 KiB a message. The same chunk stored twice
 * is one: the subject is expected to be empty, and a conflict means that it is there already; it
 * stays, since only the end of the run purges it.
 */
import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { subjects } from '#protocol/messages/subjects.ts';
import type { StoredFile } from '#protocol/messages/attempt/stored-file.ts';
import { backoffMs } from '#protocol/runtime/backoff.ts';
import type { Clock } from '#protocol/runtime/clock.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { STREAMS } from '#protocol/nats/streams/stream-configs.ts';
import { lastMessage } from '#protocol/nats/streams/stream-read.ts';
import { publishEvent, type PublishOutcome } from '#protocol/nats/publisher.ts';
import type { FileSource } from '../files/place-checkpoint.ts';

export const CHUNK_BYTES = 256 * 1024;
/** How long a stream that is full is asked again before the file is given up. */
const FULL_FOR_MS = 60_000;
const RETRY = { firstMs: 50, maxMs: 2_000, factor: 2 } as const;

export interface FileStore {
  publish(subject: string, chunk: Uint8Array): Promise<PublishOutcome>;
  whenReachable(): Promise<void>;
  isClosed(): boolean;
}

export function natsFileStore(connection: MeshConnection): FileStore & FileSource {
  return {
    publish: (subject, chunk) =>
      publishEvent(connection, subject, chunk, { expectedLastSubjectSequence: 0 }),
    read: (subject) => lastMessage(connection, STREAMS.files, subject),
    whenReachable: () => connection.whenConnected(),
    isClosed: () => connection.isClosed(),
  };
}

export type StoreResult =
  | {
      readonly kind: 'stored';
      readonly sha256: string;
      readonly bytes: number;
      readonly chunks: number;
    }
  | { readonly kind: 'given_up'; readonly reason: string };

export interface StoreRequest {
  readonly agent: string;
  readonly run: string;
  readonly path: string;
  readonly store: FileStore;
  readonly clock: Clock;
}

/** Reads the file twice: for its hash, then for its chunks. Rejects with system errors. */
export async function storeFile(request: StoreRequest): Promise<StoreResult> {
  const file = await open(request.path, 'r');
  try {
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of chunksOf(file)) {
      hash.update(chunk);
      bytes += chunk.length;
    }
    const sha256 = hash.digest('hex');
    const { agent, run } = request;
    let chunks = 0;
    for await (const chunk of chunksOf(file)) {
      const subject = subjects.file(agent, { run, sha256 }, chunks);
      const failure = await storeChunk(request, subject, chunk);
      if (failure !== null) return { kind: 'given_up', reason: failure };
      chunks += 1;
    }
    return { kind: 'stored', sha256, bytes, chunks };
  } finally {
    await file.close();
  }
}

async function* chunksOf(file: FileHandle): AsyncGenerator<Buffer> {
  for (let at = 0; ;) {
    const { bytesRead, buffer } = await file.read(
      Buffer.allocUnsafe(CHUNK_BYTES),
      0,
      CHUNK_BYTES,
      at,
    );
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}

/** Null when stored, else why it was given up. */
async function storeChunk(
  request: StoreRequest,
  subject: string,
  chunk: Uint8Array,
): Promise<string | null> {
  const { store, clock } = request;
  const startedMs = clock.now().monotonicMs;
  for (let attempt = 0; ; attempt += 1) {
    if (store.isClosed()) return 'the agent is ending';
    await store.whenReachable();
    const outcome = await store.publish(subject, chunk);
    if (outcome.kind === 'stored' || outcome.kind === 'conflict') return null;
    if (outcome.kind === 'rejected') return outcome.reason;
    const isLate = clock.now().monotonicMs - startedMs > FULL_FOR_MS;
    if (outcome.kind === 'full' && isLate) return outcome.reason;
    await new Promise<void>((resolve) => {
      clock.after(backoffMs(RETRY, Math.min(attempt, 10), Math.random()), resolve);
    });
  }
}

export function storedFile(
  kind: StoredFile['kind'],
  path: string,
  result: Extract<StoreResult, { kind: 'stored' }>,
): StoredFile {
  const { sha256, bytes, chunks } = result;
  return { kind, path, sha256, bytes, chunks };
}
