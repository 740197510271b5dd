/**
 * Takes checkpoints of one attempt: on change, at most every so often, and once when its processes
 * are gone. A checkpoint is told only when every object of it is stored, so an agent killed in between
 * leaves none that is half.
 */
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { AttemptSpec } from '#protocol/messages/attempt/attempt-spec.ts';
import {
  DEFAULT_CHECKPOINT_RULES,
  type Checkpoint,
  type CheckpointRules,
} from '#protocol/messages/attempt/checkpoint.ts';
import { errnoOf, toError } from '#protocol/messages/errors.ts';
import type { StoredFile } from '#protocol/messages/attempt/stored-file.ts';
import type { Log } from '#protocol/runtime/log.ts';
import { storedFile, storeFile, type StoreRequest } from '../attempt/file-store.ts';
import { matchFiles } from '../attempt/globs.ts';
import type { AttemptPaths } from '../state/state-folder.ts';
import { decideLook, markOf, type SeenFile, type WriterState } from './checkpoint-policy.ts';
import { copySeen, keepOnly, type LocalObject } from './local-objects.ts';

const LOOK_LEAST_MS = 100;
const LOOK_MOST_MS = 2_000;

export interface CheckpointKeeperOptions {
  readonly spec: AttemptSpec;
  readonly paths: AttemptPaths;
  readonly store: Omit<StoreRequest, 'run' | 'path'>;
  readonly log: Log;
  /** Those of this attempt that stay stored. */
  readonly known: () => readonly Checkpoint[];
  readonly onTaken: (files: readonly StoredFile[]) => void;
  readonly onRefused: (reason: string) => void;
}

export class CheckpointKeeper {
  readonly #options: CheckpointKeeperOptions;
  readonly #rules: CheckpointRules;
  #before = new Map<string, string>();
  #taken = new Map<string, string>();
  #takenMs: number | null = null;
  #refused: string | null = null;
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> | null = null;

  constructor(options: CheckpointKeeperOptions) {
    this.#options = options;
    this.#rules = options.spec.checkpointRules ?? DEFAULT_CHECKPOINT_RULES;
  }

  /** Looks while the attempt runs, if the suite names any. */
  watch(): void {
    if (this.#options.spec.checkpoints.length === 0) return;
    const lookMs = Math.min(LOOK_MOST_MS, Math.max(LOOK_LEAST_MS, this.#rules.everyMs / 2));
    this.#timer ??= setInterval(() => {
      this.#looking ??= this.#look('running').finally(() => {
        this.#looking = null;
      });
    }, lookMs).unref();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** The processes are gone: the last checkpoint. Never rejects. */
  async finish(writer: WriterState): Promise<void> {
    this.close();
    await this.#looking;
    if (this.#options.spec.checkpoints.length > 0) await this.#look(writer);
  }

  async #look(writer: WriterState): Promise<void> {
    const { spec, paths, log } = this.#options;
    try {
      const files = await seenFiles(paths.work, await matchFiles(paths.work, spec.checkpoints));
      const before = this.#before;
      this.#before = new Map(files.map((file) => [file.path, markOf(file)]));
      if (writer === 'running' && !this.#isDue()) return;
      const look = { files, before, taken: this.#taken, writer, rules: this.#rules };
      const decision = decideLook(look);
      if (decision.kind === 'refuse') this.#refuse(decision.reason);
      else if (decision.kind === 'take') await this.#take(decision.files);
    } catch (error) {
      log.warn({ err: toError(error).message }, 'a checkpoint could not be taken');
    }
  }

  #isDue(): boolean {
    const { clock } = this.#options.store;
    return this.#takenMs === null || clock.now().monotonicMs - this.#takenMs >= this.#rules.everyMs;
  }

  /** Said once, until another reason comes. */
  #refuse(reason: string): void {
    if (this.#refused === reason) return;
    this.#refused = reason;
    this.#options.log.warn({ reason }, 'a checkpoint is not stored');
    this.#options.onRefused(reason);
  }

  async #take(seen: readonly SeenFile[]): Promise<void> {
    const { paths, spec, store, known, onTaken } = this.#options;
    const copies: LocalObject[] = [];
    for (const file of seen) {
      const copy = await copySeen(paths.checkpoint, join(paths.work, file.path), file);
      if (copy === null) return; // written again meanwhile: the next look has it
      copies.push(copy);
    }
    const marks = new Map(seen.map((file) => [file.path, markOf(file)]));
    const content = seen.map((file, i) => `${file.path}=${copies[i]?.sha256 ?? ''}`);
    const last = known().at(-1) ?? spec.resume?.[0];
    const isSame = sameContent(last?.files ?? [], content);
    if (!isSame) {
      const files: StoredFile[] = [];
      for (const [i, copy] of copies.entries()) {
        const result = await storeFile({ ...store, run: spec.run, path: copy.file });
        if (result.kind === 'given_up') {
          this.#refuse(`${seen[i]?.path ?? ''}: ${result.reason}`);
          return;
        }
        files.push(storedFile('checkpoint', seen[i]?.path ?? '', result));
      }
      onTaken(files);
    }
    this.#taken = marks;
    this.#takenMs = store.clock.now().monotonicMs;
    this.#refused = null;
    const kept = [...known(), ...(spec.resume ?? []).slice(0, 1)].flatMap(({ files }) => files);
    await keepOnly(paths.checkpoint, new Set([...kept, ...copies].map(({ sha256 }) => sha256)));
  }
}

function sameContent(files: readonly StoredFile[], content: readonly string[]): boolean {
  const known = files.map(({ path, sha256 }) => `${path}=${sha256}`).sort();
  return known.length === content.length && content.toSorted().every((one, i) => one === known[i]);
}

/** Files that went away since they were matched are left out. */
async function seenFiles(work: string, paths: readonly string[]): Promise<SeenFile[]> {
  const files: SeenFile[] = [];
  for (const path of paths) {
    try {
      const { ino, size, mtimeNs, ctimeNs } = await lstat(join(work, path), { bigint: true });
      const at = { inode: ino, bytes: Number(size), modifiedNs: mtimeNs, changedNs: ctimeNs };
      files.push({ path, ...at });
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }
  return files;
}
