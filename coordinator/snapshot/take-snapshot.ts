/** The next snapshot: the last one and what was stored since, folded as a new leader would. */
import { promisify } from 'node:util';
import { brotliCompress, constants } from 'node:zlib';
import { decode } from '#protocol/messages/envelope.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { storeSnapshot } from '#protocol/nats/streams/snapshots.ts';
import { STREAMS } from '#protocol/nats/streams/stream-configs.ts';
import { streamState } from '#protocol/nats/streams/stream-read.ts';
import { readAll } from '#protocol/nats/streams/tail.ts';
import { update } from '../core/core-reducer.ts';
import { createCore, type CoreState } from '../core/core-state.ts';
import { packCore } from './core-snapshot.ts';
import { loadSnapshot } from './load-snapshot.ts';
import type { Taken } from './snapshot-port.ts';

const compress = promisify(brotliCompress);
/** Twentyfold, in a few hundred MB a second. */
const FAST = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } };
const ZERO = { monotonicMs: 0, wallMs: 0 };

/** Rejects with MeshError where it could not be read or stored. */
export async function takeSnapshot(
  connection: MeshConnection,
  build: string,
  onUnusable: (reason: string) => void,
): Promise<Taken> {
  const startedMs = performance.now();
  const before = await loadSnapshot(connection, build, onUnusable);
  let state: CoreState = before?.state ?? createCore({ epoch: 0, sequence: Infinity });
  let messages = before?.messages ?? 0;
  const { created, lastSequence } = await streamState(connection, STREAMS.events);
  const fromSequence = (before?.sequence ?? 0) + 1;
  const query = { stream: STREAMS.events, filters: [], fromSequence, upToSequence: lastSequence };
  await readAll(connection, query, ({ subject, sequence, timeMs, data }) => {
    messages += 1;
    const decoded = decode(data);
    if (decoded.kind !== 'ok') return; // reported by the leader that read it first
    const record = { subject, sequence, timeMs, message: decoded.message };
    [state] = update(state, { kind: 'event', record }, ZERO);
  });
  const bytes = await compress(packCore(state), FAST);
  const about = { build, stream: created, sequence: lastSequence, messages };
  await storeSnapshot(connection, about, bytes);
  const tookMs = Math.round(performance.now() - startedMs);
  return { sequence: lastSequence, messages, bytes: bytes.length, tookMs };
}
