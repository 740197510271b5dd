/**
 * The thread that holds the lease, with a link of its own: a coordinator that is busy with one thing for
 * seconds (the expansion of 1,000,000 tasks, a long replay) goes on leading. One that has not come round for
 * `stalledMs` hangs: its lease is left to expire, and a standby takes over.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { connect } from '#protocol/nats/connection.ts';
import { readCredential } from '#protocol/nats/credential.ts';
import { contendForLease } from '#protocol/nats/leader/lease.ts';
import type { Log } from '#protocol/runtime/log.ts';
import type { FromLease, LeaseOrder } from './lease-messages.ts';
import { setHeld, silentMs } from './shared-lease.ts';

const port = parentPort;
if (port === null) throw new Error('this is no program: the coordinator starts it as a thread');
const order = workerData as LeaseOrder;
const { memory, holder, description, ttlMs, stalledMs } = order;

const say = (message: FromLease): void => {
  port.postMessage(message);
};
const logAt =
  (level: 'info' | 'warn' | 'error'): Log['info'] =>
  (fields, text) => {
    say({ kind: 'log', level, fields: JSON.parse(JSON.stringify(fields)) as typeof fields, text });
  };
const log: Log = {
  debug: () => undefined,
  info: logAt('info'),
  warn: logAt('warn'),
  error: logAt('error'),
  child: () => log,
};

const connection = await connect({
  url: order.url,
  credential: order.credential === null ? null : await readCredential(order.credential),
  name: `lease of ${description}`,
  log,
});
const lease = contendForLease(connection, {
  holder,
  description,
  ...(order.key === null ? {} : { name: order.key }),
  ...(ttlMs === null ? {} : { ttlMs }),
  mayHold: () => silentMs(memory) < stalledMs,
  onHeld: (leftMs) => {
    setHeld(memory, leftMs);
  },
  onAcquired: () => {
    say({ kind: 'acquired' });
  },
  onLost: (reason) => {
    setHeld(memory, null);
    say({ kind: 'lost', reason });
  },
  onStandby: (other) => {
    say({ kind: 'standby', holder: other });
  },
});

// The only order there is: to end.
port.on('message', () => {
  void lease
    .stop()
    .then(() => connection.close())
    .finally(() => {
      setHeld(memory, null);
      port.close();
    });
});
