/**
 * The log of attempts from stored messages: every byte once, at its offset. Overlaps of repeated
 * messages are dropped, ranges that are not there are gaps (I7). Pure but for its own positions.
 */
import { attemptKey, type AttemptRef } from '#protocol/messages/ids.ts';
import { LOG_HEADERS, parseChunks, type LogStream } from '#protocol/messages/attempt/log.ts';

export type LogItem =
  | {
      readonly kind: 'chunk';
      readonly ref: AttemptRef;
      readonly stream: LogStream;
      readonly bytes: Uint8Array;
      /** Wall clock of the host when the bytes came; 0 where unknown. */
      readonly arrivalMs: number;
    }
  | { readonly kind: 'gap'; readonly ref: AttemptRef; readonly from: number; readonly to: number };

export interface LogMessage {
  readonly data: Uint8Array;
  header(name: string): string | null;
}

export class LogCursors {
  readonly #next = new Map<string, number>();

  /** Offset of the byte that comes next. */
  next(ref: AttemptRef): number {
    return this.#next.get(attemptKey(ref)) ?? 0;
  }

  /** Whether bytes before the message have not been seen and no record says that they are dropped. */
  isAhead(ref: AttemptRef, message: LogMessage): boolean {
    return Number(message.header(LOG_HEADERS.offset) ?? NaN) > this.next(ref);
  }

  /** What is new in the message, in order. */
  take(ref: AttemptRef, message: LogMessage): LogItem[] {
    const offset = Number(message.header(LOG_HEADERS.offset) ?? NaN);
    if (!Number.isSafeInteger(offset)) return [];
    const items: LogItem[] = [];
    const at = this.next(ref);
    if (offset > at) items.push(this.gap(ref, offset));
    const gapTo = Number(message.header(LOG_HEADERS.gapTo) ?? NaN);
    if (Number.isSafeInteger(gapTo)) {
      if (gapTo > this.next(ref)) items.push(this.gap(ref, gapTo));
      return items;
    }
    const chunks = parseChunks(message.header(LOG_HEADERS.chunks) ?? '') ?? [];
    let position = offset;
    let local = 0;
    for (const { stream, bytes, arrivalMs } of chunks) {
      const data = message.data.subarray(local, local + bytes);
      local += data.length;
      items.push(...this.advance(ref, position, { stream, data, arrivalMs }));
      position += data.length;
    }
    // Bytes that no chunk describes are still bytes of the log.
    const rest = message.data.subarray(local);
    items.push(...this.advance(ref, position, { stream: 'stdout', data: rest, arrivalMs: 0 }));
    return items;
  }

  /** Moves over a range that is not there. */
  gap(ref: AttemptRef, to: number): LogItem {
    const from = this.next(ref);
    this.#next.set(attemptKey(ref), to);
    return { kind: 'gap', ref, from, to };
  }

  /** The part of `data`, which stands at `offset`, that is new. */
  advance(
    ref: AttemptRef,
    offset: number,
    chunk: { stream: LogStream; data: Uint8Array; arrivalMs: number },
  ): LogItem[] {
    const at = this.next(ref);
    const { stream, data, arrivalMs } = chunk;
    if (offset + data.length <= at) return [];
    const bytes = data.subarray(at - offset);
    this.#next.set(attemptKey(ref), offset + data.length);
    return [{ kind: 'chunk', ref, stream, bytes, arrivalMs }];
  }
}
