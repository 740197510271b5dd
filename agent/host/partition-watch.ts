/**
 * Tells the host how long it has been cut off from the server, as soon as one of its attempts is to end
 * by it. Nothing is timed while connected, nor where no attempt has such a limit (I10).
 */
import type { ConnectionStatus } from '#protocol/nats/connection.ts';
import type { Clock, Timer } from '#protocol/runtime/clock.ts';
import type { Host } from './host.ts';

const LONGEST_MS = 2 ** 31 - 1;

export interface PartitionWatchOptions {
  readonly connection: {
    onStatus(listener: (status: ConnectionStatus) => void): () => void;
  };
  readonly host: Pick<Host, 'stopAfterMs' | 'onCutOff'>;
  readonly clock: Clock;
}

/** Begins to watch; answers what ends that. */
export function watchPartition({ connection, host, clock }: PartitionWatchOptions): () => void {
  let timer: Timer | null = null;
  /** What is over after `passedMs` has been told. */
  const wait = (sinceMs: number, passedMs: number): void => {
    const limitMs = host.stopAfterMs(passedMs);
    if (limitMs === null) return;
    // No timer of Node's is longer.
    timer = clock.after(Math.min(limitMs - passedMs, LONGEST_MS), () => {
      // Looked at once: a limit that passes between two looks would be told by neither.
      const nowMs = clock.now().monotonicMs - sinceMs;
      host.onCutOff(nowMs);
      wait(sinceMs, nowMs);
    });
  };
  const ignore = connection.onStatus((status) => {
    timer?.cancel();
    timer = null;
    if (status === 'disconnected') wait(clock.now().monotonicMs, 0);
  });
  return () => {
    timer?.cancel();
    ignore();
  };
}
