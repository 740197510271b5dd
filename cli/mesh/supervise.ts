/**
 * `up` in the foreground: keeps the parts alive and ends the mesh on Ctrl-C.
 *
 *   watching --part died--> healing --> watching
 *      |  Ctrl-C                          | mesh.json gone: somebody said down
 *      v                                  v
 *   stopping live runs --> ending --> ended
 */
import { MeshError, toError } from '#protocol/messages/errors.ts';
import { pause } from '#protocol/nats/connection.ts';
import { isAlive } from '#protocol/runtime/process-identity.ts';
import { recordedMesh, type MeshFile } from '#protocol/runtime/local-mesh.ts';
import { terminal } from '../output/terminal.ts';
import { endMesh, unfinished } from './end-mesh.ts';
import { healLocalMesh, type StartOptions } from './start-mesh.ts';

const LOOK_MS = 500;

export function deadParts(mesh: MeshFile): string[] {
  return (['server', 'coordinator', 'agent'] as const).filter((name) => {
    const part = mesh[name];
    return part === null || !isAlive(part);
  });
}

/** Resolves when the mesh has ended, or when the user has left it running. */
export async function superviseUntilEnd(options: StartOptions): Promise<void> {
  const interrupt = new AbortController();
  const again = new AbortController();
  const onSignal = (): void => {
    if (interrupt.signal.aborted) again.abort();
    interrupt.abort();
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  terminal.note('Ctrl-C ends the mesh.');
  const ended = await keepAlive(options, interrupt.signal);
  if (ended) {
    terminal.note('the mesh was taken down');
    return;
  }
  terminal.note('ending the mesh ...');
  const leave = new Promise<'left'>((resolve) => {
    again.signal.addEventListener('abort', () => {
      resolve('left');
    });
  });
  const result = await Promise.race([endInOrder(options.home), leave]);
  if (result === 'left') {
    terminal.note('left running: benchmesh down ends it');
    process.exitCode = 130;
    return;
  }
  terminal.note('the mesh has ended');
}

async function endInOrder(home: string): Promise<'ended'> {
  const { runs } = await unfinished(home);
  if (runs.length > 0) {
    const { stopRuns } = await import('../stop/stop-runs.ts');
    await stopRuns(
      runs.map((run) => run.view.id),
      'the mesh is taken down',
    );
  }
  await endMesh(home);
  return 'ended';
}

/** True when somebody else took the mesh down, false when interrupted. */
async function keepAlive(options: StartOptions, signal: AbortSignal): Promise<boolean> {
  let failures = 0;
  for (;;) {
    await pause(LOOK_MS * Math.min(20, 2 ** failures), signal);
    if (signal.aborted) return false;
    const recorded = await recordedMesh(options.home);
    if (recorded.kind === 'absent') return true;
    // A damaged record is written again by the healing, which finds the parts by themselves.
    const dead = recorded.kind === 'found' ? deadParts(recorded.mesh) : ['mesh.json'];
    if (dead.length === 0) continue;
    try {
      const healed = await healLocalMesh(options);
      if (healed === null) return true;
      const { started } = healed;
      failures = 0;
      if (started.length > 0) terminal.note(`${started.join(', ')} had died and was started again`);
    } catch (error) {
      failures += 1;
      if (!(error instanceof MeshError)) throw error;
      terminal.note(`${dead.join(', ')} died and did not start again: ${toError(error).message}`);
    }
  }
}
