/**
 * The FIFOs of ended steps, for the next ones: to rename two of them is cheap, to make two costs more
 * than starting a trivial program on a disk that has removed many files of late.
 *
 * They stay in the folder of the step that had them. A folder that was removed meanwhile has none left,
 * and meshrun makes what it does not find.
 */
import { closeSync, constants, fstatSync, openSync, readSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '#protocol/messages/errors.ts';
import { FIFOS } from './exit-fifo.ts';

/** Enough for any number of steps that end and start together. */
const MOST = 256;

export class FifoPool {
  readonly #stepDirs: string[] = [];

  /** The step is over. What is too many goes with its folder. */
  give(stepDir: string): void {
    if (this.#stepDirs.length < MOST) this.#stepDirs.push(stepDir);
  }

  /** Moves a pair to the step, if there is one that nobody holds any more. */
  take(stepDir: string): void {
    const from = this.#stepDirs.shift();
    if (from === undefined) return;
    try {
      if (isUnread(join(from, 'ctl')) && isUnwritten(join(from, 'exit'))) {
        for (const name of FIFOS) renameSync(join(from, name), join(stepDir, name));
      } else this.#stepDirs.push(from);
    } catch {
      // The folder is gone, or a FIFO of it, or what is there is none: meshrun makes its own.
    }
  }
}

const { O_RDONLY, O_WRONLY, O_NONBLOCK, O_NOFOLLOW } = constants;

/**
 * Nobody would take the next step's commands away. Its meshrun is gone, with what it never read: a
 * process that ends closes one FIFO before the other, so each is asked.
 */
function isUnread(ctl: string): boolean {
  try {
    const fd = openSync(ctl, O_WRONLY | O_NONBLOCK | O_NOFOLLOW);
    closeFifo(fd);
    return false;
  } catch (error) {
    if (errnoOf(error) === 'ENXIO') return true;
    throw error;
  }
}

/** Its meshrun is gone, which takes with it whatever was written and never read. */
function isUnwritten(exit: string): boolean {
  const fd = openSync(exit, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  try {
    return readSync(fd, Buffer.allocUnsafe(1)) === 0;
  } catch {
    return false; // EAGAIN: a writer is there
  } finally {
    closeFifo(fd);
  }
}

/** Throws for what is none: a step's processes can put anything in its place. */
function closeFifo(fd: number): void {
  const isFifo = fstatSync(fd).isFIFO();
  closeSync(fd);
  if (!isFifo) throw new Error('not a FIFO');
}
