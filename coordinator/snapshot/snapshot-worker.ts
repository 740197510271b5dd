/** The thread that makes a snapshot, with a link and a memory of its own: the leader goes on meanwhile. */
import { parentPort, workerData } from 'node:worker_threads';
import { toError } from '#protocol/messages/errors.ts';
import { connect } from '#protocol/nats/connection.ts';
import { readCredential } from '#protocol/nats/credential.ts';
import { silentLog } from '#protocol/runtime/log.ts';
import type { FromSnapshot, SnapshotOrder } from './snapshot-thread.ts';
import { takeSnapshot } from './take-snapshot.ts';

const port = parentPort;
if (port === null) throw new Error('this is no program: the coordinator starts it as a thread');
const { url, credential, build } = workerData as SnapshotOrder;

const say = (message: FromSnapshot): void => {
  port.postMessage(message);
};

try {
  const connection = await connect({
    url,
    credential: credential === null ? null : await readCredential(credential),
    name: 'snapshot',
    log: silentLog,
    deadlineMs: 10_000,
  });
  try {
    const taken = await takeSnapshot(connection, build, (reason) => {
      say({ kind: 'unusable', reason });
    });
    say({ kind: 'taken', taken });
  } finally {
    await connection.close();
  }
} catch (error) {
  say({ kind: 'failed', reason: toError(error).message });
}
