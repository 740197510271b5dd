/**
 * Append-only records in numbered segment files, oldest removed first.
 *
 * 1. A write that fails (ENOSPC) leaves nothing behind: the file is cut back to its last good end,
 *    and what was recorded before stays (I12).
 * 2. A torn end is only ever in the newest segment, and is cut off when the journal is opened. A
 *    damaged record elsewhere ends that segment's reading and is reported, never hidden.
 * 3. Segments go strictly from the oldest on, so that a `dropped` record outlives what it drops.
 *
 * One caller at a time: the outbox's pump.
 */
import { mkdir, open, readdir, readFile, rm, truncate, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, toError } from '../messages/errors.ts';
import type { Log } from '../runtime/log.ts';
import { readRecord, type ReadRecord } from './journal-format.ts';

export interface Place {
  readonly segment: number;
  readonly offset: number;
  readonly length: number;
}

export type WriteOutcome =
  | { readonly kind: 'written'; readonly segment: number; readonly offset: number }
  /** No room (ENOSPC, EDQUOT, EFBIG); nothing of it is recorded. */
  | { readonly kind: 'no_space'; readonly errno: string }
  | { readonly kind: 'failed'; readonly error: Error };

const NO_SPACE: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
const NAME = /^journal-(\d{8})\.log$/;

export interface JournalOptions {
  readonly dir: string;
  readonly segmentBytes: number;
  readonly log: Log;
}

export class Journal {
  readonly #options: JournalOptions;
  /** Bytes of each segment, oldest first; the last one is appended to. */
  readonly #sizes = new Map<number, number>();
  #newest = 0;
  #file: FileHandle | null = null;

  private constructor(options: JournalOptions) {
    this.#options = options;
  }

  /** Opens or makes the journal and hands every record to `onRecord`, oldest first. */
  static async open(
    options: JournalOptions,
    onRecord: (found: ReadRecord, segment: number) => void,
  ): Promise<Journal> {
    const journal = new Journal(options);
    await mkdir(options.dir, { recursive: true, mode: 0o700 });
    const segments = (await readdir(options.dir))
      .flatMap((file) => NAME.exec(file)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
    for (const segment of segments) {
      const bytes = await readFile(journal.#fileOf(segment));
      const end = scan(bytes, (found) => {
        onRecord(found, segment);
      });
      if (end < bytes.length) {
        const fields = { segment, end, size: bytes.length };
        if (segment === segments.at(-1))
          options.log.info(fields, 'journal ends in a torn record, cut off');
        else options.log.error(fields, 'journal segment is damaged, the rest of it is unreadable');
        if (segment === segments.at(-1)) await truncate(journal.#fileOf(segment), end);
      }
      journal.#sizes.set(segment, end);
      journal.#newest = segment;
    }
    return journal;
  }

  bytes(): number {
    let sum = 0;
    for (const size of this.#sizes.values()) sum += size;
    return sum;
  }

  /** The oldest segment, unless it is the one being written. */
  oldest(): number | null {
    const first = this.#sizes.keys().next().value;
    return first === undefined || first === this.#newest ? null : first;
  }

  /** Appends as one write, in a new segment if the newest is full. Never rejects. */
  async append(bytes: Uint8Array): Promise<WriteOutcome> {
    try {
      const file = await this.#fileFor(bytes.length);
      const segment = this.#newest;
      const offset = this.#sizes.get(segment) ?? 0;
      try {
        let done = 0;
        while (done < bytes.length) {
          const { bytesWritten } = await file.write(
            bytes,
            done,
            bytes.length - done,
            offset + done,
          );
          done += bytesWritten;
        }
      } catch (error) {
        await file.truncate(offset).catch(() => undefined);
        throw error;
      }
      this.#sizes.set(segment, offset + bytes.length);
      return { kind: 'written', segment, offset };
    } catch (error) {
      const errno = errnoOf(error);
      if (errno !== null && NO_SPACE.has(errno)) return { kind: 'no_space', errno };
      return { kind: 'failed', error: toError(error) };
    }
  }

  /** fdatasync of the newest segment. Rejects with system errors. */
  async sync(): Promise<void> {
    await this.#file?.datasync();
  }

  /** The bytes of one record. Rejects with system errors. */
  async read(place: Place): Promise<Buffer> {
    const file = await open(this.#fileOf(place.segment), 'r');
    try {
      const bytes = Buffer.alloc(place.length);
      await file.read(bytes, 0, place.length, place.offset);
      return bytes;
    } finally {
      await file.close();
    }
  }

  /** Every record of a segment, in order. Rejects with system errors. */
  async readSegment(segment: number, onRecord: (found: ReadRecord) => void): Promise<void> {
    const bytes = await readFile(this.#fileOf(segment));
    scan(bytes.subarray(0, this.#sizes.get(segment) ?? 0), onRecord);
  }

  /** Numbers of all segments, oldest first. */
  segments(): number[] {
    return [...this.#sizes.keys()];
  }

  /** Removes the oldest segment. */
  async remove(segment: number): Promise<void> {
    await rm(this.#fileOf(segment), { force: true });
    this.#sizes.delete(segment);
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await file?.close();
  }

  async #fileFor(length: number): Promise<FileHandle> {
    const size = this.#sizes.get(this.#newest) ?? 0;
    const full = size > 0 && size + length > this.#options.segmentBytes;
    if (full || this.#newest === 0) {
      const next = this.#newest + 1;
      const file = await open(this.#fileOf(next), 'w', 0o600);
      // So that a later sync of the new segment covers all that came before.
      await this.#file?.datasync();
      await this.#file?.close();
      this.#file = file;
      this.#newest = next;
      this.#sizes.set(next, 0);
      return file;
    }
    this.#file ??= await open(this.#fileOf(this.#newest), 'r+');
    return this.#file;
  }

  #fileOf(segment: number): string {
    return join(this.#options.dir, `journal-${String(segment).padStart(8, '0')}.log`);
  }
}

/** Hands over each good record; resolves with where the good ones end. */
function scan(bytes: Buffer, onRecord: (found: ReadRecord) => void): number {
  let offset = 0;
  for (;;) {
    const found = readRecord(bytes, offset);
    if (found === null) return offset;
    onRecord(found);
    offset += found.length;
  }
}
