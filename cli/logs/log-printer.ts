/**
 * Log items to stdout.
 *
 * 1. `raw`, or one attempt without decoration: the bytes as they are, at once.
 * 2. Otherwise lines: each with its prefix, complete ones only, so that lines of two attempts never
 *    mix; what is left without a newline comes at the end.
 * 3. Bytes are never decoded, so nothing is lost in a split character.
 */
import { attemptKey, type AttemptRef } from '#protocol/messages/ids.ts';
import type { LogStream } from '#protocol/messages/attempt/log.ts';
import type { LogItem } from './log-cursor.ts';

export interface PrintOptions {
  readonly raw: boolean;
  readonly timestamps: boolean;
  /** Says whose line it is; null where there is one only. */
  readonly label: (ref: AttemptRef) => string | null;
  /** Null for both streams. */
  readonly only: LogStream | null;
}

export interface LogOutput {
  /** Resolves when more may be written. */
  readonly write: (bytes: Uint8Array) => Promise<void>;
  /** Resolves when everything written is out of this process's hands. */
  readonly flush: () => Promise<void>;
  readonly note: (line: string) => void;
}

interface OpenLine {
  readonly parts: Uint8Array[];
  size: number;
  readonly prefix: string;
}

const NEWLINE = 10;
const END = Uint8Array.of(NEWLINE);
const TOGETHER_BYTES = 128 * 1_024;
/** A longer line is printed in pieces, so that memory stays bounded (I12). */
const LONGEST_LINE = 16 * 1_024 * 1_024;

export class LogPrinter {
  readonly #options: PrintOptions;
  readonly #output: LogOutput;
  readonly #lines = new Map<string, OpenLine>();
  #bytes = 0;
  #lastByte = NEWLINE;

  constructor(options: PrintOptions, output: LogOutput) {
    this.#options = options;
    this.#output = output;
  }

  /** Bytes printed of the log itself. */
  get bytes(): number {
    return this.#bytes;
  }

  async print(item: LogItem): Promise<void> {
    if (item.kind === 'gap') {
      this.#output.note(
        `gap: bytes ${item.from} to ${item.to} of ${attemptKey(item.ref)} are not there (dropped at the log limit, or by a full disk)`,
      );
      return;
    }
    if (this.#options.only !== null && item.stream !== this.#options.only) return;
    this.#bytes += item.bytes.length;
    if (
      this.#options.raw ||
      (!this.#options.timestamps && this.#options.label(item.ref) === null)
    ) {
      this.#lastByte = item.bytes.at(-1) ?? this.#lastByte;
      await this.#output.write(item.bytes);
      return;
    }
    await this.#printLines(item);
  }

  /** The rest: lines without their newline. Ends a last line, except in `raw`. */
  async end(): Promise<void> {
    for (const line of this.#lines.values()) {
      await this.#output.write(Buffer.concat([Buffer.from(line.prefix), ...line.parts, END]));
    }
    this.#lines.clear();
    if (!this.#options.raw && this.#lastByte !== NEWLINE) await this.#output.write(END);
    await this.#output.flush();
  }

  async #printLines(item: Extract<LogItem, { kind: 'chunk' }>): Promise<void> {
    const key = `${attemptKey(item.ref)} ${item.stream}`;
    const complete: Uint8Array[] = [];
    let from = 0;
    while (from < item.bytes.length) {
      const at = item.bytes.indexOf(NEWLINE, from);
      const piece = item.bytes.subarray(from, at < 0 ? undefined : at + 1);
      from += piece.length;
      const line = this.#lines.get(key) ?? { parts: [], size: 0, prefix: this.#prefix(item) };
      line.parts.push(piece);
      line.size += piece.length;
      if (at >= 0) complete.push(Buffer.from(line.prefix), ...line.parts);
      else if (line.size > LONGEST_LINE)
        complete.push(Buffer.from(line.prefix), ...line.parts, END);
      if (at >= 0 || line.size > LONGEST_LINE) this.#lines.delete(key);
      else this.#lines.set(key, line);
    }
    if (complete.length > 0) await this.#output.write(Buffer.concat(complete));
  }

  #prefix(item: Extract<LogItem, { kind: 'chunk' }>): string {
    const { timestamps } = this.#options;
    const label = this.#options.label(item.ref);
    const time = timestamps ? `${new Date(item.arrivalMs).toISOString()} ` : '';
    return `${time}${label === null ? '' : `${label} | `}`;
  }
}

/**
 * Standard output. What comes within one turn of the event loop is written together; a slow reader
 * is waited for instead of keeping what it has not read (I12).
 */
export function stdoutWriter(): Pick<LogOutput, 'write' | 'flush'> {
  let parts: Uint8Array[] = [];
  let size = 0;
  let scheduled = false;
  const flush = async (): Promise<void> => {
    if (size === 0) return;
    const all = parts.length === 1 ? (parts[0] ?? END) : Buffer.concat(parts, size);
    parts = [];
    size = 0;
    if (process.stdout.write(all)) return;
    await new Promise<void>((resolve) => {
      process.stdout.once('drain', resolve);
    });
  };
  return {
    flush,
    write: async (bytes) => {
      parts.push(bytes);
      size += bytes.length;
      if (size >= TOGETHER_BYTES) {
        await flush();
      } else if (!scheduled) {
        scheduled = true;
        setImmediate(() => {
          scheduled = false;
          void flush();
        });
      }
    },
  };
}
