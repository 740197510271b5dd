/**
 * Follows the report files of the attempts that run: one timer for all of them, none when nothing
 * runs, a `stat` each time, and only new bytes are read (I10). The file is the benchmark's; it need
 * not exist, and is read from its begin again after a restart, which changes nothing (I3).
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { parseReportLine, type ReportLine } from './report-lines.ts';

const POLL_MS = 100;
const READ_BYTES = 256 * 1024;
const LINE_MOST = 64 * 1024;

export class ReportTail {
  readonly #file: string;
  readonly #onLines: (lines: readonly ReportLine[]) => void;
  #offset = 0;

  constructor(file: string, onLines: (lines: readonly ReportLine[]) => void) {
    this.#file = file;
    this.#onLines = onLines;
  }

  /** Reads what is new. `isLast`: its writers are gone, a line without its end counts too. */
  poll(isLast = false): void {
    try {
      const size = statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0;
      if (size === this.#offset) return;
      if (size < this.#offset) this.#offset = 0;
      this.#read(size, isLast);
    } catch {
      // Not a file we can read: the benchmark's own doing, and never fatal.
    }
  }

  #read(size: number, isLast: boolean): void {
    const fd = openSync(this.#file, 'r');
    try {
      while (this.#offset < size) {
        const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, size - this.#offset));
        const bytes = readSync(fd, buffer, 0, buffer.length, this.#offset);
        if (bytes === 0) return;
        const isEnd = isLast && this.#offset + bytes >= size;
        const taken = this.#take(buffer.subarray(0, bytes), isEnd);
        if (taken === 0) return;
        this.#offset += taken;
      }
    } finally {
      closeSync(fd);
    }
  }

  /** Hands over the whole lines; returns how many bytes they are. */
  #take(bytes: Buffer, isEnd: boolean): number {
    const newline = bytes.lastIndexOf(10);
    let end = isEnd ? bytes.length : newline + 1;
    if (end === 0 && bytes.length > LINE_MOST) end = bytes.length;
    if (end === 0) return 0;
    const lines = bytes.toString('utf8', 0, end).split('\n').flatMap(parseReportLine);
    if (lines.length > 0) this.#onLines(lines);
    return end;
  }
}

export class ReportPoller {
  readonly #tails = new Set<ReportTail>();
  #timer: NodeJS.Timeout | null = null;

  add(tail: ReportTail): void {
    this.#tails.add(tail);
    this.#timer ??= setInterval(() => {
      for (const each of this.#tails) each.poll();
    }, POLL_MS).unref();
  }

  remove(tail: ReportTail): void {
    this.#tails.delete(tail);
    if (this.#tails.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }
}
