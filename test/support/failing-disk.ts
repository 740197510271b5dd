/**
 * An ext4 disk of some megabytes in a file, that can be made to fail as real ones do: from then on it is
 * read-only, also for what has files open on it. Only root may mount one.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

export class FailingDisk {
  /** Where it is mounted. */
  readonly path: string;
  readonly #root: string;

  private constructor(root: string) {
    this.#root = root;
    this.path = join(root, 'disk');
  }

  /** Null where none can be mounted. */
  static mount(): FailingDisk | null {
    const root = mkdtempSync(join(tmpdir(), 'benchmesh-failing-'));
    const disk = new FailingDisk(root);
    try {
      mkdirSync(disk.path);
      run('truncate', ['-s', '48M', disk.#image]);
      run('mkfs.ext4', ['-q', '-F', disk.#image]);
      disk.remount();
      return disk;
    } catch {
      rmSync(root, { recursive: true });
      return null;
    }
  }

  get #image(): string {
    return join(this.#root, 'image');
  }

  /** All that was written is on it. */
  sync(): void {
    run('sync', ['-f', this.path]);
  }

  /** Its kernel finds an error and takes no writes any more. */
  fail(): void {
    const device = run('findmnt', ['-no', 'SOURCE', this.path]).trim();
    writeFileSync(`/sys/fs/ext4/${basename(device)}/trigger_fs_error`, '1');
  }

  /** Mounts it again, mended: nobody has a file open on it any more. */
  mend(): void {
    run('umount', [this.path]);
    this.remount();
  }

  remount(): void {
    run('mount', ['-o', 'loop,errors=remount-ro', this.#image, this.path]);
  }

  unmount(): void {
    run('umount', ['-l', this.path]);
    rmSync(this.#root, { recursive: true });
  }
}

function run(program: string, args: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}
