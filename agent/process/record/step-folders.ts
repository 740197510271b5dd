/**
 * Folders for steps, made of those that nobody needs any more: to rename a folder or a file is cheap,
 * to make one costs more than starting a trivial program on a disk that has removed many of late.
 *
 *   spare: ctl, exit, record       all there is: the whole folder becomes the next step's
 *   spare: the same, and output    the output stays, the three move
 *
 * A record becomes `spent` before its folder gets another name, so at no moment does a step's folder
 * have the record of another step. It keeps its size and its block, which would cost as much as a new
 * file: it is blanked with newlines, and written over from the beginning (record.h).
 *
 * Spare folders stay where they are until then. One that was removed meanwhile has nothing to give, and
 * meshrun makes what it does not find.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  writeSync,
  type Stats,
} from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '#protocol/messages/errors.ts';
import { FIFOS } from '../meshrun-client/exit-fifo.ts';

/** Enough for any number of steps that end and start together. */
const MOST = 256;
const SPENT = 'spent';
/** As much as is reserved for a record (record.h). */
const BLANK = Buffer.alloc(4096, '\n');

export class StepFolders {
  readonly #spare: string[] = [];
  /** Folders that have a spent record, until a step is started there. */
  readonly #spent = new Set<string>();

  /** The step in it is over, and what was in it is kept elsewhere. What is too many is left alone. */
  give(stepDir: string): void {
    if (this.#spare.length < MOST) this.#spare.push(stepDir);
  }

  /** Makes the folder of a step in a folder that exists; it may exist. Throws system errors. */
  make(stepDir: string): void {
    const from = this.#nextFree();
    if (from === null) makeFolder(stepDir);
    else {
      this.#move(from, stepDir);
      this.#spent.add(stepDir);
    }
  }

  /** Makes a file with nothing but empty lines in the folder of a step. Throws system errors. */
  layFile(stepDir: string, name: string): void {
    const path = join(stepDir, name);
    if (this.#spent.delete(stepDir)) {
      try {
        const spent = join(stepDir, SPENT);
        blank(spent);
        renameSync(spent, path);
        return;
      } catch {
        // Somebody has removed it, or put something else there.
      }
    }
    closeSync(openSync(path, 'wx', 0o644));
  }

  /** Nothing will be started in it. */
  forget(stepDir: string): void {
    this.#spent.delete(stepDir);
  }

  /** A spare folder that nobody holds any more, its record spent. */
  #nextFree(): string | null {
    for (let from = this.#spare.shift(); from !== undefined; from = this.#spare.shift()) {
      try {
        expectOwnFifo(lstatSync(join(from, 'ctl')));
        if (isHeld(join(from, 'exit'))) {
          this.#spare.push(from);
          return null;
        }
        renameSync(join(from, 'record'), join(from, SPENT));
        return from;
      } catch {
        // The folder is gone, or something of it, or what is there is something else: the next one.
      }
    }
    return null;
  }

  #move(from: string, stepDir: string): void {
    const parts = [...FIFOS, SPENT];
    try {
      if (readdirSync(from).every((name) => parts.includes(name))) {
        renameSync(from, stepDir);
        return;
      }
    } catch {
      // There is a folder already, with something in it, or the other one has just been removed.
    }
    makeFolder(stepDir);
    try {
      for (const name of parts) renameSync(join(from, name), join(stepDir, name));
    } catch {
      // Meshrun makes the FIFOs, and layFile the record.
    }
  }
}

/** Makes a folder in one that exists. Throws system errors. */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}

const { O_RDONLY, O_WRONLY, O_NONBLOCK, O_NOFOLLOW } = constants;

/** Throws for what is no record, or a large one. Never waits: a FIFO may have been put in its place. */
function blank(record: string): void {
  const fd = openSync(record, O_WRONLY | O_NONBLOCK | O_NOFOLLOW);
  try {
    const stat = fstatSync(fd);
    const { size } = stat;
    if (!stat.isFile() || stat.nlink !== 1 || size > BLANK.length) throw new Error('not a record');
    if (writeSync(fd, BLANK, 0, size, 0) !== size) throw new Error('not blank');
  } finally {
    closeSync(fd);
  }
}

/**
 * Its meshrun lives, or what it wrote is still to be read. Once it has let go of this FIFO nobody reads
 * the commands any more, and what was written there and never read is gone with it (channel.h). Throws
 * for what is no FIFO of ours.
 */
function isHeld(exit: string): boolean {
  const fd = openSync(exit, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  try {
    expectOwnFifo(fstatSync(fd));
    return readSync(fd, Buffer.allocUnsafe(1)) > 0;
  } catch (error) {
    if (errnoOf(error) === 'EAGAIN') return true;
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** A step's processes can put anything in its place, and change whom it lets in. */
function expectOwnFifo(stat: Stats): void {
  const isOwn = stat.uid === process.getuid?.() && (stat.mode & 0o777) === 0o600;
  if (!stat.isFIFO() || !isOwn || stat.nlink !== 1) throw new Error('not a FIFO of ours');
}
