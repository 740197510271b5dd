/** Result files of one attempt: stored when its processes are gone, and whenever somebody asks for it. */
import { lstat, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import type { LostFile } from '#protocol/messages/attempt/attempt.ts';
import type { StoredFile } from '#protocol/messages/attempt/stored-file.ts';
import { toError } from '#protocol/messages/errors.ts';
import type { Log } from '#protocol/runtime/log.ts';
import { copyNow } from '../files/copy-now.ts';
import { tooLarge } from '../files/result-rules.ts';
import type { AttemptPaths } from '../state/state-folder.ts';
import { storedFile, storeFile, type StoreRequest } from './file-store.ts';
import { matchFiles } from './globs.ts';

/** More are counted, not named: `attempt.exited` is one message. */
const LOST_MOST = 100;

export interface KeeperOptions {
  readonly spec: Pick<AttemptSpec, 'run' | 'files' | 'fileRules'>;
  readonly paths: Pick<AttemptPaths, 'work'>;
  /** Its processes may live: what is stored is copied into this folder first, and removed from it. */
  readonly copies?: string;
  readonly store: Omit<StoreRequest, 'run' | 'path'>;
  readonly log: Log;
  readonly onStored: (file: StoredFile) => void;
}

export class FileKeeper {
  readonly #options: KeeperOptions;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /**
   * Stores what is there. Resolves with the result files that could
   * not be stored; one of them does not keep the others from it. Never rejects.
   */
  async finish(): Promise<LostFile[]> {
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
      const reason = await this.#keep(path);
      if (reason !== null) lost.push({ path, reason });
    }
    return bounded(lost);
  }

  async #keep(path: string): Promise<string | null> {
    const { spec, paths, copies } = this.#options;
    const file = join(paths.work, path);
    try {
      const reason = tooLarge(spec, path, (await lstat(file)).size);
      if (reason !== null) return reason;
      return copies === undefined
        ? await this.#store(path, file)
        : await this.#storeCopy(path, copies);
    } catch (error) {
      return toError(error).message;
    }
  }

  async #storeCopy(path: string, dir: string): Promise<string | null> {
    const { spec, paths } = this.#options;
    const copy = await copyNow(dir, paths.work, path);
    if (copy.kind === 'refused') return copy.reason;
    try {
      return tooLarge(spec, path, copy.bytes) ?? (await this.#store(path, copy.file));
    } finally {
      await rm(copy.file, { force: true });
    }
  }

  /** Resolves with null, or why it could not be stored. Never rejects. */
  async #store(path: string, file: string): Promise<string | null> {
    const { spec, store, onStored, log } = this.#options;
    const reason = await storeFile({ ...store, run: spec.run, path: file }).then(
      (result) => {
        if (result.kind === 'given_up') return result.reason;
        onStored(storedFile('result', path, result));
        return null;
      },
      (error: unknown) => toError(error).message,
    );
    if (reason !== null) log.warn({ path, reason }, 'a file could not be stored');
    return reason;
  }
}

/** The first of them, and how many there are more. */
export function bounded(lost: LostFile[]): LostFile[] {
  const more = lost.length - LOST_MOST;
  if (more <= 0) return lost;
  return [...lost.slice(0, LOST_MOST), { path: '**', reason: `${more} more could not be stored` }];
}
