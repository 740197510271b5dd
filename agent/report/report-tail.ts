/**
 * Follows the report files of the attempts that run: one timer for all of them, none when nothing
 * runs, a `stat` each time, and only new bytes are read (I10). The file is the benchmark's; it need
 * not exist.
 *
 * Bounded (I12): a line has 16 KiB at most, a look reads 1 MiB (the rest has its turn 100 ms later), a
 * report is read up to 64 MiB.
 */
import { closeSync, statSync } from 'node:fs';
import { openPlain, readPlain } from '../process/plain-file.ts';

const POLL_MS = 100;
const READ_BYTES = 256 * 1024;
export const LINE_MOST = 16 * 1024;
export const LOOK_MOST = 1024 * 1024;
export const REPORT_MOST = 64 * 1024 * 1024;

export type Read =
  /** `end`: place in the file after it. */
  | { readonly kind: 'line'; readonly text: string; readonly end: number }
  | { readonly kind: 'overlong' | 'cut' | 'full'; readonly end: number };

export interface Pollable {
  poll(): void;
}

export class ReportTail {
  readonly #file: string;
  #offset = 0;
  /** In the middle of a line that is too long. */
  #isSkipping = false;
  #isFull = false;
  #isBehind = false;

  constructor(file: string) {
    this.#file = file;
  }

  /** There was more than one look reads. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /** What is new. `isLast`: its writers are gone, a line without its end counts too. */
  read(isLast = false): Read[] {
    this.#isBehind = false;
    if (this.#isFull) return [];
    const found: Read[] = [];
    try {
      const size = statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0;
      if (size === this.#offset) return [];
      if (size < this.#offset) {
        this.#offset = 0;
        this.#isSkipping = false;
        found.push({ kind: 'cut', end: 0 });
      }
      // What stands at the limit is part of a line, and says nothing.
      const isWhole = size <= REPORT_MOST;
      this.#readTo(Math.min(size, REPORT_MOST), isLast && isWhole, found);
      if (isWhole || this.#offset + LINE_MOST < REPORT_MOST) return found;
      this.#isFull = true;
      found.push({ kind: 'full', end: this.#offset });
    } catch {
      // Not a file we can read: the benchmark's own doing, and never fatal.
    }
    return found;
  }

  #readTo(size: number, isLast: boolean, found: Read[]): void {
    const until = Math.min(size, this.#offset + LOOK_MOST);
    const fd = openPlain(this.#file);
    if (fd === null) return;
    try {
      while (this.#offset < until) {
        const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, size - this.#offset));
        const bytes = readPlain(fd, buffer, { position: this.#offset });
        if (bytes === 0) return;
        const isEnd = isLast && this.#offset + bytes >= size;
        const taken = this.#take(buffer.subarray(0, bytes), isEnd, found);
        if (taken === 0) return;
        this.#offset += taken;
      }
      this.#isBehind = this.#offset < size;
    } finally {
      closeSync(fd);
    }
  }

  /** Takes the whole lines; returns how many bytes they are. */
  #take(bytes: Buffer, isEnd: boolean, found: Read[]): number {
    let from = 0;
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, from)) {
      this.#line(bytes.subarray(from, at), this.#offset + at + 1, found);
      this.#isSkipping = false;
      from = at + 1;
    }
    const rest = bytes.subarray(from);
    if (isEnd || rest.length > LINE_MOST) {
      if (rest.length > 0) this.#line(rest, this.#offset + bytes.length, found);
      this.#isSkipping = !isEnd;
      return bytes.length;
    }
    return from;
  }

  #line(bytes: Buffer, end: number, found: Read[]): void {
    if (this.#isSkipping) return;
    if (bytes.length > LINE_MOST) found.push({ kind: 'overlong', end });
    else found.push({ kind: 'line', text: bytes.toString('utf8'), end });
  }
}

export class ReportPoller {
  readonly #reports = new Set<Pollable>();
  #timer: NodeJS.Timeout | null = null;

  add(report: Pollable): void {
    this.#reports.add(report);
    this.#timer ??= setInterval(() => {
      for (const each of this.#reports) each.poll();
    }, POLL_MS).unref();
  }

  remove(report: Pollable): void {
    this.#reports.delete(report);
    if (this.#reports.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }
}
