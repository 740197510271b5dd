/**
 * Bytes to lines. A line ends at LF or CR (so progress bars end theirs, and CRLF gives an empty
 * one). UTF-8 that is split between two feeds stays whole; memory is bounded by MAX_LINE.
 */
import { StringDecoder } from 'node:string_decoder';

/** Characters of a line that are kept; the rest is dropped. */
export const MAX_LINE = 1024 * 1024;

export class LineSplitter {
  readonly #onLine: (line: string, isCut: boolean) => void;
  readonly #decoder = new StringDecoder('utf8');
  #pending = '';
  #isCut = false;

  constructor(onLine: (line: string, isCut: boolean) => void) {
    this.#onLine = onLine;
  }

  feed(bytes: Uint8Array): void {
    this.#take(this.#decoder.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)));
  }

  /** The end of the stream: what is left is a line too. */
  end(): void {
    this.#take(this.#decoder.end());
    if (this.#pending !== '' || this.#isCut) this.#emit('');
  }

  #take(text: string): void {
    let from = 0;
    for (let at = 0; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (code !== 10 && code !== 13) continue;
      this.#emit(text.slice(from, at));
      from = at + 1;
    }
    if (from < text.length) this.#keep(text.slice(from));
  }

  #keep(text: string): void {
    const room = MAX_LINE - this.#pending.length;
    if (text.length > room) this.#isCut = true;
    if (room > 0) this.#pending += text.slice(0, room);
  }

  #emit(text: string): void {
    this.#keep(text);
    const line = this.#pending;
    const isCut = this.#isCut;
    this.#pending = '';
    this.#isCut = false;
    this.#onLine(line, isCut);
  }
}
