/**
 * Append-only records in numbered segment files, oldest removed first.
 *
 * 1. A write that fails (ENOSPC) leaves nothing behind: the file is cut back to its last good end,
 *    and what was recorded before stays (I12).
 * 2. A torn end is only ever in the newest segment, and is cut off when the journal is opened. A
 *    damaged record elsewhere ends that segment's reading and is reported, never hidden.
 * 3. Segments go strictly from the oldest on, so that a `dropped` record outlives what it drops.
 *
 * 4. Records are written to the page cache without leaving the thread: a write is a few
 *    microseconds, a turn through the thread pool many times that. Syncs are left to the pool.
 *
 * One caller at a time: the outbox's pump.
 */
import { closeSync, fdatasync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { errnoOf, toError } from '../../messages/errors.ts';
import type { Log } from '../../runtime/log.ts';
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
const datasync = promisify(fdatasync);
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
  #fd: number | null = null;
  /** The sync of the segment before the newest, if it is under way. */
  #ending: Promise<void> = Promise.resolve();

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

  /** Appends as one write, in a new segment if the newest is full. Never throws. */
  append(bytes: Uint8Array): WriteOutcome {
    try {
      const fd = this.#fdFor(bytes.length);
      const segment = this.#newest;
      const offset = this.#sizes.get(segment) ?? 0;
      try {
        let done = 0;
        while (done < bytes.length) {
          done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
        }
      } catch (error) {
        ftruncateSync(fd, offset);
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

  /** fdatasync of the newest segment and the one before. Rejects with system errors. */
  async sync(): Promise<void> {
    const ending = this.#ending;
    this.#ending = Promise.resolve();
    await ending;
    if (this.#fd !== null) await datasync(this.#fd);
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
    const fd = this.#fd;
    this.#fd = null;
    if (fd !== null) closeSync(fd);
    await this.#ending.catch(() => undefined); // told by sync(), if anybody asked
  }

  #fdFor(length: number): number {
    const size = this.#sizes.get(this.#newest) ?? 0;
    const full = size > 0 && size + length > this.#options.segmentBytes;
    if (full || this.#newest === 0) {
      const next = this.#newest + 1;
      const fd = openSync(this.#fileOf(next), 'w', 0o600);
      this.#endSegment();
      this.#fd = fd;
      this.#newest = next;
      this.#sizes.set(next, 0);
      return fd;
    }
    this.#fd ??= openSync(this.#fileOf(this.#newest), 'r+');
    return this.#fd;
  }

  /** So that a later sync covers all that came before. */
  #endSegment(): void {
    const fd = this.#fd;
    if (fd === null) return;
    const before = this.#ending;
    this.#ending = datasync(fd)
      .finally(() => {
        closeSync(fd);
      })
      .then(() => before);
    this.#ending.catch(() => undefined); // whoever syncs sees the failure
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
