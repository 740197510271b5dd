/**
 * An append-only file of JSON lines that outlives kill -9 and a full disk.
 *
 * 1. Lines are written to the page cache, those of one turn of the event loop by one write; a torn
 *    last line (a crash in the middle of it) is cut off when the file is opened again.
 * 2. Generations: `<name>.<n>`; the newest whose first line is whole counts. A new one begins with
 *    a summary of all before, and only then the older are removed (I12).
 * 3. A reserve lies beside it. When the disk is full it is given up, so outcomes can still be
 *    written; what cannot be written even then waits in memory and is tried again (design 6).
 * 4. A disk that has become read-only, or fails, is told once and for good: nothing can be promised any
 *    more, and what this process knows is not trusted to be on it.
 */
import {
  closeSync,
  fdatasync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { errnoOf, MeshError, toError } from '#protocol/messages/errors.ts';
import { isFull } from '../process/record/errno.ts';

const RESERVE_BYTES = 1024 * 1024;
const SYNC_WITHIN_MS = 250;

export interface OpenedJournal {
  readonly journal: JournalFile;
  /** Whole lines of the newest generation, parsed; the first is the summary it began with. */
  readonly lines: readonly unknown[];
}

export interface JournalPlace {
  readonly dir: string;
  readonly name: string;
  /** The disk takes nothing any more (4). What found it throws the same. */
  readonly onBroken?: (error: MeshError) => void;
}

export class JournalFile {
  readonly #dir: string;
  readonly #name: string;
  readonly #onBroken: (error: MeshError) => void;
  #generation: number;
  #fd: number;
  #bytes: number;
  #waiting: string[] = [];
  #isFlushing = false;
  #isClosed = false;
  #hasReserve = false;
  #syncing = false;
  #timer: NodeJS.Timeout | null = null;

  private constructor(
    { dir, name, onBroken = () => undefined }: JournalPlace,
    opened: { generation: number; fd: number; bytes: number },
  ) {
    this.#dir = dir;
    this.#name = name;
    this.#onBroken = onBroken;
    this.#generation = opened.generation;
    this.#fd = opened.fd;
    this.#bytes = opened.bytes;
  }

  /** Opens the newest whole generation, or begins one with `summary`. Throws system errors. */
  static open(place: JournalPlace, summary: unknown): OpenedJournal {
    const { dir, name } = place;
    for (const generation of generations(dir, name).reverse()) {
      const file = join(dir, `${name}.${generation}`);
      const { lines, bytes } = wholeLines(readFileSync(file));
      if (lines.length === 0) continue;
      const fd = openSync(file, 'a');
      ftruncateSync(fd, bytes);
      const journal = new JournalFile(place, { generation, fd, bytes });
      journal.reserve();
      return { journal, lines };
    }
    const generation = (generations(dir, name).at(-1) ?? 0) + 1;
    const fd = openSync(join(dir, `${name}.${generation}`), 'a');
    const journal = new JournalFile(place, { generation, fd, bytes: 0 });
    journal.reserve();
    journal.append(summary);
    return { journal, lines: [summary] };
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Lines that could not be written and wait in memory. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Appends a line. False when the disk is full: it then waits in memory, in its order. */
  append(entry: unknown): boolean {
    this.appendSoon(entry);
    return this.flush();
  }

  /** Appends a line by the end of this turn of the event loop. On a full disk it waits in memory. */
  appendSoon(entry: unknown): void {
    this.#waiting.push(`${JSON.stringify(entry)}\n`);
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    queueMicrotask(() => {
      this.#isFlushing = false;
      if (!this.#isClosed) this.flush();
    });
  }

  /** Writes what waits; false while it cannot. */
  flush(): boolean {
    if (this.#waiting.length > 1 && this.#write(this.#waiting.join(''))) this.#waiting = [];
    while (this.#waiting.length > 0) {
      if (!this.#write(this.#waiting[0] ?? '')) return false;
      this.#waiting.shift();
    }
    return true;
  }

  /** Takes a line back that waits in memory: a command that is not going to be acknowledged. */
  withdraw(): void {
    this.#waiting.pop();
  }

  #write(lines: string): boolean {
    const bytes = Buffer.from(lines);
    for (;;) {
      try {
        let done = 0;
        while (done < bytes.length) done += writeSync(this.#fd, bytes, done);
        this.#bytes += bytes.length;
        return true;
      } catch (error) {
        if (!isFull(errnoOf(error))) throw this.#broken(error);
        ftruncateSync(this.#fd, this.#bytes);
        if (!this.#giveUpReserve()) return false;
      }
    }
  }

  /** Makes the reserve if it is missing; false if the disk has no room for it. */
  reserve(): boolean {
    if (this.#hasReserve) return true;
    try {
      writeFileSync(this.#reserveFile(), Buffer.alloc(RESERVE_BYTES));
      this.#hasReserve = true;
    } catch (error) {
      if (!isFull(errnoOf(error))) throw this.#broken(error);
      rmSync(this.#reserveFile(), { force: true });
    }
    return this.#hasReserve;
  }

  #giveUpReserve(): boolean {
    if (!this.#hasReserve) return false;
    rmSync(this.#reserveFile(), { force: true });
    this.#hasReserve = false;
    return true;
  }

  #reserveFile(): string {
    return join(this.#dir, `${this.#name}.reserve`);
  }

  /**
   * Asks the disk to keep what was written, within SYNC_WITHIN_MS and once for all that is written
   * until then: a write waits for a sync of its file, so there must be few.
   */
  sync(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#syncing = true;
      fdatasync(this.#fd, () => {
        this.#syncing = false;
      });
    }, SYNC_WITHIN_MS).unref();
  }

  /** Begins the next generation with `summary` and removes the older ones. False on a full disk. */
  rotate(summary: unknown): boolean {
    if (this.#syncing || this.#waiting.length > 0) return false;
    const next = this.#generation + 1;
    const file = join(this.#dir, `${this.#name}.${next}`);
    try {
      writeFileSync(file, `${JSON.stringify(summary)}\n`, { flush: true });
    } catch (error) {
      if (!isFull(errnoOf(error))) throw this.#broken(error);
      rmSync(file, { force: true });
      return false;
    }
    closeSync(this.#fd);
    this.#fd = openSync(file, 'a');
    this.#bytes = Buffer.byteLength(JSON.stringify(summary)) + 1;
    this.#generation = next;
    for (const old of generations(this.#dir, this.#name)) {
      if (old < next) rmSync(join(this.#dir, `${this.#name}.${old}`), { force: true });
    }
    return true;
  }

  #broken(cause: unknown): MeshError {
    const { message } = toError(cause);
    const text = `the state folder cannot be written any more (${this.#dir}): ${message}`;
    const error = new MeshError('state_unwritable', text, cause);
    this.#onBroken(error);
    return error;
  }

  /** For the process's end: syncs and closes. Throws what the disk says. */
  close(): Promise<void> {
    this.flush();
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    return new Promise((resolve) => {
      fdatasync(this.#fd, () => {
        closeSync(this.#fd);
        resolve();
      });
    });
  }
}

function generations(dir: string, name: string): number[] {
  return readdirSync(dir)
    .filter((file) => file.startsWith(`${name}.`) && /^\d+$/.test(file.slice(name.length + 1)))
    .map((file) => Number(file.slice(name.length + 1)))
    .sort((a, b) => a - b);
}

/** Lines up to the first that is torn or damaged, and how many bytes they are. */
function wholeLines(content: Buffer): { readonly lines: unknown[]; readonly bytes: number } {
  const lines: unknown[] = [];
  let at = 0;
  for (;;) {
    const end = content.indexOf(10, at);
    if (end < 0) return { lines, bytes: at };
    try {
      lines.push(JSON.parse(content.toString('utf8', at, end)));
    } catch {
      return { lines, bytes: at };
    }
    at = end + 1;
  }
}
