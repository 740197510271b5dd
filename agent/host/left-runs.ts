/**
 * Folders of runs that nobody released: the command was lost with its stream, or the mesh was made
 * anew. Looked for at the start and once a day; the host decides (`forget_run` in host-reducer.ts).
 *
 *   attempts/<run>      unchanged for `keepDays`, unknown to the ledger -> asked for
 *   attempts/.left-...  taken out of the way, being removed; the rest of it after a crash
 *
 * 1. Never one of a run with an attempt that waits, runs, is fenced, or has a log to deliver; of an
 *    open stop; or of which files are being collected.
 * 2. Taken away by one rename, in the turn that decides: a start that comes later finds no folder
 *    and makes its own.
 * 3. Events that wait in the outbox, and the stops known of the run, stay: only `release` drops those.
 */
import { renameSync } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, toError } from '#protocol/messages/errors.ts';
import type { Clock, Timer } from '#protocol/runtime/clock.ts';
import type { Log } from '#protocol/runtime/log.ts';
import { removeTree } from '../state/remove-tree.ts';

const DAY_MS = 86_400_000;
/** No id begins so. */
const LEFT = '.left-';

export interface LeftRunsOptions {
  readonly stateDir: string;
  readonly keepDays: number;
  /** Nobody has touched the folder of this run for `keepDays`. */
  readonly onFound: (run: string) => void;
  readonly clock: Clock;
  readonly log: Log;
}

export class LeftRuns {
  readonly #options: LeftRunsOptions;
  readonly #folder: string;
  #timer: Timer | null = null;
  #isClosed = false;

  constructor(options: LeftRunsOptions) {
    this.#options = options;
    this.#folder = join(options.stateDir, 'attempts');
  }

  /** Looks now, and once a day from now on. Never rejects. */
  async begin(): Promise<void> {
    this.#timer = this.#options.clock.after(DAY_MS, () => {
      void this.begin();
    });
    try {
      // What an earlier process left first: it stands in the way of the next of the same run.
      for (const name of (await readdir(this.#folder)).sort()) {
        if (this.#isClosed) return;
        if (name.startsWith(LEFT)) await this.#remove(name);
        else if (await this.#isLeft(join(this.#folder, name))) this.#options.onFound(name);
      }
    } catch (error) {
      this.#options.log.warn({ err: toError(error).message }, 'old folders cannot be looked for');
    }
  }

  /** Nothing of the run lives, and that is so until the end of this turn. */
  take(run: string): void {
    const { log, keepDays } = this.#options;
    const away = `${LEFT}${run}`;
    try {
      renameSync(join(this.#folder, run), join(this.#folder, away));
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return;
      this.#complain(run, error);
      return;
    }
    log.info({ run, keepDays }, 'the folder of a run that nobody released is removed');
    void this.#remove(away);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  /** By the newest change of it and of what is directly in it. One from the future is kept. */
  async #isLeft(dir: string): Promise<boolean> {
    const { clock, keepDays } = this.#options;
    const sinceMs = clock.now().wallMs - keepDays * DAY_MS;
    const own = await lstat(dir).catch(() => null);
    if (own?.isDirectory() !== true || own.mtimeMs >= sinceMs) return false;
    for (const name of await readdir(dir)) {
      const found = await lstat(join(dir, name)).catch(() => null);
      if (found !== null && found.mtimeMs >= sinceMs) return false;
    }
    return true;
  }

  async #remove(name: string): Promise<void> {
    await removeTree(join(this.#folder, name)).catch((error: unknown) => {
      this.#complain(name, error);
    });
  }

  #complain(folder: string, error: unknown): void {
    const { message } = toError(error);
    this.#options.log.warn({ folder, err: message }, 'an old folder cannot be removed');
  }
}
