/**
 * Folders that the attempts of a run share on this host: the one that its host setup fills, and one for
 * scratch per slot. They go with the run, so that no run finds anything of another.
 */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { removeTree } from '../state/remove-tree.ts';
import { scratchDir } from '../state/state-folder.ts';
import { makeFolder } from '../process/record/step-folders.ts';

/** Of scratch: made when a run first has the slot, since each call counts in a short attempt. */
export class ScratchFolders {
  readonly #stateDir: string;
  readonly #made = new Set<string>();

  constructor(stateDir: string) {
    this.#stateDir = stateDir;
  }

  /** The run's own folder is there. Throws system errors. */
  make(run: string, slot: number): string {
    const dir = scratchDir(this.#stateDir, run, slot);
    if (this.#made.has(dir)) return dir;
    makeFolder(dir);
    this.#made.add(dir);
    return dir;
  }

  /** The run is gone, and they with it. */
  forget(run: string): void {
    const prefix = dirname(scratchDir(this.#stateDir, run, 0));
    for (const dir of this.#made) if (dirname(dir) === prefix) this.#made.delete(dir);
  }
}

/** Empty, whatever an earlier try left there. Rejects with system errors. */
export async function renewFolder(dir: string): Promise<void> {
  await removeTree(dir);
  await mkdir(dir);
}
