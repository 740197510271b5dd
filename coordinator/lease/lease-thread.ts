/** The lease, contended for in a thread of its own (lease-worker.ts). */
import { Worker } from 'node:worker_threads';
import type { LeaseContender, LeaseOptions } from '#protocol/nats/leader/lease.ts';
import type { Log } from '#protocol/runtime/log.ts';
import type { FromLease, LeaseOrder } from './lease-messages.ts';
import { createLeaseMemory, isHeld, sayAlive } from './shared-lease.ts';

const ALIVE_EVERY_MS = 500;
const HEAP_MIB = 64;
const STALLED_MS = 60_000;

/** Beside the bundle of the coordinator; a coordinator that is run from its sources takes the built one. */
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? '../../dist/lease-worker.js' : './lease-worker.js',
  import.meta.url,
);

export interface ThreadedLeaseOptions extends LeaseOptions, Pick<LeaseOrder, 'url' | 'credential'> {
  readonly log: Log;
  /** Without a turn of this thread for so long it is taken to hang. Default 60 s. */
  readonly stalledMs?: number;
  /** The thread has ended by a defect. */
  readonly onBug: (error: unknown) => void;
}

export function contendInThread(options: ThreadedLeaseOptions): LeaseContender {
  const { url, credential, holder, description, log } = options;
  const memory = createLeaseMemory();
  sayAlive(memory);
  const alive = setInterval(() => {
    sayAlive(memory);
  }, ALIVE_EVERY_MS);
  const order: LeaseOrder = {
    ...{ url, credential, holder, description, memory },
    key: options.name ?? null,
    ttlMs: options.ttlMs ?? null,
    stalledMs: options.stalledMs ?? STALLED_MS,
  };
  const worker = new Worker(WORKER, {
    workerData: order,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB },
  });
  let stopping: Promise<void> | null = null;
  const ended = new Promise<void>((resolve) => {
    worker.once('exit', () => {
      clearInterval(alive);
      resolve();
      if (stopping === null) options.onBug(new Error('the thread that holds the lease has ended'));
    });
  });
  worker.on('error', options.onBug);
  worker.on('message', (message: FromLease) => {
    switch (message.kind) {
      case 'acquired':
        options.onAcquired();
        return;
      case 'lost':
        options.onLost(message.reason);
        return;
      case 'standby':
        options.onStandby?.(message.holder);
        return;
      case 'log':
        log[message.level]({ ...message.fields, thread: 'lease' }, message.text);
        return;
    }
  });
  return {
    isLeading: () => isHeld(memory),
    stop: () => {
      stopping ??= ended;
      worker.postMessage('stop');
      return stopping;
    },
  };
}
