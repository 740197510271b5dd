/** The newest snapshot as a state, if it is whole, this program's own, and of the stream as it is. */
import { promisify } from 'node:util';
import { brotliDecompress } from 'node:zlib';
import { toError } from '#protocol/messages/errors.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { readSnapshot, snapshotHead, type SnapshotHead } from '#protocol/nats/streams/snapshots.ts';
import { STREAMS } from '#protocol/nats/streams/stream-configs.ts';
import { messageAt, streamState } from '#protocol/nats/streams/stream-read.ts';
import type { CoreState } from '../core/core-state.ts';
import { forgetRun } from '../core/ends/leave.ts';
import { unpackCore } from './core-snapshot.ts';
import type { Restored } from './snapshot-port.ts';

const decompress = promisify(brotliDecompress);

/** Null where there is none, or none that may be used; then `onUnusable` says why. Never rejects. */
export async function loadSnapshot(
  connection: MeshConnection,
  build: string,
  onUnusable: (reason: string) => void,
): Promise<Restored | null> {
  try {
    const found = await snapshotHead(connection);
    if (found.kind === 'none') return null;
    const reason =
      found.kind === 'unreadable' ? found.reason : await unfitness(connection, found.head, build);
    if (found.kind === 'unreadable' || reason !== null) {
      onUnusable(reason ?? '');
      return null;
    }
    const { sequence, messages } = found.head;
    const state = unpackCore(await decompress(await readSnapshot(connection, found.head)));
    await forgetPurged(connection, state);
    return { state, sequence, messages };
  } catch (error) {
    onUnusable(toError(error).message);
    return null;
  }
}

async function unfitness(
  connection: MeshConnection,
  head: SnapshotHead,
  build: string,
): Promise<string | null> {
  if (head.build !== build) return 'another version of the coordinator has made it';
  const { created, lastSequence } = await streamState(connection, STREAMS.events);
  if (head.stream !== created || head.sequence > lastSequence)
    return 'it is of another stream of events';
  return null;
}

/** Its own subject is the last of a run that is purged: the run is there as long as its submission is. */
async function forgetPurged(connection: MeshConnection, state: CoreState): Promise<void> {
  for (const { id, order } of [...state.runs.values()]) {
    const submitted = await messageAt(connection, STREAMS.events, order);
    if (submitted.kind === 'unknown') throw new Error(`no answer about run ${id}`);
    if (submitted.kind === 'none') forgetRun(state, id);
  }
}
