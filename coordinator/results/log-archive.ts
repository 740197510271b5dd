/**
 * Logs of a run, streamed from BM_LOGS to `logs/<task>/<n>.log` (the bytes of both streams as they
 * arrived) and `<n>.index` (NDJSON: one row per chunk or gap).
 *
 *   {"offset":0,"length":12,"stream":"stdout","arrivalMs":1770993045123,"step":"run"}
 *   {"offset":12,"gapTo":4096}
 *
 * 1. Every byte once, at its offset: overlaps of repeated messages are dropped (I7).
 * 2. A range that is not there is a row of the index with its bounds; the file holds what is.
 * 3. Nothing is held in memory but the message at hand; a bounded number of files is open.
 */
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LOG_HEADERS, parseChunks } from '#protocol/messages/attempt/log.ts';

const MAX_OPEN = 32;
const INDEX_BUFFER_BYTES = 64 * 1024;

/** Of the files of one log: the number of its attempt; of a rank of a gang, `<n>-<rank>`. */
export type LogName = number | string;

export interface LogPiece {
  readonly task: string;
  readonly n: LogName;
  readonly data: Uint8Array;
  header(name: string): string | null;
}

/** As its agent has stored it. */
export interface StoredPiece extends LogPiece {
  readonly n: number;
  readonly agent: string;
}

interface LogFile {
  readonly path: string;
  /** Offset of the next byte. */
  next: number;
  log: FileHandle | null;
  index: FileHandle | null;
  rows: string;
}

export interface LogArchive {
  /** Writes what is new in the piece. Resolves with the attempt's next offset. */
  write(piece: LogPiece): Promise<number>;
  next(task: string, n: LogName): number;
  /** Notes that the log ends here although it is not whole. */
  truncate(task: string, n: LogName, logBytes: number): Promise<void>;
  /** Syncs and closes every file. */
  close(): Promise<void>;
}

export function createLogArchive(folder: string): LogArchive {
  return new Archive(folder);
}

const keyOf = (task: string, n: LogName): string => `${task}#${n}`;

class Archive implements LogArchive {
  readonly #folder: string;
  /** In the order of last use. */
  readonly #files = new Map<string, LogFile>();
  #open = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  next(task: string, n: LogName): number {
    return this.#files.get(keyOf(task, n))?.next ?? 0;
  }

  async write(piece: LogPiece): Promise<number> {
    const file = this.#fileOf(piece.task, piece.n);
    const offset = Number(piece.header(LOG_HEADERS.offset) ?? NaN);
    const gapTo = piece.header(LOG_HEADERS.gapTo);
    if (!Number.isSafeInteger(offset)) return file.next;
    if (offset > file.next) this.#gap(file, offset);
    if (gapTo !== null) {
      if (Number(gapTo) > file.next) this.#gap(file, Number(gapTo));
    } else await this.#bytes(file, offset, piece);
    if (file.rows.length > INDEX_BUFFER_BYTES) await this.#flushRows(file);
    return file.next;
  }

  async truncate(task: string, n: LogName, logBytes: number): Promise<void> {
    const file = this.#fileOf(task, n);
    if (file.next < logBytes) this.#gap(file, logBytes);
    await this.#handles(file);
  }

  async close(): Promise<void> {
    for (const file of this.#files.values()) await this.#shut(file);
  }

  #fileOf(task: string, n: LogName): LogFile {
    const key = keyOf(task, n);
    const file = this.#files.get(key) ?? {
      path: join(this.#folder, task, String(n)),
      next: 0,
      log: null,
      index: null,
      rows: '',
    };
    this.#files.delete(key);
    this.#files.set(key, file);
    return file;
  }

  #gap(file: LogFile, gapTo: number): void {
    file.rows += `${JSON.stringify({ offset: file.next, gapTo })}\n`;
    file.next = gapTo;
  }

  async #bytes(file: LogFile, offset: number, piece: LogPiece): Promise<void> {
    const { data } = piece;
    const from = file.next;
    if (offset + data.length <= from) return;
    const { log } = await this.#handles(file);
    await log.writeFile(data.subarray(from - offset));
    const step = piece.header(LOG_HEADERS.step);
    const chunks = parseChunks(piece.header(LOG_HEADERS.chunks) ?? '') ?? [];
    let at = offset;
    for (const { stream, bytes, arrivalMs } of chunks) {
      const start = Math.max(at, from);
      at = Math.min(at + bytes, offset + data.length);
      if (at <= start) continue;
      file.rows += `${JSON.stringify({ offset: start, length: at - start, stream, arrivalMs, step })}\n`;
    }
    // Bytes that no chunk describes are still bytes of the log.
    const start = Math.max(at, from);
    if (offset + data.length > start) {
      const length = offset + data.length - start;
      file.rows += `${JSON.stringify({ offset: start, length, stream: 'stdout', arrivalMs: 0, step })}\n`;
    }
    file.next = offset + data.length;
  }

  async #handles(file: LogFile): Promise<{ log: FileHandle; index: FileHandle }> {
    if (file.log !== null && file.index !== null) return { log: file.log, index: file.index };
    if (this.#open >= MAX_OPEN) {
      for (const other of this.#files.values()) {
        if (other.log === null || other === file) continue;
        await this.#shut(other);
        break;
      }
    }
    await mkdir(dirname(file.path), { recursive: true });
    this.#open += 1;
    file.log = await open(`${file.path}.log`, 'a');
    file.index = await open(`${file.path}.index`, 'a');
    return { log: file.log, index: file.index };
  }

  async #flushRows(file: LogFile): Promise<void> {
    if (file.rows === '') return;
    const { index } = await this.#handles(file);
    const { rows } = file;
    file.rows = '';
    await index.writeFile(rows);
  }

  async #shut(file: LogFile): Promise<void> {
    await this.#flushRows(file);
    const { log, index } = file;
    if (log !== null || index !== null) this.#open -= 1;
    file.log = null;
    file.index = null;
    for (const handle of [log, index]) {
      if (handle === null) continue;
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    }
  }
}
