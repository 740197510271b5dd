/**
 * While a foreground `run` uses a mesh that nobody else keeps: parts that die are started again.
 * A mesh that stays (`up`) belongs to who started it.
 */
import { readMeshFile } from '#protocol/runtime/local-mesh.ts';
import { toError } from '#protocol/messages/errors.ts';
import { terminal } from '../output/terminal.ts';
import { deadParts } from './supervise.ts';
import { startLocalMesh } from './start-mesh.ts';

const LOOK_MS = 1_000;

export function keepHealthy(home: string): { stop(): void } {
  let busy = false;
  let told = '';
  const look = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    try {
      const mesh = await readMeshFile(home);
      if (mesh !== null && (mesh.stays || deadParts(mesh).length === 0)) return;
      const { started } = await startLocalMesh({ home, stays: false });
      if (started.length > 0) terminal.note(`${started.join(', ')} had died and was started again`);
    } catch (error) {
      const { message } = toError(error);
      if (message !== told) terminal.note(`the local mesh is incomplete: ${message}`);
      told = message;
    } finally {
      busy = false;
    }
  };
  const timer = setInterval(() => void look(), LOOK_MS);
  return {
    stop: () => {
      clearInterval(timer);
    },
  };
}
