/**
 * Checkpoints and result files of one attempt.
 *
 * A checkpoint that changed and then stayed the same for a look is copied beside the work folder, and
 * the copy is what is stored and what the task's next attempt on this host begins with: a file that
 * is being written is never taken for one (design section 6).
 */
import { copyFile, mkdir, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { AttemptSpec } from '#protocol/messages/attempt-spec.ts';
import type { StoredFile } from '#protocol/messages/attempt.ts';
import { errnoOf, toError } from '#protocol/messages/errors.ts';
import type { Log } from '#protocol/runtime/log.ts';
import type { AttemptPaths } from '../state/state-folder.ts';
import { storedFile, storeFile, type StoreRequest } from './file-store.ts';
import { matchFiles } from './globs.ts';

const LOOK_MS = 2_000;

export interface KeeperOptions {
  readonly spec: AttemptSpec;
  readonly paths: AttemptPaths;
  readonly store: Omit<StoreRequest, 'path'>;
  readonly log: Log;
  readonly onStored: (file: StoredFile) => void;
}

export class FileKeeper {
  readonly #options: KeeperOptions;
  /** Size and time of change at the last look, and of what is stored, by path. */
  readonly #seen = new Map<string, string>();
  readonly #kept = new Map<string, string>();
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> | null = null;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** Looks for changed checkpoints while the attempt runs, if the suite names any. */
  watch(): void {
    if (this.#options.spec.checkpoints.length === 0) return;
    this.#timer ??= setInterval(() => {
      this.#looking ??= this.#look(false).finally(() => {
        this.#looking = null;
      });
    }, LOOK_MS).unref();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** The attempt's processes are gone: stores what is there. Never rejects. */
  async finish(): Promise<void> {
    this.close();
    await this.#looking;
    await this.#look(true);
    const { spec, paths, log } = this.#options;
    try {
      for (const path of await matchFiles(paths.work, spec.files)) {
        await this.#store('result', path, join(paths.work, path));
      }
    } catch (error) {
      log.warn({ err: toError(error).message }, 'result files could not be read');
    }
  }

  async #look(isLast: boolean): Promise<void> {
    const { spec, paths, log } = this.#options;
    try {
      for (const path of await matchFiles(paths.work, spec.checkpoints)) {
        const file = join(paths.work, path);
        const { size, mtimeMs } = await stat(file);
        const mark = `${size}:${mtimeMs}`;
        const isStable = isLast || this.#seen.get(path) === mark;
        this.#seen.set(path, mark);
        if (!isStable || this.#kept.get(path) === mark) continue;
        const copy = join(paths.checkpoint, path);
        await mkdir(dirname(copy), { recursive: true });
        await copyFile(file, copy);
        this.#kept.set(path, mark);
        await this.#store('checkpoint', path, copy);
      }
    } catch (error) {
      log.warn({ err: toError(error).message }, 'checkpoints could not be kept');
    }
  }

  async #store(kind: StoredFile['kind'], path: string, file: string): Promise<void> {
    const result = await storeFile({ ...this.#options.store, path: file });
    if (result.kind === 'stored') this.#options.onStored(storedFile(kind, path, result));
    else this.#options.log.warn({ path, reason: result.reason }, 'a file could not be stored');
  }
}

/**
 * Copies the checkpoints of the newest earlier attempt of the task into this one's work folder.
 * Resolves with the path of the latest of them, or null. `taskDir` holds the attempts by number.
 */
export async function placeCheckpoint(
  taskDir: string,
  n: number,
  workDir: string,
): Promise<string | null> {
  for (const earlier of await earlierAttempts(taskDir, n)) {
    const dir = join(taskDir, String(earlier), 'checkpoint');
    const files = await checkpointsIn(dir);
    if (files.length === 0) continue;
    let latest: { readonly path: string; readonly atMs: number } | null = null;
    for (const path of files) {
      const target = join(workDir, path);
      await mkdir(dirname(target), { recursive: true });
      await copyFile(join(dir, path), target);
      const { mtimeMs } = await stat(join(dir, path));
      if (latest === null || mtimeMs >= latest.atMs) latest = { path: target, atMs: mtimeMs };
    }
    return latest?.path ?? null;
  }
  return null;
}

async function earlierAttempts(taskDir: string, n: number): Promise<number[]> {
  const names = await readdir(taskDir);
  return names
    .map(Number)
    .filter((number) => number >= 1 && number < n)
    .sort((a, b) => b - a);
}

async function checkpointsIn(dir: string): Promise<string[]> {
  try {
    return await matchFiles(dir, ['**']);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
