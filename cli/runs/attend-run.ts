/**
 * A run attended in the foreground.
 *
 *   following --Ctrl-C--> stopping (the stop is stored, acks are waited for) --> its end
 *       |                     | Ctrl-C
 *       v                     v
 *   its end               detached: the run is the mesh's
 *       | waits for its directory; Ctrl-C: there is nothing to stop, only to wait for
 *       v
 *   left to the mesh
 */
import { toError } from '#protocol/messages/errors.ts';
import type { OpenMesh } from '../mesh/find-mesh.ts';
import { keepHealthy } from '../mesh/keep-healthy.ts';
import { startProgress } from '../output/progress.ts';
import { terminal } from '../output/terminal.ts';
import { stopAloud } from '../stop/stop-runs.ts';
import type { RunFold } from '#protocol/fold/run-fold.ts';
import { followToEnd, type Followed } from './follow-run.ts';

export type AttendedEnd =
  ({ readonly kind: 'ended' | 'interrupted' } & Followed) | { readonly kind: 'detached' };

const STOP_MS = 90_000;
/** How long the directory of a stopped run is waited for once the stop has its verdict. */
const AFTER_STOP_MS = 15_000;

export async function attend(
  mesh: OpenMesh,
  options: { readonly run: string; readonly resultsDir: string },
): Promise<AttendedEnd> {
  const { run } = options;
  const leave = new AbortController();
  const progress = startProgress();
  const healer =
    mesh.target.kind === 'local' && mesh.mesh?.stays === false
      ? keepHealthy(mesh.target.home)
      : null;
  let end: RunFold | null = null;
  let latest: RunFold | null = null;
  let interrupts = 0;
  let stopping: Promise<void> | null = null;
  const onInterrupt = (): void => {
    interrupts += 1;
    if (latest?.state === 'ended') leaveEnded(latest, leave);
    else if (interrupts === 1) stopping = stop(mesh, run, leave);
    else leave.abort('detached');
  };
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onInterrupt);
  try {
    const followed = await followToEnd(mesh.connection, {
      ...options,
      signal: leave.signal,
      onChange: (fold, record) => {
        latest = fold;
        progress.onChange(fold, record);
      },
    });
    if (leave.signal.aborted && leave.signal.reason === 'detached') return { kind: 'detached' };
    end = followed.fold;
    // Its last words, if the run has ended before they were said.
    await (stopping as Promise<void> | null);
    return { kind: interrupts > 0 ? 'interrupted' : 'ended', ...followed };
  } finally {
    progress.close(end);
    healer?.stop();
    process.off('SIGINT', onInterrupt);
    process.off('SIGTERM', onInterrupt);
  }
}

/** A stop of it would be "proven" at once, and untrue: it has ended by itself. */
function leaveEnded(fold: RunFold, leave: AbortController): void {
  if (leave.signal.aborted) return;
  terminal.note(
    `\nrun ${fold.run} has ended already (${fold.outcome ?? 'ended'}); its directory is still to be made: benchmesh watch ${fold.run} waits for it`,
  );
  leave.abort('ended');
}

async function stop(mesh: OpenMesh, run: string, leave: AbortController): Promise<void> {
  terminal.note(`\nstopping run ${run}; Ctrl-C again leaves it to the mesh`);
  const request = { run, task: null, graceMs: null, now: false, reason: 'interrupted (Ctrl-C)' };
  try {
    await stopAloud(mesh.connection, request, { waitMs: STOP_MS, signal: leave.signal });
  } catch (error) {
    terminal.note(`the stop failed: ${toError(error).message}`);
  } finally {
    const timer = setTimeout(() => {
      leave.abort('stopped');
    }, AFTER_STOP_MS);
    timer.unref();
  }
}
