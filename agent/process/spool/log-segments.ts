/**
 * Reads a step's output from its segments, and gives their space back.
 *
 * One offset counts the bytes of both streams in the order they arrived; it is the one the
 * log stream uses (I7). This class keeps a place in the index, so reading on costs what is
 * new; reading from an earlier offset starts again from the oldest segment.
 *
 * 1. An entry is trusted as far as its segment has bytes: it is written first (spool.h).
 * 2. The last entry of a segment may still change, so it is always read again.
 * 3. Bytes that are not there any more are reported as a gap, never passed over.
 * 4. A read takes index and log by the block: output of many short lines has an entry for each.
 *
 * Synchronous: it reads small files from the page cache, by the batch. Throws only what the
 * file system throws.
 */
import { closeSync, existsSync, fstatSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import {
  ENTRY_BYTES,
  GAP_LIMIT,
  KIND_GAP,
  KIND_STDERR,
  readEntry,
  segmentName,
  segmentNumbers,
  type IndexEntry,
} from './log-format.ts';
import { openPlain, readPlain } from '../plain-file.ts';
import { rawSize, readRaw } from '../scan/raw-log.ts';

export interface LogChunk {
  readonly offset: number;
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Buffer;
  /** Wall clock of the host, of the first byte, ms. */
  readonly arrivalMs: number;
}

export interface LogGap {
  readonly offset: number;
  readonly length: number;
  /** limit: dropped at the spool's limit; write-failed: the disk refused; missing: deleted or lost. */
  readonly reason: 'limit' | 'write-failed' | 'missing';
  readonly arrivalMs: number | null;
}

export interface LogRead {
  readonly offset: number;
  /** Where to read on: the end of the last chunk or gap. */
  readonly nextOffset: number;
  readonly chunks: readonly LogChunk[];
  readonly gaps: readonly LogGap[];
}

interface Segment {
  readonly number: number;
  readonly index: number;
  readonly log: number;
  /** Next entry to look at in the index, and where its bytes begin in the log. */
  entryAt: number;
  bytesAt: number;
  /** The log was at least this long when last looked at. */
  size: number;
  /** Up to here in the log everything has been returned; null before the first byte of it. */
  returnedTo: number | null;
}

/** A stretch of a segment's log. */
interface Block {
  readonly segment: Segment;
  readonly from: number;
  readonly bytes: Buffer;
}

const INDEX_BATCH = 512 * ENTRY_BYTES;

export class LogSegments {
  readonly #dir: string;
  readonly #indexPart = Buffer.allocUnsafe(INDEX_BATCH);
  /** What `#indexPart` holds: of this segment's index, from this place on; null: nothing of today. */
  #part: { readonly segment: Segment; readonly from: number; readonly size: number } | null = null;
  #segment: Segment | null = null;
  /** Everything before it has been read; the place #segment stands at is at or before it. */
  #offset = 0;
  #end: number | null = null;
  /** Ends of segments that are whole, for release(). */
  readonly #ends = new Map<number, number>();

  constructor(stepDir: string) {
    this.#dir = stepDir;
  }

  /** The step is over and wrote this much: what is not on disk of it is a gap. */
  finish(logBytes: number): void {
    this.#end = logBytes;
  }

  /**
   * Whether as many bytes as the probe has wait to be read, by one system call; null where only a read
   * says whether there is anything.
   */
  isWaiting(offset: number, probe: Buffer): boolean | null {
    const segment = this.#segment;
    if (segment === null || segment.returnedTo === null || offset !== this.#offset) return null;
    const size = readPlain(segment.log, probe, { position: segment.returnedTo });
    return size === 0 ? null : size === probe.length;
  }

  /** At most maxBytes of bytes (at least one byte if there is any) in maxChunks; gaps cost nothing. */
  readFrom(offset: number, maxBytes: number, maxChunks = Number.POSITIVE_INFINITY): LogRead {
    if (this.#segment === null) {
      const raw = readRaw(this.#dir, offset, maxBytes);
      if (raw !== null) return raw;
    }
    if (offset < this.#offset || this.#segment === null) this.#rewind();
    this.#part = null;
    let block: Block | null = null;
    const chunks: LogChunk[] = [];
    const gaps: LogGap[] = [];
    let at = offset;
    let left = Math.max(1, maxBytes);
    const miss = (upTo: number): void => {
      if (upTo > at) {
        gaps.push({ offset: at, length: upTo - at, reason: 'missing', arrivalMs: null });
        at = upTo;
      }
    };
    while (left > 0 && chunks.length < maxChunks) {
      const found = this.#next(at);
      if (found === null) break;
      const { entry, available } = found;
      miss(entry.offset);
      const skip = at - entry.offset;
      if (entry.kind === KIND_GAP) {
        const reason = isWriteFailed(entry) ? 'write-failed' : 'limit';
        const length = entry.length - skip;
        if (length > 0) gaps.push({ offset: at, length, reason, arrivalMs: entry.arrivalMs });
        at += length;
        continue;
      }
      const { segment } = found;
      const from = segment.bytesAt + skip;
      if (block?.segment !== segment || from >= block.from + block.bytes.length)
        block = blockOf(segment, from, left);
      const bytes = block.bytes.subarray(
        from - block.from,
        from - block.from + Math.min(left, available - skip),
      );
      if (bytes.length === 0) break;
      segment.returnedTo = from + bytes.length;
      const stream = entry.kind === KIND_STDERR ? 'stderr' : 'stdout';
      chunks.push({ offset: at, stream, bytes, arrivalMs: entry.arrivalMs });
      at += bytes.length;
      left -= bytes.length;
    }
    if (this.#end !== null && left > 0 && chunks.length < maxChunks && at < this.#end) {
      gaps.push({ offset: at, length: this.#end - at, reason: 'write-failed', arrivalMs: null });
      at = this.#end;
    }
    this.#offset = at;
    return { offset, nextOffset: at, chunks, gaps };
  }

  /** Deletes segments that lie wholly before the offset and are not the newest. */
  release(uptoOffset: number): void {
    const numbers = this.#numbers();
    for (const number of numbers.slice(0, -1)) {
      const end = this.#ends.get(number) ?? this.#endOf(number);
      this.#ends.set(number, end);
      if (end > uptoOffset) return;
      if (this.#segment?.number === number) this.#leave();
      this.#ends.delete(number);
      // The log first: meshrun takes its absence for the freed space.
      removeFile(join(this.#dir, segmentName('log', number)));
      removeFile(join(this.#dir, segmentName('index', number)));
    }
  }

  /** The end of what is on disk: for a step whose record says nothing about it. */
  extent(): number {
    const last = this.#numbers().at(-1);
    return last === undefined ? rawSize(this.#dir) : this.#endOf(last);
  }

  /** Whether the disk refused some of what is still here, rather than the limit of the spool. */
  isRefused(): boolean {
    const numbers = this.#numbers();
    for (const number of numbers) {
      for (const entry of this.#entriesOf(number)) if (isWriteFailed(entry)) return true;
    }
    // What not even the index could take. The scan rung has none, and only a limit.
    return numbers.length > 0 && this.#end !== null && this.#end > this.extent();
  }

  close(): void {
    this.#leave();
  }

  /** The first entry that reaches beyond the offset, or null if there is none yet. */
  #next(offset: number): { segment: Segment; entry: IndexEntry; available: number } | null {
    for (;;) {
      const segment = this.#segment ?? this.#openFirst();
      if (segment === null) return null;
      const found = this.#scan(segment, offset);
      if (found !== null) return { segment, ...found };
      const following = segment.number + 1;
      if (!existsSync(join(this.#dir, segmentName('index', following)))) return null;
      // The next one exists, so this one is whole now; it may have grown since it was scanned.
      this.#part = null;
      const late = this.#scan(segment, offset);
      if (late !== null) return { segment, ...late };
      this.#leave();
      if (this.#open(following) === null) return null;
    }
  }

  #scan(segment: Segment, offset: number): { entry: IndexEntry; available: number } | null {
    for (;;) {
      const { from, size } = this.#indexFrom(segment);
      const part = this.#indexPart.subarray(0, size);
      const begin = segment.entryAt - from;
      let at = begin;
      let entry = readEntry(part, at);
      while (entry !== null) {
        const gap = entry.kind === KIND_GAP;
        const available = gap ? entry.length : this.#held(segment, entry.length);
        if (entry.offset + available > offset) return { entry, available };
        // Only an entry that has a successor can no longer change.
        const following = readEntry(part, at + ENTRY_BYTES);
        if (following === null) break;
        segment.entryAt += ENTRY_BYTES;
        segment.bytesAt += gap ? 0 : entry.length;
        at += ENTRY_BYTES;
        entry = following;
      }
      // There may be more behind what was read, if that was full and its end has been reached.
      if (size < INDEX_BATCH || (at === begin && from === segment.entryAt)) return null;
      this.#part = null;
    }
  }

  /** Has the index in `#indexPart` from where the segment stands, or from before that. */
  #indexFrom(segment: Segment): { readonly from: number; readonly size: number } {
    if (this.#part?.segment === segment) return this.#part;
    const from = segment.entryAt;
    const size = readPlain(segment.index, this.#indexPart, { position: from });
    this.#part = { segment, from, size };
    return this.#part;
  }

  /** How many of the next `length` bytes are in the log yet. */
  #held(segment: Segment, length: number): number {
    if (segment.bytesAt + length > segment.size) segment.size = fstatSync(segment.log).size;
    return Math.max(0, Math.min(length, segment.size - segment.bytesAt));
  }

  #endOf(number: number): number {
    const log = openPlain(join(this.#dir, segmentName('log', number)));
    try {
      let room = log === null ? 0 : fstatSync(log).size;
      let end = 0;
      for (const entry of this.#entriesOf(number)) {
        const held = entry.kind === KIND_GAP ? entry.length : Math.min(entry.length, room);
        if (entry.kind !== KIND_GAP) room -= held;
        end = entry.offset + held;
      }
      return end;
    } finally {
      if (log !== null) closeSync(log);
    }
  }

  /** None of a segment that was released. */
  *#entriesOf(number: number): Generator<IndexEntry> {
    const index = openPlain(join(this.#dir, segmentName('index', number)));
    if (index === null) return;
    try {
      const part = Buffer.allocUnsafe(INDEX_BATCH);
      for (let position = 0; ; position += INDEX_BATCH) {
        const size = readPlain(index, part, { position });
        for (let at = 0; at < INDEX_BATCH; at += ENTRY_BYTES) {
          const entry = readEntry(part.subarray(0, size), at);
          if (entry === null) return;
          yield entry;
        }
      }
    } finally {
      closeSync(index);
    }
  }

  /** None in a folder that its own processes have removed: what it held is a gap then. */
  #numbers(): number[] {
    try {
      return segmentNumbers(readdirSync(this.#dir));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }

  #openFirst(): Segment | null {
    for (const number of this.#numbers()) {
      const segment = this.#open(number);
      if (segment !== null) return segment;
    }
    return null;
  }

  /** Null when the segment was released, wholly or only its log. */
  #open(number: number): Segment | null {
    const index = openPlain(join(this.#dir, segmentName('index', number)));
    if (index === null) return null;
    const log = openPlain(join(this.#dir, segmentName('log', number)));
    if (log === null) {
      closeSync(index);
      return null;
    }
    this.#segment = {
      ...{ number, index, log },
      ...{ entryAt: 0, bytesAt: 0, size: 0, returnedTo: null },
    };
    return this.#segment;
  }

  #leave(): void {
    if (this.#segment === null) return;
    closeSync(this.#segment.index);
    closeSync(this.#segment.log);
    this.#segment = null;
  }

  #rewind(): void {
    this.#leave();
    this.#offset = 0;
  }
}

/** What is there of a segment's log from a place on, up to `most` bytes, in one read. */
function blockOf(segment: Segment, from: number, most: number): Block {
  const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(most, segment.size - from)));
  const size = readPlain(segment.log, bytes, { position: from });
  return { segment, from, bytes: bytes.subarray(0, size) };
}

function isWriteFailed({ kind, reason }: IndexEntry): boolean {
  return kind === KIND_GAP && reason !== GAP_LIMIT;
}

function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
