/** Snapshots of a coordinator's process: read through its connection, made in a thread (snapshot-worker.ts). */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { MeshError } from '#protocol/messages/errors.ts';
import type { MeshConnection } from '#protocol/nats/connection.ts';
import { dropSnapshots } from '#protocol/nats/streams/snapshots.ts';
import type { Log } from '#protocol/runtime/log.ts';
import { loadSnapshot } from './load-snapshot.ts';
import type { SnapshotPort, Taken } from './snapshot-port.ts';

export interface SnapshotOrder {
  readonly url: string;
  /** File, or null where the server asks for none. */
  readonly credential: string | null;
  readonly build: string;
}

export type FromSnapshot =
  | { readonly kind: 'taken'; readonly taken: Taken }
  | { readonly kind: 'unusable'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

/** Beside the bundle of the coordinator; a coordinator that is run from its sources takes the built one. */
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? '../../dist/snapshot-worker.js' : './snapshot-worker.js',
  import.meta.url,
);

export interface ThreadedSnapshots extends Omit<SnapshotOrder, 'build'> {
  readonly connection: MeshConnection;
  readonly log: Log;
}

export function snapshotsInThread(options: ThreadedSnapshots): SnapshotPort {
  const { connection, log, url, credential } = options;
  const build = buildId();
  const onUnusable = (reason: string): void => {
    log.warn({ reason }, 'the snapshot cannot be used: everything is read');
  };
  return {
    load: () => loadSnapshot(connection, build, onUnusable),
    take: (signal) => take({ url, credential, build }, { signal, onUnusable }),
    drop: () => dropSnapshots(connection),
  };
}

/**
 * Of the code as bundled, whose parts are named by their contents, and of the engine whose format a snapshot
 * has: a state is read by just the code that has written it.
 */
function buildId(): string {
  const code = createHash('sha256').update(readFileSync(WORKER)).digest('hex');
  return `${code.slice(0, 32)}-${process.versions.v8}`;
}

function take(
  order: SnapshotOrder,
  { signal, onUnusable }: { signal: AbortSignal; onUnusable: (reason: string) => void },
): Promise<Taken> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(WORKER, { workerData: order });
    const end = (): void => {
      void worker.terminate();
    };
    signal.addEventListener('abort', end, { once: true });
    worker.on('message', (message: FromSnapshot) => {
      if (message.kind === 'taken') resolve(message.taken);
      else if (message.kind === 'unusable') onUnusable(message.reason);
      else reject(new MeshError('mesh_unreachable', message.reason));
    });
    worker.on('error', reject);
    worker.once('exit', () => {
      signal.removeEventListener('abort', end);
      reject(new MeshError('internal', 'the thread that makes it has ended'));
    });
  });
}
