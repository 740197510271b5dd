/** A disk of a few megabytes (tmpfs), to be filled. Only root may mount one. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmdirSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errnoOf } from '#protocol/messages/errors.ts';

export class SmallDisk {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** `size` as mount takes it (`64m`, `64m,nr_inodes=200`); null where none can be mounted. */
  static mount(size: string): SmallDisk | null {
    const path = mkdtempSync(join(tmpdir(), 'benchmesh-disk-'));
    try {
      run('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path]);
      return new SmallDisk(path);
    } catch {
      rmdirSync(path);
      return null;
    }
  }

  resize(size: string): void {
    run('mount', ['-o', `remount,size=${size}`, this.path]);
  }

  /** Takes what is left, to the last byte. */
  fill(): void {
    const file = openSync(join(this.path, 'filler'), 'a');
    try {
      for (let bytes = 1 << 20; bytes > 0; bytes >>= 1) writeUntilFull(file, Buffer.alloc(bytes));
    } finally {
      closeSync(file);
    }
  }

  unmount(): void {
    run('umount', ['-l', this.path]);
    rmdirSync(this.path);
  }
}

function writeUntilFull(file: number, bytes: Buffer): void {
  try {
    while (writeSync(file, bytes) === bytes.length);
  } catch (error) {
    if (errnoOf(error) !== 'ENOSPC') throw error;
  }
}

function run(program: string, args: string[]): void {
  execFileSync(program, args, { stdio: 'ignore' });
}
