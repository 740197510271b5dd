/**
 * The FIFOs of ended steps, for the next ones: to rename two of them is cheap, to make two costs more
 * than starting a trivial program on a disk that has removed many files of late.
 *
 * They stay in the folder of the step that had them. A folder that was removed meanwhile has none left,
 * and meshrun makes what it does not find.
 */
import { closeSync, constants, openSync, readSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { FIFOS } from './exit-fifo.ts';
import { removeFiles } from './meshrun-adopter.ts';

/** Enough for any number of steps that end and start together. */
const MOST = 256;

export class FifoPool {
  readonly #stepDirs: string[] = [];

  /** The step is over. */
  give(stepDir: string): void {
    if (this.#stepDirs.length < MOST) this.#stepDirs.push(stepDir);
    else removeFiles(stepDir, FIFOS);
  }

  /** Moves a pair to the step, if there is one that nobody holds any more. */
  take(stepDir: string): void {
    const from = this.#stepDirs.shift();
    if (from === undefined) return;
    try {
      if (isLetGo(from)) {
        for (const name of FIFOS) renameSync(join(from, name), join(stepDir, name));
      } else this.#stepDirs.push(from);
    } catch {
      // The folder is gone, or a FIFO of it: meshrun makes its own.
    }
  }
}

/** Its meshrun is gone, which takes with it whatever was written and never read. */
function isLetGo(stepDir: string): boolean {
  const fd = openSync(join(stepDir, 'exit'), constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return readSync(fd, Buffer.allocUnsafe(1)) === 0;
  } catch {
    return false; // EAGAIN: a writer is there
  } finally {
    closeSync(fd);
  }
}
