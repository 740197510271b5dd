/**
 * The end of an unused local mesh: when no run is live, nothing is on its way and nobody has asked
 * for anything for a while, the coordinator that was started with `--idle-exit` ends the mesh it
 * belongs to, itself included. A mesh that `up` made stay is left alone.
 */
import type { Clock, Timer } from '#protocol/runtime/clock.ts';
import { endLocalMesh, MESH_LOCK, readMeshFile } from '#protocol/runtime/local-mesh.ts';
import type { Log } from '#protocol/runtime/log.ts';
import { stopServer } from '#protocol/nats/server/embedded-server.ts';
import { tryLock } from '#protocol/runtime/folder-lock.ts';
import { isAlive } from '#protocol/runtime/process-identity.ts';
import type { Term } from './term.ts';

export interface IdleExit {
  readonly home: string;
  readonly idleMs: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly term: () => Term | null;
  /** Gives up the lease and the connection; nothing is answered afterwards. */
  readonly stop: () => Promise<void>;
  /** The mesh is gone: the process ends. */
  readonly onEnded: () => void;
}

const LOOK_MS = 1_000;

/** Looks until the mesh is ended; the returned timer cancels that. */
export function watchIdle(options: IdleExit): Timer {
  const { clock, idleMs, log, home } = options;
  let cancelled = false;
  let quietSinceMs: number | null = null;
  let timer: Timer;

  const look = async (): Promise<void> => {
    const term = options.term();
    const nowMs = clock.now().monotonicMs;
    if (term?.isQuiet() !== true) quietSinceMs = null;
    else {
      quietSinceMs ??= nowMs;
      const sinceMs = Math.max(quietSinceMs, term.lastRequestMs());
      if (nowMs - sinceMs >= idleMs && (await endMesh())) return;
    }
    schedule();
  };

  /** False where the mesh stays, or somebody is starting or ending it. */
  const endMesh = async (): Promise<boolean> => {
    if ((await readMeshFile(home))?.stays === true) return false;
    const attempt = await tryLock(home, MESH_LOCK);
    if (attempt.kind === 'busy') return false;
    try {
      // Under the lock: nobody may have made it stay, or asked for something, in between.
      const term = options.term();
      if ((await readMeshFile(home))?.stays === true || term?.isQuiet() !== true) return false;
      if (clock.now().monotonicMs - term.lastRequestMs() < idleMs) return false;
      log.info({ home, idleMs }, 'idle: ending the local mesh');
      await options.stop();
      const parts = { isAlive, tryLock, stopServer };
      await endLocalMesh(home, { parts, log, reason: 'idle', locked: true });
    } finally {
      await attempt.lock.release();
    }
    options.onEnded();
    return true;
  };

  const schedule = (): void => {
    if (cancelled) return;
    timer = clock.after(Math.min(LOOK_MS, idleMs), () => void look());
  };
  schedule();
  return {
    cancel: () => {
      cancelled = true;
      timer.cancel();
    },
  };
}
