/**
 * Checkpoints and result files of one attempt.
 *
 * A checkpoint that changed and then stayed the same for a look is copied beside the work folder, and
 * the copy is what is stored and what the task's next attempt on this host begins with: a file that
 * is being written is never taken for one (design section 6).
 */
import { copyFile, mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { AttemptSpec } from '#protocol/messages/attempt-spec.ts';
import type { LostFile, StoredFile } from '#protocol/messages/attempt.ts';
import { errnoOf, toError } from '#protocol/messages/errors.ts';
import type { AttemptRef } from '#protocol/messages/ids.ts';
import type { Log } from '#protocol/runtime/log.ts';
import { attemptPaths, type AttemptPaths } from '../state/state-folder.ts';
import { storedFile, storeFile, type StoreRequest } from './file-store.ts';
import { matchFiles } from './globs.ts';

const LOOK_MS = 2_000;
/** More are counted, not named: `attempt.exited` is one message. */
const LOST_MOST = 100;

export interface KeeperOptions {
  readonly spec: AttemptSpec;
  readonly paths: AttemptPaths;
  readonly store: Omit<StoreRequest, 'run' | 'path'>;
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

  /**
   * The attempt's processes are gone: stores what is there. Resolves with the result files that could
   * not be stored; one of them does not keep the others from it. Never rejects.
   */
  async finish(): Promise<LostFile[]> {
    this.close();
    await this.#looking;
    await this.#look(true);
    const { spec, paths, log } = this.#options;
    const lost: LostFile[] = [];
    let matched: string[] = [];
    try {
      matched = await matchFiles(paths.work, spec.files, (path, reason) => {
        lost.push({ path, reason });
      });
    } catch (error) {
      const reason = toError(error).message;
      log.warn({ err: reason }, 'result files could not be read');
      lost.push(...spec.files.map((path) => ({ path, reason })));
    }
    for (const path of matched) {
      const reason = await this.#store('result', path, join(paths.work, path));
      if (reason !== null) lost.push({ path, reason });
    }
    return bounded(lost);
  }

  async #look(isLast: boolean): Promise<void> {
    const { spec, paths, log } = this.#options;
    try {
      for (const path of await matchFiles(paths.work, spec.checkpoints)) {
        await this.#keep(path, isLast).catch((error: unknown) => {
          log.warn({ path, err: toError(error).message }, 'a checkpoint could not be kept');
        });
      }
    } catch (error) {
      log.warn({ err: toError(error).message }, 'checkpoints could not be read');
    }
  }

  async #keep(path: string, isLast: boolean): Promise<void> {
    const { paths } = this.#options;
    const file = join(paths.work, path);
    const { size, mtimeMs } = await stat(file);
    const mark = `${size}:${mtimeMs}`;
    const isStable = isLast || this.#seen.get(path) === mark;
    this.#seen.set(path, mark);
    if (!isStable || this.#kept.get(path) === mark) return;
    const copy = join(paths.checkpoint, path);
    await mkdir(dirname(copy), { recursive: true });
    await copyFile(file, copy);
    this.#kept.set(path, mark);
    await this.#store('checkpoint', path, copy);
  }

  /** Resolves with null, or why it could not be stored. Never rejects. */
  async #store(kind: StoredFile['kind'], path: string, file: string): Promise<string | null> {
    const { spec, store, onStored, log } = this.#options;
    const reason = await storeFile({ ...store, run: spec.run, path: file }).then(
      (result) => {
        if (result.kind === 'given_up') return result.reason;
        onStored(storedFile(kind, path, result));
        return null;
      },
      (error: unknown) => toError(error).message,
    );
    if (reason !== null) log.warn({ path, reason }, 'a file could not be stored');
    return reason;
  }
}

function bounded(lost: LostFile[]): LostFile[] {
  const more = lost.length - LOST_MOST;
  if (more <= 0) return lost;
  return [...lost.slice(0, LOST_MOST), { path: '**', reason: `${more} more could not be stored` }];
}

/**
 * Copies the checkpoints of the newest earlier attempt of the task into this one's work folder.
 * Resolves with the path of the latest of them, or null.
 */
export async function placeCheckpoint(stateDir: string, ref: AttemptRef): Promise<string | null> {
  const { work } = attemptPaths(stateDir, ref);
  for (let n = ref.n - 1; n >= 1; n -= 1) {
    const dir = attemptPaths(stateDir, { ...ref, n }).checkpoint;
    const files = await checkpointsIn(dir);
    if (files.length === 0) continue;
    let latest: { readonly path: string; readonly atMs: number } | null = null;
    for (const path of files) {
      const target = join(work, path);
      await mkdir(dirname(target), { recursive: true });
      await copyFile(join(dir, path), target);
      const { mtimeMs } = await stat(join(dir, path));
      if (latest === null || mtimeMs >= latest.atMs) latest = { path: target, atMs: mtimeMs };
    }
    return latest?.path ?? null;
  }
  return null;
}

async function checkpointsIn(dir: string): Promise<string[]> {
  try {
    return await matchFiles(dir, ['**']);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
